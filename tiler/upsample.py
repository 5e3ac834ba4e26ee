"""Labels from the blended logits grid: bilinear upsampling and argmax, fused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.grid import LOGITS_STRIDE, Grid
from tiler.mosaic import LogitsBand

_CHUNK_BYTES = 8 * 2**20


def sample_points(*, source: int, model: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return where the pixels of one source axis fall on the logits grid.

    The centre of source pixel `p` lies at `v = (p + 1/2) * model / source / 4 - 1/2` cells: the
    half-pixel-centre ("align_corners=False") convention of `torch.nn.functional.interpolate`, with
    `v` clamped to the first and last cell centre.

    Parameters
    ----------
    source, model, cells : int
        Length of the axis in source pixels, model pixels and logits cells (at least 2).

    Returns
    -------
    lower : ndarray of int64, shape (source,)
        Cell at or before the pixel, `0 <= lower <= cells - 2`, non-decreasing.
    fraction : ndarray of float32, shape (source,)
        Share of cell `lower + 1` in [0, 1]; cell `lower` has the rest.
    """
    position = (np.arange(source) + 0.5) * (model / source / LOGITS_STRIDE) - 0.5
    position = np.clip(position, 0, cells - 1)
    lower = np.minimum(position.astype(np.int64), cells - 2)
    return lower, (position - lower).astype(np.float32)


class Upsampler:
    """Turn bands of blended logits into full-width rows of labels.

    Parameters
    ----------
    grid : Grid
        The grid of the image.
    """

    def __init__(self, grid: Grid) -> None:
        (height, width), (rows, cols) = grid.source_shape, grid.cells_shape
        self._rows = sample_points(source=height, model=grid.model_shape[0], cells=rows)
        self._cols = sample_points(source=width, model=grid.model_shape[1], cells=cols)

    def labels(self, band: LogitsBand) -> Iterator[NDArray[np.uint8]]:
        """Yield the labels of the source rows whose cells lie within one band.

        Over the consecutive bands of a `Mosaic` the arrays hold every source row once, in order.
        The label of a pixel depends on its four cells alone, so never on where bands end.

        Parameters
        ----------
        band : LogitsBand
            Blended logits.

        Yields
        ------
        ndarray of uint8, shape (rows, width)
            Class ids; 255 where a cell that the pixel needs has no logits. The lower id wins a tie.
        """
        lower, fraction = self._rows
        start, stop = np.searchsorted(lower, (band.row_off, band.row_stop - 1))
        step = max(_CHUNK_BYTES // len(self._cols[0]), 1)
        for first in range(start, stop, step):
            rows = slice(first, min(first + step, stop))
            out = np.empty((rows.stop - first, len(self._cols[0])), np.uint8)
            _label_rows(band.values, lower[rows] - band.row_off, fraction[rows], *self._cols, out)
            yield out


def _compiled(function: Callable[..., None]) -> Any:
    """Compile a kernel; keep the machine code on disk where there is a place for it (a cron job may have none)."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


@_compiled
def _label_rows(
    logits: NDArray[np.float32],
    row_lower: NDArray[np.int64],
    row_fraction: NDArray[np.float32],
    col_lower: NDArray[np.int64],
    col_fraction: NDArray[np.float32],
    out: NDArray[np.uint8],
) -> None:
    """Fill `out` (rows, width) with the argmax over C of bilinearly sampled logits (C, h, w).

    Columns are walked by runs that share two cells, so that the inner loop is contiguous.
    """
    classes, _, cells = logits.shape
    width = out.shape[1]
    line = np.empty((classes, cells), np.float32)
    best = np.empty(width, np.float32)
    for y in range(out.shape[0]):
        lower, f = row_lower[y], row_fraction[y]
        for c in range(classes):
            for x in range(cells):
                line[c, x] = logits[c, lower, x] * (np.float32(1) - f) + logits[c, lower + 1, x] * f
        best[:] = -np.inf
        out[y] = NO_LABEL
        start = 0
        while start < width:
            cell = col_lower[start]
            stop = start
            while stop < width and col_lower[stop] == cell:
                stop += 1
            for c in range(classes):
                left, right = line[c, cell], line[c, cell + 1]
                for x in range(start, stop):
                    g = col_fraction[x]
                    value = left * (np.float32(1) - g) + right * g
                    if value > best[x]:
                        best[x] = value
                        out[y, x] = c
            start = stop
