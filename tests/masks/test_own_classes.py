from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio
from PIL import Image, PngImagePlugin

from tests.make import noise, write_tif
from tiler.classes import ClassTable, distinct_colours, write_class_table
from tiler.errors import ClassTableError
from tiler.masks.own_classes import own_class_table

NAMES, COLOURS = ("water", "road", "tree"), ((0, 0, 255), (90, 90, 90), (0, 100, 0))
TABLE = ClassTable(NAMES, COLOURS)


def png(path: Path, names: tuple[str, ...] = NAMES, **more: str) -> Path:
    """Write a mask as a run does: ids, with the names of the classes in a text."""
    path.parent.mkdir(exist_ok=True)
    text = PngImagePlugin.PngInfo()
    for key, value in {"CLASS_NAMES": json.dumps(names), "NOSEAM_FINGERPRINT": "0", **more}.items():
        text.add_itxt(key, value)
    Image.fromarray(noise(5, 6, high=3)).save(path, pnginfo=text)
    return path


def tif(path: Path, names: tuple[str, ...] = NAMES, colours: tuple[tuple[int, int, int], ...] = COLOURS) -> Path:
    """Write a mask as a run does: ids with a palette, and the names of the classes as a tag."""
    palette = {index: (*colour, 255) for index, colour in enumerate(colours)}
    write_tif(path, noise(1, 5, 6, high=3), colormap=palette, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CLASS_NAMES=json.dumps(names))
    return path


def test_a_geotiff_says_names_and_colours(tmp_path: Path) -> None:
    assert own_class_table([tif(tmp_path / "a.tif")], tmp_path) == TABLE


def test_a_png_says_names_and_the_table_of_its_folder_colours(tmp_path: Path) -> None:
    mask = png(tmp_path / "masks" / "a.png")
    assert own_class_table([mask], mask.parent) == ClassTable(NAMES, distinct_colours(3))
    write_class_table(tmp_path / "classes.csv", TABLE)
    assert own_class_table([mask], mask.parent) == TABLE
    write_class_table(mask.parent / "classes.csv", ClassTable(("a", "b", "c"), COLOURS))
    assert own_class_table([mask], mask.parent) == TABLE


def test_masks_without_names_and_broken_ones_say_nothing(tmp_path: Path) -> None:
    Image.fromarray(noise(5, 6, high=3)).save(tmp_path / "plain.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    odd = png(tmp_path / "odd.png", CLASS_NAMES="no list")
    silent = [tmp_path / "plain.png", tmp_path / "broken.png", odd, tmp_path / "gone.png"]
    assert own_class_table(silent, tmp_path) is None
    assert own_class_table([*silent, tif(tmp_path / "a.tif")], tmp_path) == TABLE


def test_masks_of_several_models_are_refused(tmp_path: Path) -> None:
    one = png(tmp_path / "a.png")
    other, longer = png(tmp_path / "b.png", ("water", "car", "tree")), png(tmp_path / "c.png", (*NAMES, "car"))
    what = (
        rf"^class 1 is named road in {one} and named car in {other}; expected masks of one model: .* --classes, a CSV"
    )
    with pytest.raises(ClassTableError, match=what):
        own_class_table([one, other], tmp_path)
    with pytest.raises(ClassTableError, match=f"^class 3 is missing in {one} and named car in {longer}; "):
        own_class_table([one, longer], tmp_path)


def test_masks_of_several_colours_are_refused(tmp_path: Path) -> None:
    one = tif(tmp_path / "a.tif")
    other = tif(tmp_path / "b.tif", colours=(COLOURS[1], COLOURS[0], COLOURS[2]))
    with pytest.raises(
        ClassTableError, match=r"^class 0 is coloured \(0, 0, 255\) in .* and coloured \(90, 90, 90\) in "
    ):
        own_class_table([one, other], tmp_path)
