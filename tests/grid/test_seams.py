"""Where tiles meet: tags there and back, bands against a loop over tiles and pixels."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grids import grids
from tiler.errors import GridError
from tiler.grid.seams import SeamBands, bands_of, grid_tags, read_grid, seam_bands
from tiler.grid.tiles import Grid
from tiler.grid.window import Window


@given(grids())
def test_tags_tell_the_grid_again(grid: Grid) -> None:
    assert read_grid({"OTHER": "x", **grid_tags(grid)}, grid.source_shape) == grid


def test_tags_are_plain_numbers() -> None:
    grid = Grid((4000, 6000), (1024, 1536), (512, 768), (0, 256, 512), (0, 512, 768))
    assert grid_tags(grid) == {
        "NOSEAM_SHAPE": "4000 x 6000",
        "NOSEAM_MODEL_SHAPE": "1024 x 1536",
        "NOSEAM_TILE": "512 x 768",
        "NOSEAM_TILE_ROWS": "0 256 512",
        "NOSEAM_TILE_COLS": "0 512 768",
    }


def test_a_mask_that_was_cut_since_has_no_grid() -> None:
    grid = Grid((4000, 6000), (1024, 1536), (512, 768), (0, 256, 512), (0, 512, 768))
    assert read_grid(grid_tags(grid), (1000, 500)) is None


@pytest.mark.parametrize("tags", [{}, {"NOSEAM_MODEL_SHAPE": "10 x 20", "NOSEAM_TILE": "64"}])
def test_masks_that_do_not_say_have_no_grid(tags: dict[str, str]) -> None:
    assert read_grid(tags, (10, 20)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"NOSEAM_TILE_ROWS": ""}, "NOSEAM_TILE_ROWS: whole numbers expected, '' found"),
        ({"NOSEAM_TILE_COLS": "0 -64"}, "NOSEAM_TILE_COLS: whole numbers expected, '0 -64' found"),
        ({"NOSEAM_TILE": "64 64"}, "NOSEAM_TILE: 1 whole number expected"),
        ({"NOSEAM_TILE": "0"}, "tiles of 0 px"),
        ({"NOSEAM_TILE": "1000000000"}, "NOSEAM_TILE: 1 whole number expected, '1000000000' found"),
        ({"NOSEAM_MODEL_SHAPE": "100"}, "NOSEAM_MODEL_SHAPE: 2 whole numbers expected, '100' found"),
        ({"NOSEAM_TILE_ROWS": "32 64"}, r"NOSEAM_TILE_ROWS: .* \[32, 64\] found"),
        ({"NOSEAM_TILE_ROWS": "0 65"}, r"tiles of 64 px without gaps from 0 expected, \[0, 65\] found"),
        ({"NOSEAM_TILE_COLS": "0 64 64"}, "NOSEAM_TILE_COLS: tiles of 64 px without gaps"),
        ({"NOSEAM_TILE_COLS": "0"}, "NOSEAM_TILE_COLS: the tiles end at 64 of 100 model px"),
    ],
)
def test_tags_that_make_no_grid_are_refused(change: dict[str, str], message: str) -> None:
    tags = grid_tags(Grid((200, 200), (100, 100), (64, 64), (0, 64), (0, 64)))
    with pytest.raises(GridError, match=message):
        read_grid(tags | change, (200, 200))


@pytest.mark.parametrize("key", ["NOSEAM_MODEL_SHAPE", "NOSEAM_TILE", "NOSEAM_TILE_ROWS", "NOSEAM_TILE_COLS"])
def test_tags_that_say_it_in_part_are_refused(key: str) -> None:
    tags = grid_tags(Grid((200, 200), (100, 100), (64, 64), (0, 64), (0, 64)))
    del tags[key]
    with pytest.raises(GridError, match=f"tag {key}: "):
        read_grid(tags, (200, 200))


def slow_bands(offsets: tuple[int, ...], tile: int, model: int, source: int, width: int) -> list[bool]:
    """Ask of every source pixel: is its centre near enough to the middle of what two neighbouring tiles share?"""
    bands = []
    for row in range(source):
        at = (row + Fraction(1, 2)) * model / source
        middles = [Fraction(second + first + tile, 2) for first, second in pairwise(offsets)]
        bands.append(any(middle - Fraction(width, 2) <= at < middle + Fraction(width, 2) for middle in middles))
    return bands


@given(grids(), st.integers(1, 200))
def test_bands_are_those_of_a_loop_over_tiles_and_pixels(grid: Grid, width: int) -> None:
    found = bands_of(grid, width)
    offsets_of, bands_along = (grid.row_offs, grid.col_offs), (found.rows, found.cols)
    for offsets, tile, model, source, bands in zip(
        offsets_of, grid.tile_shape, grid.model_shape, grid.source_shape, bands_along, strict=True
    ):
        assert bands.dtype == np.bool_
        assert bands.tolist() == slow_bands(offsets, tile, model, source, width)


def test_the_zone_is_where_a_row_or_a_column_lies_in_a_band() -> None:
    found = SeamBands(np.array([False, True, False]), np.array([True, False]))
    assert found.zone(Window(1, 0, 2, 2)).tolist() == [[True, True], [True, False]]


@given(st.integers(0, 40), st.integers(1, 900), st.integers(1, 60))
def test_bands_off_the_lattice_too(overlap: int, source: int, width: int) -> None:
    offsets = (0, 64 - overlap, 2 * (64 - overlap))
    assert seam_bands(offsets, 64, 128, source, width).tolist() == slow_bands(offsets, 64, 128, source, width)


@pytest.mark.parametrize(
    ("offsets", "width", "expected"),
    [
        ((0, 64), 32, range(48, 80)),
        ((0, 56), 32, range(44, 76)),
        ((0, 24), 10, range(39, 49)),
        ((0, 64), 10, range(59, 69)),
        ((0,), 32, range(0)),
    ],
)
def test_bands_at_scale_1(offsets: tuple[int, ...], width: int, expected: range) -> None:
    bands = seam_bands(offsets, 64, offsets[-1] + 60, offsets[-1] + 60, width)
    assert np.flatnonzero(bands).tolist() == list(expected)


def test_one_width_is_as_wide_on_blended_and_on_hard_cut_tiles() -> None:
    blended, cut = (seam_bands(offsets, 64, 192, 1920, 8) for offsets in ((0, 32, 64, 96, 128), (0, 64, 128)))
    assert (blended.sum(), cut.sum()) == (4 * 80, 2 * 80)


def test_a_band_without_width_is_refused() -> None:
    with pytest.raises(GridError, match="at least 1 px wide, got 0"):
        seam_bands((0, 64), 64, 128, 128, 0)
