"""Read masks of class labels at another size, and under other ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.errors import LabelError
from tiler.grid.window import Window
from tiler.masks.labels import LabelReader
from tiler.source.raster import RasterInfo

READ_PX = 2**22
"""Most pixels of a mask that are held at once, where it is read at another size."""


class LabelView:
    """Class ids of an open mask, sampled at the size of a photo and renumbered; belongs to one thread.

    Row i of a view of h rows is row floor((i + 1/2) H / h) of a mask of H rows, and columns likewise: the pixel that
    holds the middle of the wanted one. So a view of a quarter of the size is `mask[2::4, 2::4]`.

    Parameters
    ----------
    labels : LabelReader
        The open mask.
    shape : tuple of int, optional
        (height, width) of the view; by default that of the mask.
    lookup : ndarray of uint8, shape (256,), optional
        The id in the view of each id in the mask; by default the same.
    classes : int, optional
        Number of classes in the mask, where it was opened without a class table: other ids are refused.

    Raises
    ------
    LabelError
        If width and height would be scaled differently, see `same_aspect`.
    """

    def __init__(
        self,
        labels: LabelReader,
        *,
        shape: tuple[int, int] | None = None,
        lookup: NDArray[np.uint8] | None = None,
        classes: int = NO_LABEL,
    ) -> None:
        self._labels = labels
        self.shape = labels.shape if shape is None else shape
        self._lookup = lookup
        self._classes = classes
        if not same_aspect(labels.shape, self.shape):
            raise LabelError(
                f"{labels.info.path}: {size_in_words(labels.shape)}; it cannot be scaled to "
                f"{size_in_words(self.shape)}, because width and height have another ratio"
            )

    @property
    def info(self) -> RasterInfo:
        """The header of the mask."""
        return self._labels.info

    @property
    def tags(self) -> dict[str, str]:
        """See `LabelReader.tags`."""
        return self._labels.tags

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the ids of the mask, not of the view; see `LabelReader.class_names`."""
        return self._labels.class_names

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids of a window of the view; see `LabelReader.read`."""
        same = self.shape == self._labels.shape
        labels = self._labels.read(window) if same else self._sampled(window)
        wrong = labels[(labels >= self._classes) & (labels != NO_LABEL)]
        if wrong.size:
            raise LabelError(
                f"{self.info.path}: class id {wrong[0]} found; expected 0 to {self._classes - 1}, or {NO_LABEL}"
            )
        return labels if self._lookup is None else self._lookup[labels]

    def _sampled(self, window: Window) -> NDArray[np.uint8]:
        rows = _sources(window.row_off, window.height, self.shape[0], self._labels.shape[0])
        cols = _sources(window.col_off, window.width, self.shape[1], self._labels.shape[1])
        first, width = int(cols[0]), int(cols[-1] - cols[0]) + 1
        found = np.empty((window.height, window.width), np.uint8)
        begin = 0
        while begin < len(rows):  # as many rows as READ_PX holds, one at least
            end = max(int(np.searchsorted(rows, rows[begin] + max(READ_PX // width, 1))), begin + 1)
            top = int(rows[begin])
            read = self._labels.read(Window(top, first, int(rows[end - 1]) - top + 1, width))
            found[begin:end] = read[rows[begin:end, np.newaxis] - top, cols - first]
            begin = end
        return found


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two sizes have one ratio of height to width, but for the rounding of the smaller to whole pixels.

    3648 x 5472 pixels have the ratio of 667 x 1000, which is 666.67 x 1000 rounded.
    """
    (large_h, large_w), (small_h, small_w) = sorted((one, other), key=lambda shape: shape[0] * shape[1], reverse=True)
    return abs(large_h * small_w - large_w * small_h) < max(large_h, large_w)


def size_in_words(shape: tuple[int, int]) -> str:
    """Return a size as text, width first."""
    return f"{shape[1]} x {shape[0]} pixels"


def _sources(off: int, count: int, length: int, source: int) -> NDArray[np.int64]:
    """Return the pixel of an axis of `source` pixels that each of some pixels of an axis of `length` takes its id from.

    In whole numbers, so that no rounding of floats moves a pixel.
    """
    middles = 2 * np.arange(off, off + count, dtype=np.int64) + 1
    sources: NDArray[np.int64] = middles * source // (2 * length)
    return sources
