"""A stitcher is a blender and an upsampler, and blends at once."""

from __future__ import annotations

import numpy as np
import pytest

from tiler.classes import NO_LABEL
from tiler.errors import CoverError, LogitsError
from tiler.grid.tiles import Grid, plan_grid
from tiler.stitch.blend import Blender
from tiler.stitch.stitcher import Stitcher
from tiler.stitch.upsample import Upsampler

GRID = plan_grid((300, 420), scale=0.5, tile=(64, 64), overlap=(16, 16))


def logits(grid: Grid, classes: int) -> list[np.ndarray]:
    generator = np.random.default_rng(3)
    height, width = (side // 4 for side in grid.tile_shape)
    return [generator.normal(size=(classes, height, width)).astype(np.float32) for _ in grid.tiles()]


@pytest.mark.parametrize("confidence", [False, True])
def test_rows_are_those_of_blender_and_upsampler(confidence: bool) -> None:
    stitcher, blender, upsampler = (
        Stitcher(GRID, 5, confidence=confidence),
        Blender(GRID, 5),
        Upsampler(GRID, confidence),
    )
    seen = 0
    for tile, values in zip(GRID.tiles(), logits(GRID, 5), strict=True):
        found = list(stitcher.add(tile, values))
        band = blender.add(tile, values)
        expected = list(upsampler.rows(band)) if band else []
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            assert (one.confidence is not None) is confidence
            if confidence:
                np.testing.assert_array_equal(one.confidence, other.confidence)
            seen += len(one.labels)
    assert seen == GRID.source_shape[0]


def test_a_tile_is_blended_even_if_nobody_asks_for_its_rows() -> None:
    tiles, values = list(GRID.tiles()), logits(GRID, 2)
    stitcher = Stitcher(GRID, 2)
    stitcher.add(tiles[0], values[0])
    with pytest.raises(CoverError, match="came twice or out of turn"):
        stitcher.add(tiles[0], values[0])
    values[1][:] = np.nan
    with pytest.raises(LogitsError, match="512 of 512 logits are NaN or infinite"):
        stitcher.add(tiles[1], values[1])


def test_rows_may_be_asked_for_after_later_tiles_came() -> None:
    tiles, values = list(GRID.tiles()), logits(GRID, 3)
    at_once, later = Stitcher(GRID, 3), Stitcher(GRID, 3)
    expected = [rows.labels for tile, one in zip(tiles, values, strict=True) for rows in at_once.add(tile, one)]
    waiting = [later.add(tile, one) for tile, one in zip(tiles, values, strict=True)]
    found = [rows.labels for part in waiting for rows in part]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))


def test_an_image_without_a_valid_tile_has_no_labels() -> None:
    stitcher = Stitcher(GRID, 3, confidence=True)
    rows = [rows for tile in GRID.tiles() for rows in stitcher.skip(tile)]
    assert sum(len(part.labels) for part in rows) == GRID.source_shape[0]
    for part in rows:
        assert part.confidence is not None
        assert (part.labels == NO_LABEL).all()
        assert (part.confidence == NO_LABEL).all()
