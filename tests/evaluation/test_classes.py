"""Masks compared with classes left out or merged, and with truth of another size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.evaluation.compare import evaluate
from tests.evaluation.making import SHAPE, TABLE, labels, write_colours, write_gray, write_mask
from tests.runs import noseam
from tiler.classes import class_table_bytes
from tiler.errors import ClassTableError
from tiler.grid.tiles import plan_grid
from tiler.remap.options import RemapOptions

MERGED = RemapOptions(ignore=("class 0",), map=("class 1,class 3=green",))
NAMES = ("green", "class 2")
LOOKUP = np.array([255, 0, 1, 0, *[255] * 252], np.uint8)
"""Class 0 is left out, classes 1 and 3 are one."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    return predicted, truth


def _expected() -> NDArray[Any]:
    """Count by the definition."""
    true, found = LOOKUP[labels(seed=1)], LOOKUP[labels(seed=0)]
    columns = (0, 1, 255)
    return np.array([[((true == row) & (found == col)).sum() for col in columns] for row in (0, 1)])


def test_both_sides_are_mapped_and_a_true_pixel_of_an_ignored_class_counts_nowhere(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=1))
    found = evaluate(predicted, truth, remap=MERGED)
    assert found.classes == NAMES
    np.testing.assert_array_equal(found.confusion, _expected())
    assert found.metrics.pixels == np.isin(labels(seed=1), (1, 2, 3)).sum()


def test_a_predicted_class_that_is_ignored_is_wrong_and_no_false_positive(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", np.array([[0, 1, 2, 0]], np.uint8))
    write_gray(truth / "a.png", np.array([[1, 1, 2, 0]], np.uint8))
    found = evaluate(predicted, truth, remap=RemapOptions(ignore=("class 0",)))
    assert found.metrics.accuracy == pytest.approx(2 / 3)
    assert found.metrics.iou[:2] == (0.5, 1.0)
    assert found.metrics.precision[0] == 1.0
    assert math.isnan(found.metrics.iou[2])


def test_masks_of_a_model_of_the_merged_classes_are_read_as_they_are(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", LOOKUP[labels(seed=0)], names=NAMES)
    write_colours(truth / "a.png", labels(seed=1))
    found = evaluate(predicted, truth, classes=TABLE, remap=MERGED)
    assert not found.failed
    np.testing.assert_array_equal(found.confusion, _expected())
    with pytest.raises(RequestError, match="the mask has 2 classes; expected 4, as in the class table"):
        evaluate(predicted, truth, classes=TABLE)


def test_shifted_masks_are_mapped_too(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Labels that differ only within a merged class depend on no grid."""
    predicted, shifted = folders
    grids = [plan_grid(SHAPE, scale=1.0, tile=(128, 128), overlap=(64, 64), shift=(shift, shift)) for shift in (0, 32)]
    write_mask(predicted / "a.png", np.full(SHAPE, 1, np.uint8), grid=grids[0])
    write_mask(shifted / "a.png", np.full(SHAPE, 3, np.uint8), grid=grids[1])
    before, after = evaluate(predicted, shifted=shifted), evaluate(predicted, shifted=shifted, remap=MERGED)
    assert before.dependence is not None
    assert after.dependence is not None
    assert (before.dependence.share, after.dependence.share) == (1, 0)


def test_an_id_that_is_no_class_is_found_under_other_classes_too(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", np.full(SHAPE, 7, np.uint8))
    found = evaluate(predicted, truth, remap=MERGED)
    assert f"{truth / 'a.png'}: class id 7 found; expected 0 to 3, or 255" in found.failed[0].reason


def test_a_class_that_does_not_exist_is_refused(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=1))
    with pytest.raises(ClassTableError, match=r"--ignore clas 2: no such class; did you mean class 2\?"):
        evaluate(predicted, truth, remap=RemapOptions(ignore=("clas 2",)))


def test_truth_of_another_size_is_scaled_on_request(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    small = labels(seed=0, shape=(30, 45))
    large = labels(seed=1, shape=(120, 180))
    write_mask(predicted / "a.png", small)
    write_gray(truth / "a.png", large)
    reason = evaluate(predicted, truth).failed[0].reason
    assert "45 x 30 pixels" in reason
    assert reason.endswith("has 180 x 120 pixels; expected one size; --scale-masks samples truth at the size of masks")
    found = evaluate(predicted, truth, scale_masks=True)
    write_gray(truth / "a.png", large[2::4, 2::4])
    np.testing.assert_array_equal(found.confusion, evaluate(predicted, truth).confusion)
    write_gray(truth / "a.png", large.T)
    assert "cannot be scaled to 45 x 30 pixels" in evaluate(predicted, truth, scale_masks=True).failed[0].reason


def test_the_command_takes_all_of_it(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0, shape=(30, 45)))
    write_gray(truth / "a.png", labels(seed=1, shape=(60, 90)))
    (tmp_path / "classes.csv").write_bytes(class_table_bytes(TABLE))
    same = ("evaluate", predicted, truth, "--classes", tmp_path / "classes.csv", "--scale-masks")
    ended = noseam(*same, "--ignore", "class 0", "--map", "class 1,class 3=green")
    assert ended.exit_code == 0
    assert [line.split()[0] for line in ended.output.splitlines()[1:3]] == ["green", "class"]
    assert "over 2 classes present in the truth" in ended.output
    wrong = noseam(*same, "--map", "green")
    assert wrong.exit_code == 2
    assert "Error: --map: names of classes, = and a new name expected, such as grass,vegetation=green" in wrong.output
    assert noseam(*same, "--ignore", "roof").exit_code == 2
