"""The kernel that samples every class at every pixel; tests compare the pruned kernel with it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.grid.tiles import Grid
from tiler.stitch.upsample import sample_points


def sample_all(logits: NDArray[np.float32], grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the label of every source pixel, and by how much its logit leads the second greatest.

    Both in the arithmetic of `Upsampler`: rows first, then columns, float32. 255 and NaN without logits.
    """
    (height, width), (rows, cols) = grid.source_shape, grid.cells_shape
    labels, margin = np.empty((height, width), np.uint8), np.empty((height, width), np.float32)
    _sample_all(
        logits,
        *sample_points(source=height, model=grid.model_shape[0], cells=rows),
        *sample_points(source=width, model=grid.model_shape[1], cells=cols),
        labels,
        margin,
    )
    return labels, margin


@njit(nogil=True, error_model="numpy")
def _sample_all(
    logits: NDArray[np.float32],
    row_lower: NDArray[np.int64],
    row_fraction: NDArray[np.float32],
    col_lower: NDArray[np.int64],
    col_fraction: NDArray[np.float32],
    labels: NDArray[np.uint8],
    margin: NDArray[np.float32],
) -> None:
    classes, _, cells = logits.shape
    one = np.float32(1)
    line = np.empty((classes, cells), np.float32)
    for y in range(labels.shape[0]):
        row, f = row_lower[y], row_fraction[y]
        for c in range(classes):
            for x in range(cells):
                line[c, x] = logits[c, row, x] * (one - f) + logits[c, row + 1, x] * f
        for x in range(labels.shape[1]):
            cell, g = col_lower[x], col_fraction[x]
            best, second = np.float32(-np.inf), np.float32(-np.inf)
            labels[y, x] = NO_LABEL
            for c in range(classes):
                value = line[c, cell] * (one - g) + line[c, cell + 1] * g
                if value > best:
                    best, second = value, best
                    labels[y, x] = c
                elif value > second:
                    second = value
            margin[y, x] = best - second if labels[y, x] != NO_LABEL else np.float32(np.nan)
