"""The tile that suits an image: against a search of all rectangles, and what a user asks for instead."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiler.errors import GridError
from tiler.grid.fit import AUTO, MOST_TILE_PX, Quality, TileSize, fit_tile, parse_tile, tile_cost
from tiler.grid.tiles import Grid, on_lattice, plan_grid
from tiler.grid.tiling import Tiling

shapes = st.tuples(st.integers(1, 900), st.integers(1, 900))
overlaps = st.sampled_from([0, 16, 32, 50, 64])
balances = st.floats(5e3, 1e6)


def gridded(shape: tuple[int, int], tile: tuple[int, int], overlap_px: int) -> Grid:
    return plan_grid(shape, scale=1, tile=tile, overlap=(overlap_px, overlap_px))


def cost(shape: tuple[int, int], tile: tuple[int, int], overlap_px: int, balance_px: float) -> float:
    return len(gridded(shape, tile, overlap_px)) * tile_cost(tile[0] * tile[1], balance_px)


def harm(shape: tuple[int, int], tile: tuple[int, int], overlap_px: int) -> int:
    """Return a sum over the lines where tiles meet: of each, the square of the side of the image that it splits."""
    grid = gridded(shape, tile, overlap_px)
    return sum(shape[0] ** 2 for _ in grid.row_offs[1:]) + sum(shape[1] ** 2 for _ in grid.col_offs[1:])


@settings(max_examples=60, deadline=None)
@given(shapes, overlaps, balances, st.sampled_from([0, 0.75, 1, 1.5, 10]))
def test_no_other_rectangle_within_the_budget_harms_less_or_is_larger(
    shape: tuple[int, int], overlap_px: int, balance_px: float, budget: float
) -> None:
    found = fit_tile(shape, trained_px=128, overlap_px=overlap_px, balance_px=balance_px, budget=budget)
    whole = on_lattice(shape[0]), on_lattice(shape[1])
    heights, widths = (range(64, max(length, 128) + 1, 32) for length in whole)
    tiles = [(height, width) for height, width in product(heights, widths) if height * width >= 128**2]
    costs = {tile: cost(shape, tile, overlap_px // 2, balance_px) for tile in tiles}
    within = max(budget * cost(shape, (128, 128), overlap_px, balance_px), min(costs.values()))

    def rank(tile: tuple[int, int]) -> tuple[int, int, float]:
        seen = min(tile[0], whole[0]) * min(tile[1], whole[1])
        return harm(whole, tile, overlap_px // 2), -seen, costs[tile]

    assert costs[found] <= within
    assert rank(found) == min(rank(tile) for tile in tiles if costs[tile] <= within)


@given(st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)), overlaps, balances)
def test_a_budget_of_one_is_never_more_work_than_the_squares_of_training(
    shape: tuple[int, int], overlap_px: int, balance_px: float
) -> None:
    found = fit_tile(shape, trained_px=512, overlap_px=overlap_px, balance_px=balance_px)
    assert cost(shape, found, overlap_px // 2, balance_px) <= cost(shape, (512, 512), overlap_px, balance_px)
    assert found[0] * found[1] <= MOST_TILE_PX


@pytest.mark.parametrize("quality", ["balanced", "best"])
def test_rows_of_tiles_on_wide_mosaics_are_low(quality: Quality) -> None:
    tiling = Tiling(2000, 512, quality=quality)
    for side in (25_600, 30_000):
        height, width = tiling.tile_for((side, side), 1e6)
        assert 256 <= height <= 2**24 / side
        assert width > height
    assert tiling.tile_for((200_000, 200_000), 1e6)[0] <= 512


def test_a_tile_that_is_asked_for_is_cut_to_the_image_though_not_below_the_size_of_training() -> None:
    tiling = Tiling(512, 512, tile=TileSize((768, 1024)))
    assert tiling.tile_for((5000, 5000), 1e6) == (768, 1024)
    assert tiling.tile_for((600, 5000), 1e6) == (608, 1024)
    assert tiling.tile_for((100, 900), 1e6) == (512, 928)
    assert Tiling(512, 512, tile=TileSize((256, 64))).tile_for((100, 50), 1e6) == (256, 64)


@pytest.mark.parametrize(
    ("text", "size"), [("auto", AUTO), ("512", TileSize((512, 512))), ("768x1024", TileSize((768, 1024)))]
)
def test_a_size_is_read_as_it_is_written(text: str, size: TileSize) -> None:
    assert parse_tile(text) == size
    assert str(size) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected, got ''"),
        ("big", "auto, a side such as 512, or height x width such as 768x1024 expected, got 'big'"),
        ("512x", "expected, got '512x'"),
        ("0", "expected, got '0'"),
        ("500", "multiples of 32 px and at least 64 px, got 500"),
        ("512x32", "multiples of 32 px and at least 64 px, got 512x32"),
        ("\u0665\u0661\u0662", "expected, got"),
    ],
)
def test_what_is_no_size_is_refused(text: str, message: str) -> None:
    with pytest.raises(GridError, match=message):
        parse_tile(text)
