"""Blend weights: how much each tile counts in each cell of the logits grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile

_SHAPES = 256


@lru_cache(_SHAPES)
def taper(cells: int, *, rise: int, fall: int) -> NDArray[np.float32]:
    """Return blend weights along one axis of a tile.

    The ramps are straight, `(i + 1/2) / n` over the `n` shared cells, so those of two neighbours over one overlap sum
    to 1. Raised cosines average less, and more labels then depend on where tiles lie (benchmarks/README.md).

    Parameters
    ----------
    cells : int
        Length of the tile on the logits grid.
    rise, fall : int
        Cells shared with the tile before and with the tile after. At the border of the image there are none,
        and the weight stays 1 to the edge.

    Returns
    -------
    ndarray of float32, shape (cells,)
        In (0, 1], never 0; read-only, because all tiles of this kind share it.
    """
    weights = np.ones(cells)
    for ramp, view in ((rise, weights), (fall, weights[::-1])):
        view[:ramp] *= (np.arange(ramp) + 0.5) / max(ramp, 1)
    found = weights.astype(np.float32)
    found.flags.writeable = False
    return found


def tile_weights(grid: Grid, tile: Tile) -> NDArray[np.float32]:
    """Return the blend weights of one tile.

    Parameters
    ----------
    grid : Grid
        The grid that the tile belongs to; its neighbours give the length of each ramp.
    tile : Tile
        The tile.

    Returns
    -------
    ndarray of float32, shape (height / 4, width / 4) of the tile
        Separable, positive everywhere.
    """
    rows, cols = axis_weights(grid, tile)
    return rows[:, np.newaxis] * cols


def axis_weights(grid: Grid, tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the blend weights of the rows and of the columns of a tile, whose products `tile_weights` returns."""
    return (
        _axis_weights(grid.row_offs, tile.row, grid.tile_shape[0]),
        _axis_weights(grid.col_offs, tile.col, grid.tile_shape[1]),
    )


def _axis_weights(offs: tuple[int, ...], index: int, tile_px: int) -> NDArray[np.float32]:
    rise = max(offs[index - 1] + tile_px - offs[index], 0) if index > 0 else 0
    fall = max(offs[index] + tile_px - offs[index + 1], 0) if index + 1 < len(offs) else 0
    return taper(tile_px // LOGITS_STRIDE, rise=rise // LOGITS_STRIDE, fall=fall // LOGITS_STRIDE)
