"""The tile that suits an image: against a search of all rectangles, and what a user asks for instead."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiler.errors import GridError
from tiler.grid.fit import AUTO, MOST_TILE_PX, Quality, TileSize, fit_tile, parse_tile, tile_cost
from tiler.grid.tiles import plan_grid
from tiler.grid.tiling import Tiling

shapes = st.tuples(st.integers(1, 900), st.integers(1, 900))
overlaps = st.sampled_from([0, 16, 32, 50, 64])
balances = st.floats(5e3, 1e6)


def every_tile(shape: tuple[int, int], overlap_px: int, balance_px: float) -> dict[tuple[int, int], tuple[int, float]]:
    """Return of every tile the length of the lines where tiles meet, model pixels, and the cost."""
    found = {}
    for height, width in product(range(128, 929, 32), repeat=2):
        grid = plan_grid(shape, scale=1, tile=(height, width), overlap=(overlap_px, overlap_px))
        lines = (len(grid.row_offs) - 1) * shape[1] + (len(grid.col_offs) - 1) * shape[0]
        found[height, width] = lines, len(grid) * tile_cost(height * width, balance_px)
    return found


@settings(max_examples=40, deadline=None)
@given(shapes, overlaps, balances, st.sampled_from([0, 0.8, 1, 1.5, 10]))
def test_no_other_rectangle_within_the_budget_has_fewer_lines_or_shares_more(
    shape: tuple[int, int], overlap_px: int, balance_px: float, budget: float
) -> None:
    found = fit_tile(shape, trained_px=128, overlap_px=overlap_px, balance_px=balance_px, budget=budget)
    tiles = every_tile(shape, overlap_px, balance_px)
    within = max(budget * tiles[128, 128][1], min(cost for _, cost in tiles.values()))
    lines, _, best = min((lines, cost, tile) for tile, (lines, cost) in tiles.items() if cost <= within)
    for wider_px in range(overlap_px + 32, min(2 * overlap_px, 96) + 1, 32):
        tiles = every_tile(shape, wider_px, balance_px)
        wider = [(cost, tile) for tile, (found_lines, cost) in tiles.items() if found_lines == lines and cost <= within]
        if not wider:
            break
        best = min(wider)[1]
    assert found == best


@given(st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)), overlaps, balances)
def test_a_budget_of_one_is_never_more_work_than_the_squares_of_training(
    shape: tuple[int, int], overlap_px: int, balance_px: float
) -> None:
    found = fit_tile(shape, trained_px=512, overlap_px=overlap_px, balance_px=balance_px)
    cost, squares = (
        len(plan_grid(shape, scale=1, tile=tile, overlap=(overlap_px, overlap_px)))
        * tile_cost(tile[0] * tile[1], balance_px)
        for tile in (found, (512, 512))
    )
    assert cost <= squares
    assert found[0] * found[1] <= MOST_TILE_PX


@pytest.mark.parametrize("quality", ["balanced", "best"])
def test_rows_of_tiles_on_wide_mosaics_are_low(quality: Quality) -> None:
    tiling = Tiling(2000, 512, quality=quality)
    for side in (25_600, 30_000):
        height, width = tiling.tile_for((side, side), 1e6)
        assert 512 <= height <= 2**24 / side
        assert width > height
    assert tiling.tile_for((200_000, 200_000), 1e6)[0] == 512


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
