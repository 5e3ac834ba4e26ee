"""Blend the logits of tiles on the device that made them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from segment.engine.device import current
from segment.engine.device_arithmetic import Arithmetic, on_device
from segment.engine.device_votes import PLANES, add_vote
from tiler.errors import LogitsError
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.stitch.cover import Cover
from tiler.stitch.taper import axis_weights

_MOST_WEIGHTS = 96
"""Kinds of tiles whose weights stay on the device. A grid has 81 at most: neighbours before and after, on two axes, are
none or at one of two distances."""


@dataclass(frozen=True, slots=True)
class Band:
    """Consecutive full-width rows of the logits grid that no later tile touches."""

    row_off: int
    """First row, cells; the last row of the band before it, so that bands share one row."""
    sums: Tensor
    """Sums of weighted logits and of weights, shape (C + 1, rows, width); see `Arithmetic`."""
    tiles: int
    """Row of tiles that finished it."""
    unusable: Tensor
    """Number of NaN and infinite logits of each tile of this row of tiles, int64, on the device."""
    votes: Tensor | None = None
    """What tells how far the tiles disagree, shape (2, rows, width), see `add_vote`; None unless asked for."""

    @property
    def row_stop(self) -> int:
        """One past the last row, cells."""
        return self.row_off + self.sums.shape[1]


class DeviceBlender:
    """Accumulate `sum(w_k L_k)` and `sum(w_k)` over one row of tiles at a time.

    Both are one array: the weights are channel C. Row 0 is the last row of the band before; the row of tiles follows
    from row 1. A band keeps its array, so that it may be read while tiles of the next row come; PyTorch gives its
    memory to a later row once the band is dropped.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    classes : int
        Number of classes C.
    device : torch.device
        Where the logits are and the work is done.
    arithmetic : Arithmetic
        What adds.
    first_row : int
        Row of tiles that comes first.
    disagreement : bool
        Whether to add up what tells how far the tiles disagree too.
    """

    def __init__(
        self,
        grid: Grid,
        classes: int,
        device: torch.device,
        arithmetic: Arithmetic,
        first_row: int = 0,
        *,
        disagreement: bool = False,
    ) -> None:
        self._grid, self._classes, self._device, self._arithmetic = grid, classes, device, arithmetic
        self._cover = Cover(grid, first_row)
        self._first_row = first_row
        self._height = grid.tile_shape[0] // LOGITS_STRIDE
        self._sums = self._rows_after(None, 0, classes + 1)
        self._votes = self._rows_after(None, 0, PLANES) if disagreement else None
        self._unusable = self._zeros(len(grid.col_offs))

    def add(self, tile: Tile, logits: Tensor) -> Band | None:
        """Blend one tile in, logits of shape (C, height / 4, width / 4) of the tile; return the band that it finished.

        Raises
        ------
        LogitsError
            If the logits have another shape.
        CoverError
            If the tile came before, or belongs to another row of tiles.
        """
        cells = tile.cells
        expected = (self._classes, cells.height, cells.width)
        if logits.shape != expected:
            raise LogitsError(
                f"{self._cover.name(tile)}: logits of shape {expected} expected, {tuple(logits.shape)} got"
            )
        complete = self._cover.take(tile)
        sums, weights = self._sums[:, 1:, cells.slices[1]], self._tile_weights(tile)
        self._arithmetic.blend(sums, logits, weights, self._unusable, counter=tile.col)
        if self._votes is not None:
            with current(self._device):
                add_vote(self._votes[:, 1:, cells.slices[1]], logits, weights)
        return self._finish_row(tile.row) if complete else None

    def skip(self, tile: Tile) -> Band | None:
        """Leave one tile out; returns and raises as `add`."""
        return self._finish_row(tile.row) if self._cover.take(tile) else None

    def _finish_row(self, row: int) -> Band:
        first, done = self._cover.finished_cells(row)
        carried = int(row > self._first_row)
        rows = slice(1 - carried, 1 + done)
        votes = None if self._votes is None else self._votes[:, rows]
        band = Band(first - carried, self._sums[:, rows], row, self._unusable, votes)
        if row + 1 < len(self._grid.row_offs):
            self._sums = self._rows_after(self._sums, done, len(self._sums))
            if self._votes is not None:
                self._votes = self._rows_after(self._votes, done, PLANES)
            self._unusable = self._zeros(len(self._grid.col_offs))
        return band

    @torch.inference_mode()
    def _rows_after(self, before: Tensor | None, done: int, planes: int) -> Tensor:
        """Return the array for a row of tiles: what the row before has beyond its `done` rows, and zeros."""
        shape = planes, 1 + self._height, self._grid.cells_shape[1]
        kept = 0 if before is None else 1 + self._height - done
        with current(self._device):
            sums = torch.empty(shape, dtype=torch.float32, device=self._device)
            if before is not None:
                sums[:, :kept] = before[:, done:]
            sums[:, kept:].zero_()
        return sums

    @torch.inference_mode()
    def _zeros(self, count: int) -> Tensor:
        with current(self._device):
            return torch.zeros(count, dtype=torch.int64, device=self._device)

    def _tile_weights(self, tile: Tile) -> Tensor:
        rows, cols = axis_weights(self._grid, tile)
        return _weights(rows.tobytes(), cols.tobytes(), self._device)


def refuse_unusable(grid: Grid, band: Band, counts: list[int]) -> None:
    """Refuse a band if the logits of a tile of its row held NaN or infinity.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    band : Band
        What was blended.
    counts : list of int
        Its `unusable`, on the host.

    Raises
    ------
    LogitsError
        Names the first such tile.
    """
    for tile, count in zip(grid.row_tiles(band.tiles), counts, strict=True):
        if count:
            total = (len(band.sums) - 1) * tile.cells.height * tile.cells.width
            raise LogitsError(f"{Cover(grid).name(tile)}: {count} of {total} logits are NaN or infinite")


@lru_cache(_MOST_WEIGHTS)
def _weights(rows: bytes, cols: bytes, device: torch.device) -> Tensor:
    """Return the weights of a tile, copied to the device once for all tiles of this kind in all images."""
    row_weights, col_weights = (np.frombuffer(axis, np.float32) for axis in (rows, cols))
    return on_device(device, row_weights[:, np.newaxis] * col_weights)
