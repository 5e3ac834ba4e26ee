"""The files of previews: what a page gets of them, and how it is known whose they are."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.make import noise
from tiler.classes import ClassTable
from tiler.files.previews import preview_files
from tiler.masks.blend import blended
from tiler.previews.write import Preview, previews_of, write_previews

CLASSES = ClassTable(("grass", "roof"), ((0, 200, 0), (201, 40, 80)))
LABELS = np.array([[0, 1, 255, 0]] * 3, np.uint8)


def write(out: Path, **levels: np.ndarray) -> Path:
    files = preview_files(out, Path("a/IMG.1"))
    write_previews(files, Preview(noise(3, 4, 3, seed=3), LABELS, levels), CLASSES, "ab12")
    return files.layers


def layers(script: Path) -> dict[str, str]:
    text = script.read_text("ascii")
    assert text.startswith("noseamLayers({")
    assert text.endswith("});\n")
    found: dict[str, str] = json.loads(text.removeprefix("noseamLayers(").removesuffix(");\n"))
    return found


def picture(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_labels_reach_the_page_as_they_are(tmp_path: Path) -> None:
    found = layers(write(tmp_path))
    assert found.keys() == {"of", "size", "labels"}
    np.testing.assert_array_equal(picture(found["labels"]), LABELS)


def test_what_was_measured_reaches_the_page_in_half_the_size(tmp_path: Path) -> None:
    found = layers(write(tmp_path, confidence=np.full((3, 4), 200, np.uint8)))
    assert picture(found["confidence"]).shape == (2, 2)
    assert abs(int(picture(found["confidence"])[0, 0]) - 200) < 4


def test_where_there_is_a_label_but_no_value_the_page_knows(tmp_path: Path) -> None:
    values = np.full((3, 4), 200, np.uint8)
    values[2, 0] = 255
    found = picture(layers(write(tmp_path, disagreement=values))["disagreement"])
    assert found.tolist() == [[192, 192], [255, 192]]


def test_previews_say_of_which_mask_they_are_and_how_large(tmp_path: Path) -> None:
    write(tmp_path)
    files = preview_files(tmp_path, Path("a/IMG.1"))
    assert files.photo == tmp_path / "report" / "images" / "a" / "IMG.1_photo.jpg"
    assert previews_of(files) == ("ab12", (3, 4))
    files.thumb.write_bytes(b"")
    assert previews_of(files) is None
    assert previews_of(preview_files(tmp_path, Path("b"))) is None


def test_a_photo_is_black_where_nothing_is_labelled(tmp_path: Path) -> None:
    write(tmp_path)
    photo = np.asarray(Image.open(preview_files(tmp_path, Path("a/IMG.1")).photo)).astype(int)
    assert photo.shape == (3, 4, 3)


def test_a_blended_pixel_is_the_mean_of_photo_and_colour_rounded_down() -> None:
    photo = noise(3, 4, 3, seed=3)
    found = blended(photo, LABELS, CLASSES)
    colours = np.array([*CLASSES.colours, (0, 0, 0)])[[0, 1, 2, 0]]
    expected = (photo.astype(int) + colours) // 2
    np.testing.assert_array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    np.testing.assert_array_equal(found[:, 2], photo[:, 2])
