"""How much doubt each window of an image holds, from the masks that `segment` wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from segment.review.request import Measure
from segment.review.survey import Reviewed
from segment.review.windows import ImageDoubt
from tiler.classes import NO_LABEL
from tiler.errors import LabelError
from tiler.grid.tiles import axis_positions
from tiler.grid.window import Window
from tiler.masks.labels import MASK_LIMITS, open_labels
from tiler.source.raster import open_raster, reading

_NONE = 255
"""The value of a pixel that was not measured."""
_CERTAIN = 254
_LEAST_MEASURED = 0.1
"""A window of which less is measured holds no doubt that is known."""


def doubt_of(image: Reviewed, measure: Measure | None, *, window_px: int, classes: int) -> ImageDoubt:
    """Return the windows of an image and the doubt in each.

    A pixel whose best class has the probability p and whose second has q adds q / (p + q), which is the chance that
    the second is right if one of the two is; it follows from the mask of confidence, 254 (p - q) / (p + q). A mask of
    disagreement adds its value over 254. Where it measures a part of a window alone, that part stands for the whole.

    Parameters
    ----------
    image : Reviewed
        The image and its masks.
    measure : str or None
        Which mask tells the doubt. None: each labelled pixel counts alike, and the windows do not overlap, but for
        what the length of an image demands.
    window_px : int
        Side of a window, source pixels.
    classes : int
        Number of classes.

    Raises
    ------
    RasterReadError, LabelError
        If a mask cannot be read, holds a label that is no class, or has another size than the label mask.
    """
    with open_labels(image.label, None) as labels:
        windows = _windows(labels.shape, window_px, 0 if measure is None else window_px // 2)
        rows, cols = (_cuts(windows, axis) for axis in (0, 1))
        doubt = np.zeros((len(rows) - 1, len(cols) - 1, classes))
        valid, measured = (np.zeros(doubt.shape[:2], np.int64) for _ in range(2))
        doubts = (
            (None for _ in pairwise(rows)) if measure is None else _strips(image.doubts[measure], labels.shape, rows)
        )
        for row, ((top, stop), values) in enumerate(zip(pairwise(rows), doubts, strict=True)):
            strip = labels.read(Window(top, 0, stop - top, labels.shape[1]))
            if (foreign := strip[(strip >= classes) & (strip != NO_LABEL)]).size:
                raise LabelError(f"{image.label}: class id {foreign[0]} found, expected 0 to {classes - 1}")
            chance = _CHANCES[measure][values] if measure and values is not None else None
            for col, (left, right) in enumerate(pairwise(cols)):
                cell = strip[:, left:right].ravel()
                weights = None if chance is None else chance[:, left:right].ravel()
                doubt[row, col] = np.bincount(cell, weights, minlength=NO_LABEL + 1)[:classes]
                valid[row, col] = np.count_nonzero(cell != NO_LABEL)
                measured[row, col] = valid[row, col] if values is None else _measured(cell, values[:, left:right])
    sums = [_Sums(each, rows, cols) for each in (doubt, valid, measured)]
    of_windows, valid_px, measured_px = (np.array([each.within(window) for window in windows]) for each in sums)
    enough = measured_px > _LEAST_MEASURED * valid_px
    factors = np.where(enough, valid_px / np.maximum(measured_px, 1), 0)
    return ImageDoubt(image.name, windows, of_windows * factors[:, np.newaxis], valid_px)


def _chances(measure: Measure) -> NDArray[np.float64]:
    """Return what a pixel of each value adds to the doubt."""
    values = np.arange(256) / _CERTAIN
    chances = (1 - values) / 2 if measure == "confidence" else values
    chances[_NONE] = 0
    return chances


_CHANCES: dict[str | None, NDArray[np.float64]] = {
    "confidence": _chances("confidence"), "disagreement": _chances("disagreement"),
}  # fmt: skip


def _measured(labels: NDArray[np.uint8], values: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero((labels != NO_LABEL) & (values.ravel() != _NONE)))


def _windows(shape: tuple[int, int], window_px: int, overlap_px: int) -> tuple[Window, ...]:
    row_offs, col_offs = (axis_positions(length, window_px, overlap_px) for length in shape)
    height, width = (min(length, window_px) for length in shape)
    return tuple(Window(row, col, height, width) for row in row_offs for col in col_offs)


def _cuts(windows: Sequence[Window], axis: int) -> list[int]:
    """Return where an axis must be cut so that every window is whole pieces."""
    sides = [(each.row_off, each.row_stop) if axis == 0 else (each.col_off, each.col_stop) for each in windows]
    return sorted({side for pair in sides for side in pair})


def _strips(path: Path, shape: tuple[int, int], rows: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield the rows of a mask of doubt from one cut to the next."""
    with open_raster(path, MASK_LIMITS) as dataset:
        if (dataset.height, dataset.width) != shape or dataset.dtypes[0] != "uint8":
            raise LabelError(
                f"{path}: {dataset.height} x {dataset.width} pixels of {dataset.dtypes[0]} found, expected "
                f"{shape[0]} x {shape[1]} of uint8 as the label mask has; segment the image again"
            )
        for top, stop in pairwise(rows):
            with reading(path, f"rows {top} to {stop - 1}"):
                yield dataset.read(1, window=RasterioWindow(0, top, shape[1], stop - top))


class _Sums:
    """Sums over windows of what is known of the pieces between cuts."""

    def __init__(self, pieces: NDArray[np.generic], rows: Sequence[int], cols: Sequence[int]) -> None:
        self._rows = {cut: index for index, cut in enumerate(rows)}
        self._cols = {cut: index for index, cut in enumerate(cols)}
        self._pieces = pieces

    def within(self, window: Window) -> NDArray[np.generic]:
        """Return the sum of the pieces within a window."""
        rows = slice(self._rows[window.row_off], self._rows[window.row_stop])
        cols = slice(self._cols[window.col_off], self._cols[window.col_stop])
        total: NDArray[np.generic] = self._pieces[rows, cols].sum(axis=(0, 1))
        return total
