"""Crops of classes that are left out or merged, and of masks of another size than the photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.make import noise
from tests.runs import noseam
from tiler.classes import ClassTable, class_table_bytes, read_class_table
from tiler.crops.index import read_crop_index
from tiler.crops.make import make_crops
from tiler.crops.plan import CropOptions
from tiler.errors import ClassTableError
from tiler.remap.options import RemapOptions

CLASSES = ClassTable(("NA", "road", "grass", "tree"), ((0, 0, 0), (128, 64, 128), (0, 102, 0), (0, 50, 0)))
LOOKUP = np.array([255, 0, 1, 1, *[255] * 252], np.uint8)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Four photos, whose masks have four times their size."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index in range(4):
        ids = noise(160, 240, high=4, seed=index)
        Image.fromarray(noise(40, 60, 3, seed=index)).save(tmp_path / f"images/{index}.png")
        Image.fromarray(CLASSES.palette()[ids][..., :3]).save(tmp_path / f"masks/{index}.png")
    (tmp_path / "classes.csv").write_bytes(class_table_bytes(CLASSES))
    return tmp_path


def _crop(survey: Path, *more: str) -> tuple[int, str]:
    ended = noseam("crop", survey / "images", survey / "masks", "--out", survey / "crops", "--window", "20",
                   "--classes", survey / "classes.csv", "--jobs", "1", *more)  # fmt: skip
    return ended.exit_code, ended.output


def test_masks_are_scaled_and_mapped_and_the_table_says_what_is_left(survey: Path) -> None:
    code, said = _crop(survey, "--scale-masks", "--ignore", "NA", "--map", "grass,tree=green")
    assert code == 0, said
    assert "2 classes, named by the class table" in said
    assert read_class_table(survey / "crops/classes.csv") == ClassTable(
        ("road", "green"), ((128, 64, 128), (0, 102, 0))
    )
    index, _ = read_crop_index(survey / "crops")
    assert len(index) == 4 * 6
    for _, row in index.iterrows():
        ids = LOOKUP[noise(160, 240, high=4, seed=int(row.source))][2::4, 2::4]
        expected = ids[row.row_off : row.row_off + 20, row.col_off : row.col_off + 20]
        np.testing.assert_array_equal(np.asarray(Image.open(survey / "crops" / str(row["mask"]))), expected)
        assert row.px_road == (expected == 0).sum()
        assert row.labelled == (expected != 255).sum()


def test_sizes_that_differ_are_refused_unless_asked_and_the_remedy_is_named(survey: Path) -> None:
    code, said = _crop(survey)
    assert code == 3
    assert "60 x 40 pixels, but its mask" in said
    assert "has 240 x 160 pixels; expected one size; --scale-masks samples it at the size of the image" in said
    Image.fromarray(noise(60, 40, high=2)).save(survey / "masks/0.png")
    assert "masks/0.png: 40 x 60 pixels; it cannot be scaled to 60 x 40" in _crop(survey, "--scale-masks")[1]


def test_other_classes_cut_anew_and_the_same_do_not(survey: Path) -> None:
    asked = ("--scale-masks", "--ignore", "NA")
    assert "4 images cut" in _crop(survey, *asked)[1]
    assert "0 images cut, 4 up to date" in _crop(survey, *asked)[1]
    assert "4 images cut" in _crop(survey, *asked, "--map", "road,tree=odd")[1]
    assert "4 images cut" in _crop(survey, "--scale-masks")[1]


def test_classes_without_names_cannot_be_mapped(survey: Path) -> None:
    for index in range(4):
        Image.fromarray(noise(40, 60, high=4)).save(survey / f"masks/{index}.png")
    with pytest.raises(ClassTableError, match="do not name their classes, which --ignore and --map need"):
        make_crops(survey / "images", survey / "masks", survey / "crops", CropOptions(window_px=20), classes=None,
                   remap=RemapOptions(ignore=("grass",)), jobs=1)  # fmt: skip
