"""The doubt in windows, against sums that are counted pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.errors import RequestError
from segment.review.measures import doubt_of
from segment.review.survey import read_survey
from tests.review.surveys import CLASSES, labels_of, survey, write_masks
from tiler.errors import LabelError

SHAPE = (130, 200)


@pytest.mark.parametrize("window_px", [32, 50, 64, 500])
def test_doubt_from_confidence_is_the_chance_of_the_second_class(tmp_path: Path, window_px: int) -> None:
    rng = np.random.default_rng(0)
    doubt = rng.integers(0, 256, SHAPE).astype(np.uint8)
    labels = rng.integers(0, CLASSES, SHAPE).astype(np.uint8)
    labels[rng.random(SHAPE) < 0.1] = 255
    masks = survey(tmp_path, "IMG_1.jpg", shape=SHAPE)
    write_masks(masks, "IMG_1.jpg", labels, {"confidence": doubt})
    found = doubt_of(read_survey(masks).images[0], "confidence", window_px=window_px, classes=CLASSES)
    assert len(found.windows) == len(set(map(str, found.windows)))
    for window, sums, valid in zip(found.windows, found.doubt, found.valid, strict=True):
        here, told = labels[window.slices], doubt[window.slices]
        measured = ((told != 255) & (here != 255)).sum()
        assert valid == (here != 255).sum()
        for index in range(CLASSES):
            values = told[(here == index) & (told != 255)].astype(float)
            assert sums[index] == pytest.approx(((254 - values) / 254 / 2).sum() * valid / measured)


def test_disagreement_counts_where_two_tiles_voted_and_stands_for_the_rest(tmp_path: Path) -> None:
    masks = survey(tmp_path, "IMG_1.jpg", shape=(64, 128))
    labels, doubt = np.zeros((64, 128), np.uint8), np.full((64, 128), 255, np.uint8)
    doubt[:, :32] = 127  # half of the first window
    doubt[:3, 64:] = 254  # less than a tenth of the last
    write_masks(masks, "IMG_1.jpg", labels, {"disagreement": doubt})
    found = doubt_of(read_survey(masks).images[0], "disagreement", window_px=64, classes=CLASSES)
    assert [window.col_off for window in found.windows] == [0, 32, 64]
    assert found.doubt[:, 0].tolist() == [0.5 * 64 * 64, 0, 0]


def test_by_chance_windows_lie_side_by_side(tmp_path: Path) -> None:
    masks = survey(tmp_path, "IMG_1.jpg", shape=(128, 192))
    found = doubt_of(read_survey(masks).images[0], None, window_px=64, classes=CLASSES)
    assert [(window.row_off, window.col_off) for window in found.windows] == [
        (row, col) for row in (0, 64) for col in (0, 64, 128)
    ]
    assert found.valid.tolist() == [64 * 64 - 24 * 24, 64 * 64 - 8 * 6, *[64 * 64] * 4]


def test_masks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    masks = survey(tmp_path, "IMG_1.jpg")
    image = read_survey(masks).images[0]
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(image.doubts["confidence"])
    with pytest.raises(LabelError, match=r"IMG_1_confidence.png: 10 x 10 pixels of uint8 found, expected 128 x 192"):
        doubt_of(image, "confidence", window_px=64, classes=CLASSES)
    with pytest.raises(LabelError, match=r"IMG_1_label.png: class id \d found, expected 0 to 1"):
        doubt_of(image, None, window_px=64, classes=2)


def test_a_survey_tells_its_photos_window_and_measures(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    found = read_survey(masks)
    assert [image.name for image in found.images] == ["a/IMG_1.jpg", "b/IMG_1.jpg"]
    assert [image.source for image in found.images] == [tmp_path / "photos" / image.name for image in found.images]
    assert found.window_px == 64
    assert found.measure("auto") == found.measure("confidence") == "confidence"
    assert found.measure("random") is None
    with pytest.raises(RequestError, match=r"no mask of disagreement stands .* segment again with --disagreement"):
        found.measure("disagreement")


def test_disagreement_is_taken_where_confidence_is_missing(tmp_path: Path) -> None:
    assert read_survey(survey(tmp_path, measure="disagreement")).measure("auto") == "disagreement"


def test_the_newest_record_says_where_a_photo_lies(tmp_path: Path) -> None:
    masks = survey(tmp_path, "IMG_1.jpg")
    moved = tmp_path / "moved.jpg"
    (tmp_path / "photos/IMG_1.jpg").rename(moved)
    lines = [('"10"', "gone.jpg"), ('"30"', str(moved)), ('"20"', "old.jpg")]
    (masks / "manifest.jsonl").write_text(
        "".join(f'{{"time":{time},"image":"IMG_1.jpg","path":"{path}"}}\n' for time, path in lines)
    )
    assert read_survey(masks).images[0].source == moved


def test_a_folder_without_masks_of_noseam_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no label mask of noseam found"):
        read_survey(tmp_path)
    assert labels_of((32, 32), 0).shape == (32, 32)
