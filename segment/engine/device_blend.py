"""Blend the logits of tiles on the device that made them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tiler.errors import LogitsError
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.stitch.cover import Cover
from tiler.stitch.taper import axis_weights

_MOST_WEIGHTS = 96
"""Kinds of tiles whose weights stay on the device. A grid has 81 at most: neighbours before and after, on two axes, are
none or at one of two distances."""


@dataclass(frozen=True, slots=True)
class Check:
    """The number of unusable logits of a tile, which the host does not know yet."""

    name: str
    """The tile, as errors name it."""
    total: int
    """Number of logits."""
    unusable: Tensor
    """Number of NaN and infinite logits: int64, on the device, no axes."""


@dataclass(frozen=True, slots=True)
class Band:
    """Consecutive full-width rows of the blended logits grid that no later tile touches."""

    row_off: int
    """First row, cells; the last row of the band before it, so that bands share one row."""
    values: Tensor
    """Blended logits, shape (C, rows, width); NaN in cells that no tile covers."""
    checks: tuple[Check, ...]
    """One for each tile that was blended in since the band before."""

    @property
    def row_stop(self) -> int:
        """One past the last row, cells."""
        return self.row_off + self.values.shape[1]


class DeviceBlender:
    """Accumulate `sum(w_k L_k)` and `sum(w_k)` over one row of tiles at a time.

    Both are one array: the weights are channel C. Row 0 is the last row of the band before, already
    divided; the row of tiles follows from row 1.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    classes : int
        Number of classes C.
    device : torch.device
        Where the logits are and the work is done.
    first_row : int
        Row of tiles that comes first.
    """

    def __init__(self, grid: Grid, classes: int, device: torch.device, first_row: int = 0) -> None:
        self._grid, self._classes, self._device = grid, classes, device
        self._cover = Cover(grid, first_row)
        self._first_row = first_row
        self._height = grid.tile_shape[0] // LOGITS_STRIDE
        self._sums = self._rows_of_zeros()
        self._checks: list[Check] = []

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
        self._blend(tile, logits)
        return self._finish_row(tile.row) if complete else None

    def skip(self, tile: Tile) -> Band | None:
        """Leave one tile out; returns and raises as `add`."""
        return self._finish_row(tile.row) if self._cover.take(tile) else None

    @torch.inference_mode()
    def _blend(self, tile: Tile, logits: Tensor) -> None:
        weights = self._tile_weights(tile)
        weighted = logits.float() * weights
        # x - x is 0 unless x is NaN or infinite, and NaN counts as non-zero
        unusable = torch.count_nonzero(weighted - weighted)
        self._checks.append(Check(self._cover.name(tile), logits.numel(), unusable))
        sums = self._sums[:, 1:, tile.cells.slices[1]]
        sums[:-1].add_(weighted)  # `+=` on an index would copy the sum to its own place afterwards
        sums[-1].add_(weights)

    @torch.inference_mode()
    def _finish_row(self, row: int) -> Band:
        first, done = self._cover.finished_cells(row)
        sums, carried = self._sums, int(row > self._first_row)
        sums[:-1, 1 : 1 + done].div_(sums[-1, 1 : 1 + done])  # 0 / 0 is NaN: no tile
        # The band keeps the old array, so that it may be read while tiles of the next row come.
        if row + 1 < len(self._grid.row_offs):
            self._sums = self._rows_of_zeros()
            self._sums[:, : 1 + self._height - done] = sums[:, done:]
        checks, self._checks = tuple(self._checks), []
        return Band(first - carried, sums[:-1, 1 - carried : 1 + done], checks)

    @torch.inference_mode()
    def _rows_of_zeros(self) -> Tensor:
        shape = self._classes + 1, 1 + self._height, self._grid.cells_shape[1]
        return torch.zeros(shape, dtype=torch.float32, device=self._device)

    def _tile_weights(self, tile: Tile) -> Tensor:
        rows, cols = axis_weights(self._grid, tile)
        return _weights(rows.tobytes(), cols.tobytes(), self._device)


@lru_cache(_MOST_WEIGHTS)
def _weights(rows: bytes, cols: bytes, device: torch.device) -> Tensor:
    """Return the weights of a tile, copied to the device once for all tiles of this kind in all images."""
    row_weights, col_weights = (np.frombuffer(axis, np.float32) for axis in (rows, cols))
    return on_device(device, row_weights[:, np.newaxis] * col_weights)


def on_device(device: torch.device, array: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
    """Return an array as a tensor on a device; the copy is queued there, behind what is queued already."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
