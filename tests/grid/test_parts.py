"""Parts cover an image once, begin at blocks, and need no tile but those that they name."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grids import grids
from tiler.grid.parts import BLOCK_PX, Span, plan_parts, rows_of_tiles, runs_of_parts
from tiler.grid.tiles import LOGITS_STRIDE, Grid, plan_grid
from tiler.stitch.upsample import sample_points


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(0, 40_000_000))
def test_parts_cover_every_row_once_and_begin_at_blocks(height: int, width: int, part_px: int) -> None:
    grid = plan_grid((height, width), scale=0.1, tile=(64, 64), overlap=(0, 0))
    parts = plan_parts(grid, part_px)
    assert [row for part in (parts[0], parts[-1]) for row in (part.start, part.stop)][::3] == [0, height]
    assert all(one.stop == other.start for one, other in pairwise(parts))
    assert all(part.start % BLOCK_PX == 0 and len(part) > 0 for part in parts)
    assert len(parts) == 1 or height * width >= 2 * part_px > 0
    assert all(len(part) * width + BLOCK_PX * width >= min(part_px, height * width) for part in parts)


@given(grids(), st.data())
def test_rows_of_tiles_are_those_that_reach_the_cells_of_a_span(grid: Grid, data: st.DataObject) -> None:
    height = grid.source_shape[0]
    start = data.draw(st.integers(0, height - 1))
    span = Span(start, data.draw(st.integers(start + 1, height)))
    lower, _ = sample_points(source=height, model=grid.model_shape[0], cells=grid.cells_shape[0])
    cells = set(range(int(lower[span.start]), int(lower[span.stop - 1]) + 2))
    reaching = [
        row for row, off in enumerate(grid.row_offs)
        if cells & set(range(off // LOGITS_STRIDE, (off + grid.tile_shape[0]) // LOGITS_STRIDE))
    ]  # fmt: skip
    rows = rows_of_tiles(grid, span)
    assert rows.start <= reaching[0]
    assert rows.stop > reaching[-1]
    assert len(rows) <= len(reaching) + 2


@given(grids(), st.integers(1, 9), st.sets(st.integers(0, 30)))
def test_runs_hold_every_missing_part_once_in_order(grid: Grid, workers: int, done: set[int]) -> None:
    edges = np.linspace(0, grid.source_shape[0], min(30, grid.source_shape[0]) + 1).astype(int).tolist()
    parts = [Span(*edge) for index, edge in enumerate(pairwise(edges)) if index not in done]
    runs = runs_of_parts(grid, parts, workers)
    assert [part for run in runs for part in run] == parts
    assert all(one.stop == other.start for run in runs for one, other in pairwise(run))
    if workers == 1:
        assert all(one[-1].stop < other[0].start for one, other in pairwise(runs))


@pytest.mark.parametrize(("workers", "least"), [(2, 6), (8, 12)])
def test_several_workers_get_about_three_runs_each_of_a_mosaic(workers: int, least: int) -> None:
    grid = plan_grid((100_000, 100_000), scale=1, tile=(1024, 1024), overlap=(256, 256))
    parts = plan_parts(grid)
    assert len(parts) > 60
    runs = runs_of_parts(grid, parts, workers)
    assert least <= len(runs) <= 5 * workers
    repeated = sum(len(rows_of_tiles(grid, Span(run[0].start, run[-1].stop))) for run in runs) - len(grid.row_offs)
    assert repeated <= 2 * len(runs)
