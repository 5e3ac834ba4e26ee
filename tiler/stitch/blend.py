"""Blend the logits of overlapping tiles on the logits grid, streamed by rows of tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.errors import LogitsError
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.kernel import compiled
from tiler.stitch.cover import Cover
from tiler.stitch.disagreement import Votes
from tiler.stitch.taper import axis_weights

# A float32 without its sign bit, read as an unsigned integer: infinity is _INFINITE, and NaN is above it.
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITE = np.uint32(0x7F800000)


@dataclass(frozen=True, slots=True)
class LogitsBand:
    """Consecutive full-width rows of the blended logits grid that no later tile touches."""

    row_off: int
    """First row, cells; the last row of the band before it, so that bands share one row."""
    values: NDArray[np.float32]
    """Blended logits, shape (C, rows, width); NaN in cells that no tile covers."""
    disagreement: NDArray[np.float32] | None = None
    """How far the tiles disagree, 0 to 1, shape (rows, width); NaN in cells that fewer than two cover. None unless
    asked for."""

    @property
    def row_stop(self) -> int:
        """One past the last row, cells."""
        return self.row_off + int(self.values.shape[1])


class Blender:
    """Accumulate `sum(w_k L_k)` and `sum(w_k)` over one row of tiles at a time.

    Memory follows width x tile height x classes, never the height of the image.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    classes : int
        Number of classes C.
    first_row : int
        Row of tiles that comes first. Cells that earlier rows of tiles reach too lack what these would add.
    disagreement : bool
        Whether to say how far the tiles disagree too.
    """

    def __init__(self, grid: Grid, classes: int, first_row: int = 0, *, disagreement: bool = False) -> None:
        self._grid = grid
        height, width = grid.tile_shape[0] // LOGITS_STRIDE, grid.cells_shape[1]
        self._sum = np.zeros((classes, height, width), np.float32)
        self._weight = np.zeros((height, width), np.float32)
        self._cover = Cover(grid, first_row)
        self._last_row = np.empty((classes, 0, width), np.float32)
        self._votes = Votes(grid) if disagreement else None
        self._last_votes = np.empty((0, width), np.float32)

    def add(self, tile: Tile, logits: NDArray[np.float32]) -> LogitsBand | None:
        """Blend one tile in.

        Parameters
        ----------
        tile : Tile
            Rows of tiles come top to bottom. Within a row tiles come in any order, which may change the last bits.
        logits : ndarray of float32, shape (C, height / 4, width / 4) of the tile
            The network's output for the tile.

        Returns
        -------
        LogitsBand or None
            The rows that this tile finished, if it was the last of its row.

        Raises
        ------
        LogitsError
            If the logits have another shape, or hold NaN or infinity. After NaN or infinity the blender cannot be
            used again.
        CoverError
            If the tile came before, or belongs to another row of tiles.
        """
        cells = tile.cells
        expected = len(self._sum), cells.height, cells.width
        if logits.shape != expected:
            raise LogitsError(f"{self._cover.name(tile)}: logits of shape {expected} expected, {logits.shape} got")
        complete = self._cover.take(tile)
        logits = np.ascontiguousarray(logits, np.float32)
        rows, cols = axis_weights(self._grid, tile)
        if not _blend(self._sum, self._weight, cells.col_off, rows, cols, logits, logits.view(np.uint32)):
            bad = logits.size - int(np.isfinite(logits).sum())
            raise LogitsError(f"{self._cover.name(tile)}: {bad} of {logits.size} logits are NaN or infinite")
        if self._votes is not None:
            self._votes.add(tile, logits)
        return self._finish_row(tile.row) if complete else None

    def skip(self, tile: Tile) -> LogitsBand | None:
        """Leave one tile out, because no valid pixel needs it; returns and raises as `add`."""
        return self._finish_row(tile.row) if self._cover.take(tile) else None

    def _finish_row(self, row: int) -> LogitsBand:
        first, done = self._cover.finished_cells(row)
        carried = self._last_row.shape[1]
        values = np.empty((len(self._sum), carried + done, self._sum.shape[2]), np.float32)
        values[:, :carried] = self._last_row
        _take_rows(self._sum, self._weight, done, values[:, carried:])
        self._last_row = values[:, -1:].copy()  # a view would keep the whole band
        return LogitsBand(first - carried, values, self._compared(values[:, carried:]))

    def _compared(self, values: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return how far the tiles disagree in these rows of blended logits, after the last row of the band before."""
        if self._votes is None:
            return None
        found = np.concatenate((self._last_votes, self._votes.take(values)))
        self._last_votes = found[-1:].copy()
        return found


@compiled
def _blend(
    total: NDArray[np.float32],
    weight: NDArray[np.float32],
    col_off: int,
    rows: NDArray[np.float32],
    cols: NDArray[np.float32],
    logits: NDArray[np.float32],
    bits: NDArray[np.uint32],
) -> bool:
    """Add one tile's `weights * logits` and `weights`; return whether all logits, whose bits are given, are finite.

    The weight of a cell is the product of those of its row and its column.
    """
    classes, height, width = logits.shape
    for y in range(height):
        for x in range(width):
            weight[y, col_off + x] += rows[y] * cols[x]
    greatest = np.uint32(0)
    for c in range(classes):
        for y in range(height):
            for x in range(width):
                magnitude = bits[c, y, x] & _MAGNITUDE
                greatest = magnitude if magnitude > greatest else greatest
            for x in range(width):
                total[c, y, col_off + x] += (rows[y] * cols[x]) * logits[c, y, x]
    return bool(greatest < _INFINITE)


@compiled
def _take_rows(total: NDArray[np.float32], weight: NDArray[np.float32], rows: int, values: NDArray[np.float32]) -> None:
    """Fill `values` with `total / weight` of the first rows, NaN where nothing was added; move the others up."""
    classes, _, width = total.shape
    share = np.empty((rows, width), np.float32)
    for y in range(rows):
        for x in range(width):
            share[y, x] = np.float32(1) / weight[y, x] if weight[y, x] > 0 else np.float32(np.nan)
    for c in range(classes):
        for y in range(rows):
            for x in range(width):
                values[c, y, x] = total[c, y, x] * share[y, x]
        _move_up(total[c], rows)
    _move_up(weight, rows)


@compiled
def _move_up(array: NDArray[np.float32], rows: int) -> None:
    """Move the rows of an array up by `rows`; zeros follow."""
    for y in range(len(array) - rows):
        array[y] = array[y + rows]
    array[len(array) - rows :] = 0
