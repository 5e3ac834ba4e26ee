"""Small pictures that fill while an image is worked on: the photo from its model rows, masks from their full rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST_PX = 1500
"""Pixels along the longer side of a preview, at most."""
_ENOUGH_PX = 800


def preview_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the preview of an image or a model grid of a shape; it is never enlarged."""
    scale = min(LONGEST_PX / max(shape), 1)
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def shows_enough(model_shape: tuple[int, int], source_shape: tuple[int, int]) -> bool:
    """Return whether a model grid has 800 pixels along its longer side, or all that the source has."""
    return max(model_shape) >= min(_ENOUGH_PX, max(source_shape))


def shown_grid(model_shape: tuple[int, int], source_shape: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the grid that a preview is made from: the model's, or a finer one if that is coarse."""
    return model_shape if shows_enough(model_shape, source_shape) else preview_shape(source_shape)


class PhotoCanvas:
    """The photo, from rows of its model grid: made smaller by whole numbers as they come, and to its size at the end.

    Parameters
    ----------
    model_shape : tuple of int
        (height, width) of the model grid.
    """

    def __init__(self, model_shape: tuple[int, int]) -> None:
        self._step = max(max(model_shape) // LONGEST_PX, 1)
        self._shape, self._height = preview_shape(model_shape), model_shape[0]
        self._reduced = np.zeros((*(-(-length // self._step) for length in model_shape), 3), np.uint8)
        self._rest = np.empty((0, model_shape[1], 3), np.uint8)
        self._row = 0

    def add(self, row: int, pixels: NDArray[np.uint8]) -> None:
        """Take rows of the model grid from `row` on, uint8 of shape (3, n, width); some between may be missing."""
        rows = np.moveaxis(pixels, 0, -1)
        if row == self._row + len(self._rest):
            rows, row = np.concatenate((self._rest, rows)), self._row
        elif skip := -row % self._step:
            rows, row = rows[skip:], row + skip
        whole = len(rows) if row + len(rows) == self._height else len(rows) // self._step * self._step
        if whole:
            reduced = _reduced(rows[:whole], self._step)
            self._reduced[row // self._step :][: len(reduced)] = reduced
        self._row, self._rest = row + whole, rows[whole:]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Red, green and blue, shape (height, width, 3); black where no row was read."""
        picture = Image.fromarray(self._reduced).resize(self._shape[::-1], Image.Resampling.BILINEAR)
        return np.asarray(picture)


class MaskCanvas:
    """A mask in another size, by nearest neighbour.

    Parameters
    ----------
    source_shape, shape : tuple of int
        (height, width) of the mask and of the picture of it.
    """

    def __init__(self, source_shape: tuple[int, int], shape: tuple[int, int]) -> None:
        self.pixels = np.full(shape, 255, np.uint8)
        """Values, shape (height, width)."""
        self._rows, self._cols = (centres(length, size) for length, size in zip(source_shape, shape, strict=True))
        self._row = 0

    def add(self, values: NDArray[np.uint8]) -> None:
        """Take the next full-width rows, uint8 of shape (n, width)."""
        first, stop = np.searchsorted(self._rows, (self._row, self._row + len(values)))
        self.pixels[first:stop] = values[np.ix_(self._rows[first:stop] - self._row, self._cols)]
        self._row += len(values)


def centres(length: int, size: int) -> NDArray[np.intp]:
    """Return the places along an axis of this length that lie in the middle of each of `size` equal pieces."""
    return (np.arange(size) * 2 + 1) * length // (2 * size)


def _reduced(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    if step == 1:
        return rows
    return np.asarray(Image.fromarray(np.ascontiguousarray(rows)).reduce(step))
