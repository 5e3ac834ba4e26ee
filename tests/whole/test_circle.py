"""Scenes, crops, training, masks and evaluation, one after the other at small size, all on one grid."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import tiler.crops.plan
import tiler.grid.tiles
from segment import api
from segment.model.checkpoint import describe_checkpoint
from tiler.crops.plan import CropOptions, plan_crops
from tiler.grid.tiles import plan_grid
from tiler.grid.window import Window
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey


def tile_windows(shape: tuple[int, int], side: int, overlap: float) -> tuple[Window, ...]:
    """Return the windows of the tiles that `segment` runs at full resolution."""
    grid = plan_grid(shape, scale=1, tile=(side, side), overlap=(round(overlap * side), round(overlap * side)))
    return tuple(tile.window for tile in grid.tiles())


def test_crops_and_tiles_come_from_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    real = tiler.grid.tiles.axis_positions

    def spy(size: int, tile: int, overlap: int, *, align: int = 1, shift: int = 0) -> tuple[int, ...]:
        asked.append((size, tile, overlap))
        return real(size, tile, overlap, align=align, shift=shift)

    assert vars(tiler.crops.plan)["axis_positions"] is real
    monkeypatch.setattr(tiler.grid.tiles, "axis_positions", spy)
    monkeypatch.setattr(tiler.crops.plan, "axis_positions", spy)
    plan_crops((4096, 6144), CropOptions(window_px=2048, overlap=0.25))
    tile_windows((4096, 6144), 2048, 0.25)
    assert asked == [(4096, 2048, 512), (6144, 2048, 512)] * 2


def test_another_overlap_moves_crops_and_tiles_alike() -> None:
    shape, side = (1280, 2048), 512  # gaps that are whole steps of the tile lattice
    plans = []
    for overlap in (0.0, 0.25, 0.5):
        crops = plan_crops(shape, CropOptions(window_px=side, overlap=overlap))
        assert crops == tile_windows(shape, side, overlap)
        plans.append(crops)
    assert [len(plan) for plan in plans] == [12, 15, 28]


def test_scenes_to_masks_and_back(tmp_path: Path) -> None:
    survey, crops, model, masks = (tmp_path / name for name in ("survey", "crops", "model", "masks"))
    request = SceneOptions(
        photos=5, photo_shape=(256, 384), orthomosaics=1, orthomosaic_shape=(256, 384), gsd_m=0.06, seed=11
    )
    make_survey(survey, request, jobs=1)
    report = api.crop(
        survey / "images", survey / "truth", crops, classes=survey / "classes.csv", window_px=128, split=0.67, jobs=1
    )
    assert (report.train, report.val, report.failed) == (24, 12, ())
    result = api.train(
        crops, model, base="nano", input_px=64, batch_size=4, lr=4e-3, epochs=12, workers=0, device="cpu", warmup=0.1
    )
    assert describe_checkpoint(str(model)).tiling.trained_gsd_m == pytest.approx((0.12, 0.12), rel=0.01)
    assert (
        "Pixels of the images cover 6 cm of ground, pixels that the network sees 12 cm."
        in (model / "README.md").read_text()
    )
    with (model / "learning_curve.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.6 * losses[0]
    outcomes = api.segment(survey / "images", masks, model=str(result.folder), device="cpu", tile="64")
    assert [outcome.state for outcome in outcomes] == ["done"] * 6
    found = api.evaluate(masks, survey / "truth", classes=survey / "classes.csv")
    assert len(found.images) == 6
    assert not found.failed
    assert found.metrics.miou > 1.5 * found.metrics.majority_miou
    assert found.metrics.accuracy > found.metrics.majority_accuracy
    assert found.seams is not None
    again = api.segment(survey / "images", masks, model=str(result.folder), device="cpu", tile="64")
    assert [outcome.state for outcome in again] == ["skipped"] * 6
