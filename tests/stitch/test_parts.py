"""The rows of a part are those of the whole image, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.grids import grids
from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import LOGITS_STRIDE, Grid
from tiler.stitch.stitcher import Stitcher


def logits_of(grid: Grid, classes: int = 3) -> dict[tuple[int, int], NDArray[np.float32]]:
    height, width = (side // LOGITS_STRIDE for side in grid.tile_shape)
    random, shape = np.random.default_rng(0), (classes, height, width)
    return {(tile.row, tile.col): random.normal(size=shape).astype(np.float32) for tile in grid.tiles()}


def stitched(grid: Grid, span: Span | None, *, confidence: bool) -> list[NDArray[np.uint8]]:
    """Return labels and confidence; every fifth tile is left out."""
    logits, stitcher = logits_of(grid), Stitcher(grid, 3, confidence=confidence, span=span)
    rows = rows_of_tiles(grid, span) if span else range(len(grid.row_offs))
    found = []
    for row in rows:
        for tile in grid.row_tiles(row):
            left_out = (tile.row * 3 + tile.col) % 5 == 4
            came = stitcher.skip(tile) if left_out else stitcher.add(tile, logits[tile.row, tile.col])
            found += [np.stack((each.labels, each.confidence) if confidence else (each.labels,)) for each in came]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("confidence", [False, True])
@given(grid=grids(), data=st.data())
def test_a_part_has_the_rows_of_the_whole(confidence: bool, grid: Grid, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, grid.source_shape[0] - 1))
    span = Span(start, data.draw(st.integers(start + 1, grid.source_shape[0])))
    whole = np.concatenate(stitched(grid, None, confidence=confidence), axis=1)
    part = np.concatenate(stitched(grid, span, confidence=confidence), axis=1)
    np.testing.assert_array_equal(part, whole[:, span.start : span.stop])
