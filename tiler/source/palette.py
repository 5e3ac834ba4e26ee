"""Images of palette indices: their colours, and their rows on the model grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window as RasterioWindow

from tiler.grid.tiles import Grid

_BAND = 32
"""Model rows that are resampled at once; all tiles begin and end at multiples of it."""
_CHUNK_PX = 16 * 2**20

Indices = Callable[[RasterioWindow], NDArray[Any]]
"""Reads a window of indices, shape (height, width)."""


def palette_table(dataset: Any, channel: int, dtype: str) -> NDArray[np.uint8]:
    """Return the palette as rows of red, green, blue, alpha; indices beyond it are transparent."""
    entries = dataset.colormap(channel)
    palette = np.zeros((np.iinfo(dtype).max + 1, 4), np.uint8)
    palette[list(entries)] = list(entries.values())
    return palette


def palette_rows(indices: Indices, palette: NDArray[np.uint8], grid: Grid, start: int, stop: int) -> NDArray[np.uint8]:
    """Return rows that are expanded to colours first, because a mean of two indices is an unrelated colour.

    Pillow may give a sample another level where its rows are cut elsewhere. So the bands are the same for any rows.

    Parameters
    ----------
    indices : callable
        Reads the image.
    palette : ndarray of uint8, shape (n, 4)
        See `palette_table`.
    grid : Grid
        The grid of the image.
    start, stop : int
        Model rows.

    Returns
    -------
    ndarray of uint8, shape (3, stop - start, model width)
        Red, green, blue.
    """
    height = _band_height(grid)
    first = start - start % height
    offs = range(first, stop, height)
    bands = [_band(indices, palette, grid, off, min(off + height, grid.model_shape[0])) for off in offs]
    return np.concatenate(bands, axis=1)[:, start - first : stop - first]


def _band_height(grid: Grid) -> int:
    height, (rows, cols) = _BAND, grid.source_shape
    while height > 1 and height * rows * cols // grid.model_shape[0] > _CHUNK_PX:
        height //= 2
    return height


def _band(indices: Indices, palette: NDArray[np.uint8], grid: Grid, start: int, stop: int) -> NDArray[np.uint8]:
    height, width = grid.source_shape
    per_model = height / grid.model_shape[0]
    top, bottom = start * per_model, stop * per_model
    reach = int(np.ceil(max(per_model, 1))) + 1
    first, last = max(int(top) - reach, 0), min(int(np.ceil(bottom)) + reach, height)
    colours = palette[indices(RasterioWindow(0, first, width, last - first)), :3]
    size, box = (grid.model_shape[1], stop - start), (0, top - first, width, bottom - first)
    image = Image.fromarray(np.ascontiguousarray(colours)).resize(size, Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).transpose(2, 0, 1)
