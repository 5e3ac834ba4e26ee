"""What a seam costs is told from where it lies, by masks whose tiles meet elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from segment.evaluation.compare import evaluate
from segment.evaluation.lines import evaluation_as_lines
from segment.evaluation.metrics import confusion, measure
from segment.evaluation.results import Evaluation
from tests.evaluation.making import as_json, write_gray, write_mask
from tests.make import noise
from tiler.grid.seams import bands_of
from tiler.grid.tiles import Grid, plan_grid
from tiler.grid.window import Window

SHAPE = (400, 600)
GRID, SHIFTED = (
    plan_grid(SHAPE, scale=1, tile=(192, 192), overlap=(48, 48), shift=(shift, shift)) for shift in (0, 64)
)


def zone(grid: Grid) -> NDArray[np.bool_]:
    return bands_of(grid, 32).zone(Window(0, 0, *SHAPE))


def spoilt(truth: NDArray[np.uint8], where: NDArray[np.bool_], seed: int) -> NDArray[np.uint8]:
    """Return the truth with about a third of the labels wrong at some places."""
    wrong = where & (noise(*SHAPE, high=3, seed=seed) == 0)
    return np.where(wrong, (truth + 1) % 4, truth).astype(np.uint8)


def compared(here: Path, truth: NDArray[np.uint8], ours: NDArray[np.uint8], moved: NDArray[np.uint8]) -> Evaluation:
    for name in ("masks", "shifted", "truth"):
        (here / name).mkdir()
    write_mask(here / "masks/a_label.png", ours, grid=GRID)
    write_mask(here / "shifted/a_label.png", moved, grid=SHIFTED)
    write_gray(here / "truth/a.png", truth)
    return evaluate(here / "masks", here / "truth", shifted=here / "shifted")


def test_places_that_are_easy_are_not_taken_for_good_seams(tmp_path: Path) -> None:
    """Where tiles happen to meet, every mask is right; elsewhere each is wrong in a third."""
    truth = noise(*SHAPE, high=4)
    ours = spoilt(truth, ~zone(GRID), seed=1)
    found = compared(tmp_path, truth, ours, ours)
    assert found.seams is not None
    assert found.seams.control is not None
    alone = evaluate(tmp_path / "masks", tmp_path / "truth").seams
    assert alone is not None
    assert alone.seam.accuracy - alone.interior.accuracy > 0.3
    assert found.seams.seam.accuracy - found.seams.control.accuracy == pytest.approx(0, abs=1e-12)
    assert found.seams.miou_of(found.seams.seam) == found.seams.miou_of(found.seams.control)
    lines = evaluation_as_lines(found)
    (row,) = (line for line in lines if line.startswith("accuracy ") and "points" in line)
    assert row.endswith("+0.00 points")
    assert "Same, shifted: the same places in masks whose tiles do not meet there." in lines


def test_errors_at_the_seams_of_each_mask_are_what_the_seam_costs(tmp_path: Path) -> None:
    truth = noise(*SHAPE, high=4)
    found = compared(tmp_path, truth, spoilt(truth, zone(GRID), seed=1), spoilt(truth, zone(SHIFTED), seed=2))
    assert found.seams is not None
    assert found.seams.control is not None
    assert found.seams.control.accuracy == 1
    assert found.seams.interior.accuracy == 1
    assert 0.6 < found.seams.seam.accuracy < 0.72
    told = as_json(found)["seams"]
    assert told["shifted"]["accuracy"] == 1
    assert told["seam"]["pixels"] == told["shifted"]["pixels"] == (zone(GRID) ^ zone(SHIFTED)).sum()


def test_scores_are_those_of_the_whole_arrays(tmp_path: Path) -> None:
    truth = noise(*SHAPE, high=5)
    truth[truth == 4] = 255
    ours, moved = noise(*SHAPE, high=4, seed=1), noise(*SHAPE, high=4, seed=2)
    found = compared(tmp_path, truth, ours, moved)
    here, there = zone(GRID), zone(SHIFTED)
    at_seams = np.where(here, ours, moved)
    elsewhere = np.where(here, moved, ours)
    assert found.seams is not None
    assert found.seams.seam == measure(confusion(truth[here ^ there], at_seams[here ^ there], 4))
    assert found.seams.control == measure(confusion(truth[here ^ there], elsewhere[here ^ there], 4))
    assert found.seams.interior == measure(confusion(truth[~here & ~there], ours[~here & ~there], 4))


def test_grids_whose_zones_are_the_same_say_so(tmp_path: Path) -> None:
    """Zones as wide as the tiles leave no place where only one mask has a seam."""
    truth = noise(*SHAPE, high=4)
    compared(tmp_path, truth, truth, truth)
    found = evaluate(tmp_path / "masks", tmp_path / "truth", shifted=tmp_path / "shifted", seam_px=4000)
    assert found.seams is not None
    assert found.seams.control is not None
    assert found.seams.control.pixels == 0
    assert any("with another --grid-shift" in line for line in evaluation_as_lines(found))
