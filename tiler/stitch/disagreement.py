"""How far the tiles that overlap disagree: votes are added up beside the blending, and compared row by row.

Where several tiles cover a cell of the logits grid, each votes with the softmax probabilities `p_k` of its logits, and
with its blending weight `w_k`, a share of 1. Their disagreement is `sqrt(1 - sum_c prod_k p_k(c) ** w_k)`: 0 where all
votes are the same, near 1 where each excludes what the others say. For two votes of the same weight that is their
Hellinger distance (Hellinger, 1909).

The sum equals `exp(lse(mean of L_k) - mean of lse(L_k))`, where `lse` is the logarithm of the summed exponentials of
logits, and means are weighted. So beside the blended logits, which are there anyway, few numbers per cell are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.kernel import compiled
from tiler.stitch.taper import axis_weights

Floats = NDArray[np.float32]

_LEAST = np.float32(-np.inf)
_ONE = np.float32(1)
# Levels, as those of confidence; 255 where fewer than two tiles voted.
_MOST = np.float32(254)
_HALF = np.float32(0.5)
_NO_LEVEL = np.uint8(255)


class Votes:
    """Add up the votes of one row of tiles at a time.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        shape = grid.tile_shape[0] // LOGITS_STRIDE, grid.cells_shape[1]
        self._sum, self._weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._count = np.zeros(shape, np.float32)

    def add(self, tile: Tile, logits: Floats) -> None:
        """Add the vote of one tile, float32 (C, height / 4, width / 4), all finite."""
        weights = axis_weights(self._grid, tile)
        _add_vote(self._sum, self._weight, self._count, tile.cells.col_off, *weights, logits)

    def take(self, blended: Floats) -> Floats:
        """Return how far the votes disagree in the first rows, whose blended logits are given, and move the others up.

        Parameters
        ----------
        blended : ndarray of float32, shape (C, rows, width)
            NaN where no tile voted.

        Returns
        -------
        ndarray of float32, shape (rows, width)
            0 to 1; NaN where fewer than two tiles voted.
        """
        found = np.empty(blended.shape[1:], np.float32)
        _compare(self._sum, self._weight, self._count, blended, found)
        for plane in (self._sum, self._weight, self._count):
            plane[: len(plane) - len(found)] = plane[len(found) :].copy()
            plane[len(plane) - len(found) :] = 0
        return found


@compiled
def _add_vote(
    total: Floats, weight: Floats, count: Floats, col_off: int, rows: Floats, cols: Floats, logits: Floats
) -> None:
    """Add the weight of a tile, and its weight times the logarithm of its summed exponentials, in each of its cells."""
    _, height, width = logits.shape
    top, summed = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        _log_sums(logits, y, top, summed)
        for x in range(width):
            share = rows[y] * cols[x]
            total[y, col_off + x] += share * top[x]
            weight[y, col_off + x] += share
            count[y, col_off + x] += _ONE


@compiled
def _log_sums(logits: Floats, y: int, found: Floats, summed: Floats) -> None:
    """Find the logarithm of the summed exponentials of each cell of a row; `summed` is scratch."""
    for x in range(len(found)):
        found[x], summed[x] = _LEAST, np.float32(0)
    for c in range(logits.shape[0]):
        for x in range(len(found)):
            found[x] = logits[c, y, x] if logits[c, y, x] > found[x] else found[x]
    for c in range(logits.shape[0]):
        for x in range(len(found)):
            summed[x] += np.exp(logits[c, y, x] - found[x])
    for x in range(len(found)):
        found[x] += np.log(summed[x])


@compiled
def _compare(total: Floats, weight: Floats, count: Floats, blended: Floats, found: Floats) -> None:
    """Fill `found` with how far the votes disagree."""
    summed = np.empty(found.shape[1], np.float32)
    for y in range(found.shape[0]):
        _log_sums(blended, y, found[y], summed)
        for x in range(found.shape[1]):
            if count[y, x] > _ONE:
                gap = total[y, x] / weight[y, x] - found[y, x]
                found[y, x] = np.sqrt(-np.expm1(-gap)) if gap > 0 else np.float32(0)
            else:
                found[y, x] = np.float32(np.nan)


@compiled
def spread_rows(
    cells: Floats, row_lower: NDArray[np.int64], row_fraction: Floats, col_lower: NDArray[np.int64],
    col_fraction: Floats, levels: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill the levels of some source rows from the cells, sampled bilinearly as logits are.

    Parameters
    ----------
    cells : ndarray of float32, shape (h, w)
        0 to 1, or NaN.
    row_lower, row_fraction, col_lower, col_fraction : ndarray
        As `sample_points` returns; rows are counted from the first row of `cells`.
    levels : ndarray of uint8, shape (rows, width)
        Output: `round(254 * value)`; 255 where one of the four cells is NaN.
    """
    line = np.empty(cells.shape[1], np.float32)
    for y in range(levels.shape[0]):
        row, below = row_lower[y], row_fraction[y]
        for x in range(len(line)):
            line[x] = cells[row, x] * (_ONE - below) + cells[row + 1, x] * below
        for x in range(levels.shape[1]):
            left, right = line[col_lower[x]], line[col_lower[x] + 1]
            value = left * (_ONE - col_fraction[x]) + right * col_fraction[x]
            levels[y, x] = _NO_LEVEL if np.isnan(value) else np.uint8(_MOST * value + _HALF)
