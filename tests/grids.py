"""Grids and tilings for tests: rectangles of any shape, and squares of the size that a network was trained at."""

from __future__ import annotations

from hypothesis import strategies as st

from tiler.grid.fit import TileSize
from tiler.grid.tiles import Grid, plan_grid
from tiler.grid.tiling import Tiling


@st.composite
def grids(draw: st.DrawFn, most: int = 300, scales: tuple[float, float] = (0.05, 6)) -> Grid:
    """Draw grids of small images, with overlaps up to the most that a tile allows."""
    tile = draw(st.tuples(*[st.sampled_from([64, 96, 128, 192])] * 2))
    return plan_grid(
        draw(st.tuples(st.integers(1, most), st.integers(1, most))),
        scale=draw(st.floats(*scales)),
        tile=tile,
        overlap=(draw(st.integers(0, tile[0] - 32)), draw(st.integers(0, tile[1] - 32))),
        shift=draw(st.tuples(*[st.sampled_from([0, 0, 32, 64])] * 2)),
    )


def squares(window_px: int, input_px: int, overlap: float = 0.25) -> Tiling:
    """Return a tiling whose tiles are squares of the input size, so that small images have several."""
    return Tiling(window_px, input_px, overlap, tile=TileSize((input_px, input_px)))
