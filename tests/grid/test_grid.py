"""Tiles cover the image, exactly, whatever its size; `axis_positions` keeps its promises."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grids import grids
from tiler.errors import GridError
from tiler.grid.fit import TileSize
from tiler.grid.tiles import Grid, axis_positions, plan_grid
from tiler.grid.tiling import Tiling, TilingOptions
from tiler.grid.window import Window
from tiler.words import lengths


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Draw (size, tile, overlap, align) that `axis_positions` accepts."""
    align = draw(st.sampled_from([1, 2, 32]))
    tile = align * draw(st.integers(1, 40))
    overlap = draw(st.integers(0, tile - align))
    size = draw(st.one_of(st.integers(1, tile), st.integers(0, 200).map(lambda n: tile + align * n)))
    return size, tile, overlap, align


@given(axes())
def test_positions_keep_every_promise(axis: tuple[int, int, int, int]) -> None:
    size, tile, overlap, align = axis
    positions = axis_positions(size, tile, overlap, align=align)
    gaps = np.diff(positions)
    assert positions[0] == 0
    assert positions[-1] == max(size - tile, 0)
    assert all(position % align == 0 for position in positions)
    assert (gaps > 0).all()
    assert (gaps <= tile - overlap).all()
    assert len(set(gaps.tolist())) <= 2
    assert np.ptp(gaps) <= align if len(gaps) else True


@given(axes())
def test_no_fewer_positions_could_cover_the_axis(axis: tuple[int, int, int, int]) -> None:
    size, tile, overlap, align = axis
    count = len(axis_positions(size, tile, overlap, align=align))
    longest = (tile - overlap) // align * align
    assert count == 1 or (count - 2) * longest + tile < size


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "align", "expected"),
    [
        (6000, 2000, 0, 1, (0, 2000, 4000)),  # the recipe's training crops
        (4000, 2000, 0, 1, (0, 2000)),
        (1536, 512, 128, 32, (0, 320, 672, 1024)),
        (1024, 512, 128, 32, (0, 256, 512)),
        (512, 512, 511, 1, (0,)),
        (1, 512, 0, 32, (0,)),  # shorter than a tile
        (513, 512, 0, 1, (0, 1)),  # nearly all overlap
        (10, 3, 1, 1, (0, 1, 3, 5, 7)),
    ],
)
def test_positions_by_hand(size: int, tile: int, overlap: int, align: int, expected: tuple[int, ...]) -> None:
    assert axis_positions(size, tile, overlap, align=align) == expected


@given(axes(), st.integers(0, 40))
def test_a_shift_moves_all_tiles_but_the_first_and_the_last(axis: tuple[int, int, int, int], steps: int) -> None:
    size, tile, overlap, align = axis
    plain = axis_positions(size, tile, overlap, align=align)
    shifted = axis_positions(size, tile, overlap, align=align, shift=steps * align)
    gaps = np.diff(shifted)
    assert (shifted[0], shifted[-1]) == (plain[0], plain[-1])
    assert all(position % align == 0 for position in shifted)
    assert ((gaps > 0) & (gaps <= tile - overlap)).all()
    moved = steps * align % plain[1] if len(plain) > 1 else 0
    assert shifted == (plain if not moved else (0, *(offset - moved for offset in plain[1:]), plain[-1]))


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "align", "message"),
    [
        (0, 4, 0, 1, "must be positive"),
        (4, 0, 0, 1, "must be positive"),
        (8, 4, 4, 1, "leaves no stride"),
        (8, 4, -1, 1, "leaves no stride"),
        (128, 64, 40, 32, "leaves no stride"),
        (100, 64, 0, 32, "not a multiple of 32"),
    ],
)
def test_impossible_axes_are_refused(size: int, tile: int, overlap: int, align: int, message: str) -> None:
    with pytest.raises(GridError, match=message):
        axis_positions(size, tile, overlap, align=align)


def test_the_cut_of_a_model_that_does_not_say_its_own() -> None:
    assert (
        str(Tiling())
        == "windows of 512 px become 512 px, tiles chosen for each image (balanced), overlap 0.25 of 512 px"
    )


def test_the_drone_recipe_plans_12_tiles() -> None:
    tiling = Tiling(window_px=2000, input_px=512, overlap=0.25, tile=TileSize((512, 512)))
    grid = tiling.grid((4000, 6000), scale=tiling.scale(), balance_px=1e6)
    assert len(grid) == 12
    assert grid.model_shape == (1024, 1536)


def test_full_resolution_plans_176_tiles() -> None:
    assert len(plan_grid((4000, 6000), scale=1, tile=(512, 512), overlap=(128, 128))) == 176


shapes = st.tuples(st.integers(1, 700), st.integers(1, 700))
scales = st.floats(0.01, 8)
sides = st.integers(2, 8).map(lambda n: 32 * n)


@given(grids(most=700, scales=(0.01, 8)))
def test_tiles_cover_the_padded_grid_and_only_it(grid: Grid) -> None:
    cells = np.zeros(grid.cells_shape, int)
    for tile in grid.tiles():
        assert tile.window.row_off % 32 == 0
        assert tile.window.col_off % 32 == 0
        cells[tile.cells.slices] += 1
    assert cells.min() >= 1
    for padded, model, side in zip(grid.padded_shape, grid.model_shape, grid.tile_shape, strict=True):
        assert 0 <= padded - max(model, side) < 32 or padded == side


@given(grids(most=700, scales=(0.01, 8)))
def test_no_row_or_column_of_tiles_is_run_twice(grid: Grid) -> None:
    windows = [tile.window for tile in grid.tiles()]
    assert len(set(windows)) == len(windows) == len(grid)
    assert len(set(grid.row_offs)) == len(grid.row_offs)
    assert len(set(grid.col_offs)) == len(grid.col_offs)


@given(shapes, scales, sides, sides)
def test_source_windows_cover_every_source_pixel(shape: tuple[int, int], scale: float, height: int, width: int) -> None:
    grid = plan_grid(shape, scale=scale, tile=(height, width), overlap=(0, 0))
    covered = np.zeros(shape, bool)
    for tile in grid.tiles():
        covered[grid.source_window(tile.window).slices] = True
    assert covered.all()


@given(shapes, scales, st.integers(0, 600), st.integers(1, 64), st.integers(0, 8))
def test_source_window_is_the_least_that_holds_the_model_window(
    shape: tuple[int, int], scale: float, start: int, length: int, margin: int
) -> None:
    grid = plan_grid(shape, scale=scale, tile=(64, 64), overlap=(0, 0))
    start = min(start, grid.model_shape[0] - 1)
    window = grid.source_window(Window(start, 0, length, 1), margin=margin)
    ratio = Fraction(shape[0], grid.model_shape[0])
    under = [
        row for row in range(shape[0]) if row < (start + length + margin) * ratio and row + 1 > (start - margin) * ratio
    ]
    assert (window.row_off, window.row_stop) == (under[0], under[-1] + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "scale must be a positive number"),
        ({"scale": float("nan")}, "scale must be a positive number"),
        ({"scale": float("inf")}, "scale must be a positive number"),
        ({"tile": (512, 100)}, "multiple of 32"),
        ({"tile": (32, 512)}, "at least 64"),
        ({"overlap": (0, 500)}, "leaves no stride"),
        ({"shift": (31, 0)}, "a shift must be a multiple of 32, 0 or more, got 31"),
        ({"shift": (0, -32)}, "a shift must be a multiple of 32, 0 or more, got -32"),
        ({"source_shape": (0, 5)}, "at least one pixel"),
    ],
)
def test_impossible_grids_are_refused(arguments: dict[str, object], message: str) -> None:
    valid: dict[str, object] = {"source_shape": (10, 10), "scale": 1, "tile": (512, 512), "overlap": (0, 0)}
    shape = {**valid, **arguments}.pop("source_shape")
    with pytest.raises(GridError, match=message):
        plan_grid(shape, **{k: v for k, v in {**valid, **arguments}.items() if k != "source_shape"})  # type: ignore[arg-type]


def test_cells_of_a_tile_are_a_quarter_of_its_window() -> None:
    tile = list(plan_grid((300, 300), scale=1, tile=(64, 64), overlap=(16, 16)).tiles())[-1]
    window, cells = tile.window, tile.cells
    assert (cells.row_off, cells.col_off) == (window.row_off / 4, window.col_off / 4)
    assert (cells.height, cells.width) == (16, 16)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(GridError, match="at least one pixel"):
        Window(0, 0, 0, 5)


def test_scale_comes_from_ground_sample_distances_where_both_are_known() -> None:
    assert Tiling(window_px=2000, input_px=512).scale(0.05) == 0.256
    assert Tiling(window_px=2000, gsd_m=0.1).scale(0.05) == 0.5
    assert Tiling(window_px=2000, input_px=512, gsd_m=0.1).scale(None) == 0.256


def test_a_tiling_by_ground_sample_distance_alone_needs_that_of_the_image() -> None:
    tiling = Tiling(window_px=None, gsd_m=0.1)
    asked = "a ground sample distance of 0.1 m was asked for, but the image"
    with pytest.raises(GridError, match=f"^{asked} does not say its own, or use --window and --input$"):
        tiling.scale(None)
    with pytest.raises(GridError, match=f"^{asked} has no georeference; give it one, or use --window and --input$"):
        tiling.scale(None, no_gsd="has no georeference; give it one")


def test_absurd_enlargement_is_refused() -> None:
    with pytest.raises(GridError, match=r"enlarged 8\.1 times, 8 is the most"):
        Tiling(window_px=None, gsd_m=1.0).scale(8.1)
    with pytest.raises(GridError, match="reduced 1001 times, 1000 is the most"):
        Tiling(window_px=None, gsd_m=1001.0).scale(1.0)
    assert Tiling(window_px=None, gsd_m=1.0).scale(8.0) == 8
    assert Tiling(window_px=None, gsd_m=1000.0).scale(1.0) == 0.001


def test_the_users_settings_replace_the_checkpoints() -> None:
    own = Tiling(window_px=2000, input_px=512, overlap=0.25, gsd_m=0.02)
    assert TilingOptions().over(own) == own
    by_window = TilingOptions(window_px=1000, input_px=256, overlap=0.5).over(own)
    assert by_window == Tiling(window_px=1000, input_px=256, overlap=0.5, gsd_m=None)
    assert TilingOptions(gsd_m=0.1).over(own).window_px is None
    with pytest.raises(GridError, match="give one of them"):
        TilingOptions(window_px=1000, gsd_m=0.1).over(own)


def test_a_quality_replaces_the_tile_of_a_checkpoint() -> None:
    own = Tiling(tile=TileSize((512, 512)))
    assert TilingOptions().over(own) == own
    assert TilingOptions(quality="best").over(own) == Tiling(quality="best")
    assert TilingOptions(quality="fast").over(own) == Tiling(quality="fast")
    both = TilingOptions(quality="best", tile=TileSize((256, 256))).over(own)
    assert both == Tiling(quality="best", tile=TileSize((256, 256)))


@pytest.mark.parametrize(
    ("source_gsd_m", "far"),
    [(0.0166, True), (0.0167, False), (0.05, False), (0.1, False), (1.19, False), (1.21, True), (300, True)],
)
def test_three_times_off_the_trained_resolutions_is_far_from_scale(source_gsd_m: float, far: bool) -> None:
    tiling = Tiling(window_px=1024, input_px=512, trained_gsd_m=(0.1, 0.8))  # 0.05 to 0.4 m at the source
    assert bool(tiling.off_scale(source_gsd_m)) is far
    assert tiling.off_scale(None) == ""
    assert Tiling().off_scale(source_gsd_m) == ""


@pytest.mark.parametrize(
    ("metres", "text"),
    [
        ((300,), "300 m"), ((0.0123,), "1.2 cm"), ((0.001, 0.008), "0.1 to 0.8 cm"), ((0.03, 0.03), "3 cm"),
        ((0.5, 2), "0.5 to 2 m"), ((1,), "1 m"), ((12345,), "12 km"),
    ],
)  # fmt: skip
def test_lengths_are_read_by_people(metres: tuple[float, ...], text: str) -> None:
    assert lengths(*metres) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_px": 0}, "at least 1 pixel"),
        ({"window_px": None}, "needs a window or a ground sample distance"),
        ({"input_px": 500}, "multiple of 32"),
        ({"overlap": 1.0}, "fraction of the tile"),
        ({"overlap": -0.1}, "fraction of the tile"),
        ({"overlap": 0.95}, "leaves a stride of"),
        ({"gsd_m": float("inf")}, "positive number of metres"),
        ({"trained_gsd_m": (0.0, 1.0)}, "0 < least <= greatest, got 0.0 and 1.0"),
        ({"trained_gsd_m": (2.0, 1.0)}, "0 < least <= greatest"),
        ({"trained_gsd_m": (1.0, float("nan"))}, "0 < least <= greatest"),
    ],
)
def test_impossible_tilings_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(GridError, match=message):
        Tiling(**arguments)  # type: ignore[arg-type]


def test_overlap_is_at_least_what_was_asked() -> None:
    of_squares = Tiling(input_px=512, overlap=0.1, tile=TileSize((512, 512)))
    assert of_squares.overlaps((512, 768)) == (52, 52)
    assert of_squares.overlaps((512, 64)) == (52, 7)
    assert Tiling(input_px=512, overlap=0.25).overlaps((512, 768)) == (64, 64)
