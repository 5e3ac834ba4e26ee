"""Blocks of a tile's shape are counted as a loop over neighbours counts them, and tell tiles from fields."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segment.evaluation.blocks import BlockCounter, Blocks
from tests.grids import grids
from tests.make import noise
from tiler.grid.seams import SeamBands, bands_of
from tiler.grid.tiles import Grid, plan_grid
from tiler.grid.window import Window


def slow_blocks(ids: NDArray[np.uint8], bands: SeamBands) -> tuple[int, float]:
    """Look at every two neighbours: do they lie in a band of columns, of rows, of both or of none?"""
    pairs, changes = ({(way, row, col): 0 for way in (0, 1) for row in (0, 1) for col in (0, 1)} for _ in range(2))
    height, width = ids.shape
    for row in range(height):
        for col in range(width):
            for way, before in ((0, (row, col - 1)), (1, (row - 1, col))):
                if min(before) < 0 or ids[before] == 255 or ids[row, col] == 255:
                    continue
                key = way, int(bands.rows[row]), int(bands.cols[col])
                pairs[key] += 1
                changes[key] += int(ids[before] != ids[row, col])

    def expected(across: int, along: int, band: tuple[int, int]) -> float:
        if 0 in (pairs[across, *band], pairs[along, *band]):
            return 0
        rates = [(changes[way, 0, 0] + 1) / max(pairs[way, 0, 0], 1) for way in (across, along)]
        return pairs[across, *band] * changes[along, *band] / pairs[along, *band] * rates[0] / rates[1]

    found = changes[0, 0, 1] + changes[1, 1, 0]
    return found, expected(0, 1, (0, 1)) + expected(1, 0, (1, 0))


def blocks_of(ids: NDArray[np.uint8], bands: SeamBands, rows: int = 10_000) -> Blocks:
    counter = BlockCounter(bands)
    for row in range(0, len(ids), rows):
        part = ids[row : row + rows]
        counter.add(part, Window(row, 0, len(part), ids.shape[1]))
    return counter.blocks()


@given(grids(most=40, scales=(3, 6)), st.integers(1, 40), st.integers(0, 99), st.integers(1, 50))
@settings(max_examples=30)
def test_counts_are_those_of_a_loop_over_neighbours(grid: Grid, width: int, seed: int, rows: int) -> None:
    ids = noise(*grid.source_shape, high=4, seed=seed)
    ids[ids == 3] = 255
    bands = bands_of(grid, width)
    found = blocks_of(ids, bands, rows)
    changes, expected = slow_blocks(ids, bands)
    assert found.changes == changes
    assert math.isclose(found.expected, expected, abs_tol=1e-9)


GRID, OTHER = (
    plan_grid((600, 900), scale=0.5, tile=(128, 128), overlap=(32, 32), shift=(shift, shift)) for shift in (0, 32)
)
BANDS = bands_of(GRID, 32)


def field(seed: int, *, stretched: tuple[int, int] = (1, 1)) -> NDArray[np.float64]:
    """Return smooth values, in things of 10 px that are so many times as high and as wide."""
    coarse = Image.fromarray(noise(60 // stretched[0], 90 // stretched[1], seed=seed))
    return np.asarray(coarse.resize((900, 600), Image.Resampling.BICUBIC), np.float64)


@pytest.mark.parametrize("stretched", [(1, 1), (1, 6), (6, 1)], ids=["grass", "rows", "columns"])
def test_a_field_without_tiles_shows_none_whichever_way_its_things_lie(stretched: tuple[int, int]) -> None:
    found = sum((blocks_of((field(seed, stretched=stretched) > 128).astype(np.uint8), BANDS) for seed in range(6)),
                Blocks())  # fmt: skip
    assert found.enough
    assert 0.93 < found.blockiness < 1.07


def test_a_place_where_more_happens_than_elsewhere_shows_no_tiles() -> None:
    """A busy strip lies where tiles meet; counting changes there against changes elsewhere would call it a block."""
    values = np.where(BANDS.cols, field(1), field(1, stretched=(5, 5)))
    assert blocks_of((values > 128).astype(np.uint8), BANDS).blockiness < 1.15


@pytest.mark.parametrize(("seen", "shows"), [(GRID, True), (OTHER, False)], ids=["its tiles", "other tiles"])
def test_tiles_that_see_the_field_otherwise_show_where_they_meet(seen: Grid, shows: bool) -> None:
    rows, cols = (
        np.searchsorted([(one + 128 + two) for one, two in pairwise(offs)], np.arange(length), side="right")
        for offs, length in ((seen.row_offs, 600), (seen.col_offs, 900))
    )
    brighter = noise(8, 12, high=60, seed=5)[rows[:, np.newaxis], cols]
    blockiness = blocks_of((field(2, stretched=(6, 6)) + brighter > 148).astype(np.uint8), BANDS).blockiness
    assert blockiness > 1.2 if shows else 0.9 < blockiness < 1.1


def test_one_hard_line_in_a_plain_field_shows_though_nothing_is_expected() -> None:
    ids = np.zeros((64, 128), np.uint8)
    ids[:, 64:] = 1
    found = blocks_of(ids, bands_of(plan_grid(ids.shape, scale=1, tile=(64, 64), overlap=(0, 0)), 8))
    assert (found.changes, found.expected, found.blockiness, found.enough) == (64, 0, 65, False)


def test_a_plain_mask_shows_nothing() -> None:
    assert blocks_of(np.zeros((600, 900), np.uint8), BANDS).blockiness == 1
