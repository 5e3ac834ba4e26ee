"""How large the windows are that are exported, and that crops of all of them train together."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from segment.errors import TrainError
from tests.models import NEEDS_TORCH
from tests.review.surveys import survey
from tests.runs import noseam


def sides(table: Path) -> set[int]:
    """Return the sides that a table of windows or crops names."""
    with table.open(newline="") as file:
        return {int(row["window_px"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("of_the_model", "by_default"), [(1024, 256), (512, 128), (200, 50), (129, 32), (64, 32), (24, 24)]
)
def test_a_window_is_a_quarter_of_the_models_and_32_px_at_least(
    tmp_path: Path, of_the_model: int, by_default: int
) -> None:
    masks = survey(tmp_path, "IMG_1.jpg", shape=(320, 320), window_px=of_the_model)
    result = noseam("review", masks, "--export", 1)
    assert result.exit_code == 0, result.output
    assert f"1 window of {by_default} px in 1 of 1 image" in result.output
    assert sides(masks / "review/export-1/windows.csv") == {by_default}


@NEEDS_TORCH
def test_windows_of_any_side_become_crops_that_train_together(tmp_path: Path) -> None:
    from segment.training.data import read_crop_set

    masks = survey(tmp_path, shape=(320, 320), window_px=160)
    for number, more in enumerate([("--window", 160), ("--window", 100), ()], 1):
        noseam("review", masks, "--export", 2, "--by", "random", *more)
        export = masks / f"review/export-{number}"
        result = noseam("review", masks, "--import", export, "--take-unchanged", "--split", 0.5)
        assert result.exit_code == 0, result.output
    assert [sides(masks / f"review/export-{number}/windows.csv") for number in (1, 2, 3)] == [{160}, {100}, {40}]
    found = read_crop_set(masks / "review/crops")
    assert found.window_px == 160
    assert found.train.files + found.val.files == 6
    with pytest.raises(
        TrainError, match=r"found 160 px in .*crops, 40 px in .*export-3; .* noseam review --import makes"
    ):
        read_crop_set(masks / "review/crops", masks / "review/export-3")
