"""How far tiles disagree is what the slow definition says, and asking for it changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import reference
from tests.grids import grids
from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile, plan_grid
from tiler.stitch.stitcher import Stitcher
from tiler.stitch.upsample import MaskRows, sample_points

Tiles = list[tuple[Tile, NDArray[np.float32]]]
ROUNDING = 4e-6
"""What float32 rounds in the difference of two logarithms of summed exponentials, about 4 each."""
GRID = plan_grid((200, 300), scale=0.6, tile=(64, 96), overlap=(32, 16))


def tiles_of(grid: Grid, classes: int = 3, *, spread: float = 2.0) -> Tiles:
    """Return random logits for each tile, but for every seventh, which is left out."""
    random = np.random.default_rng(1)
    height, width = (side // LOGITS_STRIDE for side in grid.tile_shape)
    return [
        (tile, (spread * random.normal(size=(classes, height, width))).astype(np.float32))
        for number, tile in enumerate(grid.tiles())
        if number % 7 != 6
    ]


def stitched(grid: Grid, tiles: Tiles, span: Span | None = None, **asked: bool) -> MaskRows:
    stitcher = Stitcher(grid, len(tiles[0][1]) if tiles else 3, span=span, **asked)
    known = {(tile.row, tile.col): logits for tile, logits in tiles}
    found: list[MaskRows] = []
    for row in rows_of_tiles(grid, span) if span else range(len(grid.row_offs)):
        for tile in grid.row_tiles(row):
            logits = known.get((tile.row, tile.col))
            found += stitcher.skip(tile) if logits is None else stitcher.add(tile, logits)
    return joined(found)


def joined(rows: Sequence[MaskRows]) -> MaskRows:
    sure = [each.confidence for each in rows if each.confidence is not None]
    apart = [each.disagreement for each in rows if each.disagreement is not None]
    labels = np.concatenate([each.labels for each in rows])
    return MaskRows(labels, np.concatenate(sure) if sure else None, np.concatenate(apart) if apart else None)


def upsampled(cells: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    for axis in (0, 1):
        lower, share = sample_points(
            source=grid.source_shape[axis], model=grid.model_shape[axis], cells=cells.shape[axis]
        )
        part = share.astype(np.float64).reshape((-1, 1) if axis == 0 else (1, -1))
        cells = cells.take(lower, axis) * (1 - part) + cells.take(lower + 1, axis) * part
    return cells


@settings(max_examples=15)
@given(grids(most=160, scales=(0.3, 2)))
def test_it_is_what_the_slow_definition_says(grid: Grid) -> None:
    tiles = tiles_of(grid)
    levels = stitched(grid, tiles, confidence=True, disagreement=True).disagreement
    assert levels is not None
    squares = reference.disagreement(grid, tiles) ** 2
    # the root makes what float32 rounds away large where tiles nearly agree
    least, most = (254 * upsampled(np.sqrt(np.maximum(squares + sign * ROUNDING, 0)), grid) for sign in (-1, 1))
    np.testing.assert_array_equal(levels == 255, np.isnan(most))
    told = ~np.isnan(most)
    assert (levels[told] > least[told] - 0.501).all()
    assert (levels[told] < most[told] + 0.501).all()


@pytest.mark.parametrize("confidence", [False, True])
def test_labels_and_confidence_are_the_same_bits_with_and_without(confidence: bool) -> None:
    tiles = tiles_of(GRID, 5)
    asked, plain = (
        stitched(GRID, tiles, confidence=confidence, disagreement=disagreement) for disagreement in (True, False)
    )
    if confidence:
        assert len(asked.planes) == 3
        np.testing.assert_array_equal(np.stack(asked.planes[:2]), np.stack(plain.planes))
    else:
        np.testing.assert_array_equal(asked.labels, plain.labels)


@given(st.data())
def test_a_part_has_the_rows_of_the_whole(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, GRID.source_shape[0] - 1))
    span = Span(start, data.draw(st.integers(start + 1, GRID.source_shape[0])))
    tiles = tiles_of(GRID)
    whole, part = (stitched(GRID, tiles, rows, confidence=True, disagreement=True) for rows in (None, span))
    rows = slice(span.start, span.stop)
    np.testing.assert_array_equal(np.stack(part.planes), np.stack(whole.part(rows).planes))


def test_equal_votes_agree_and_those_that_exclude_each_other_do_not() -> None:
    grid = plan_grid((64, 96), scale=1, tile=(64, 64), overlap=(0, 32))
    sure = np.zeros((2, 16, 16), np.float32)
    sure[0] = 40
    left, right = grid.tiles()
    for other, least, most in ((sure, 0, 0), (sure[::-1].copy(), 250, 254)):
        levels = stitched(grid, [(left, sure), (right, other)], disagreement=True).disagreement
        assert levels is not None
        assert (levels[:, :30] == 255).all()  # one tile alone
        assert (levels[:, -30:] == 255).all()
        middle = levels[:, 46:50]
        assert least <= middle.min() <= middle.max() <= most


def test_votes_are_equal_whatever_constant_is_added_to_all_classes() -> None:
    grid = plan_grid((64, 96), scale=1, tile=(64, 64), overlap=(0, 32))
    logits = np.random.default_rng(0).normal(size=(4, 16, 24)).astype(np.float32)
    left, right = grid.tiles()
    levels = stitched(grid, [(left, logits[:, :, :16]), (right, logits[:, :, 8:] + 3)], disagreement=True).disagreement
    assert levels is not None
    assert set(np.unique(levels).tolist()) == {0, 255}


def test_one_tile_has_nobody_to_disagree_with() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    levels = stitched(grid, tiles_of(grid), disagreement=True).disagreement
    assert levels is not None
    assert (levels == 255).all()
