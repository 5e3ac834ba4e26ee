"""Count the pixels of every class, their ground, and how sure they are, while the rows of a mask pass by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.kernel import compiled
from tiler.masks.coverage import LOW_BELOW, Confidence, Coverage, Disagreement
from tiler.stitch.confidence import CERTAIN
from tiler.stitch.upsample import piece_rows

_LOW_BELOW = math.ceil(LOW_BELOW * CERTAIN)
"""Levels of confidence below this are low."""


class Tally:
    """Count labels row by row, top to bottom.

    Parameters
    ----------
    classes : int
        Number of classes.
    cumulative_area_m2 : ndarray of float64, shape (height + 1,), or None
        See `Georeference.cumulative_area_m2`.
    """

    def __init__(self, classes: int, cumulative_area_m2: NDArray[np.float64] | None) -> None:
        self._classes = classes
        self._row_m2 = None if cumulative_area_m2 is None else np.diff(cumulative_area_m2)
        self._pixels = np.zeros(NO_LABEL + 1, np.int64)
        self._area_m2 = np.zeros(classes)
        self._sure: NDArray[np.int64] | None = None
        self._apart: NDArray[np.int64] | None = None
        self._row = 0

    def add(
        self,
        labels: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None = None,
        disagreement: NDArray[np.uint8] | None = None,
    ) -> None:
        """Count the next full-width rows, uint8 of shape (n, width), of one, two or three masks, the same for all rows.

        All sums are of whole numbers, so they are the same however the rows come.
        """
        if confidence is not None:
            if self._sure is None:
                self._sure = np.zeros((2, NO_LABEL + 1), np.int64)
            _rate_rows(labels, confidence, _LOW_BELOW, *self._sure)
        if disagreement is not None:
            if self._apart is None:
                self._apart = np.zeros(NO_LABEL + 1, np.int64)
            _count_rows(disagreement.reshape(1, -1), self._apart[np.newaxis])
        if self._row_m2 is None:
            _count_rows(labels.reshape(1, -1), self._pixels[np.newaxis])
            return
        step = piece_rows(labels.shape[1])
        for first in range(0, len(labels), step):
            self._add_areas(labels[first : first + step], self._row_m2)

    def _add_areas(self, labels: NDArray[np.uint8], row_m2: NDArray[np.float64]) -> None:
        counts = np.zeros((len(labels), NO_LABEL + 1), np.int64)
        _count_rows(labels, counts)
        self._pixels += counts.sum(axis=0)
        areas = row_m2[self._row : self._row + len(labels), np.newaxis] * counts[:, : self._classes]
        self._area_m2 = np.add.accumulate(np.vstack((self._area_m2, areas)))[-1]  # row by row, however they come
        self._row += len(labels)

    def coverage(self) -> Coverage:
        """Return what was counted so far."""
        pixels = self._pixels.tolist()
        area = None if self._row_m2 is None else tuple(self._area_m2.tolist())
        return Coverage(
            tuple(pixels[: self._classes]), pixels[NO_LABEL], area, self._confidence(), self._disagreement()
        )

    def _confidence(self) -> tuple[Confidence, ...] | None:
        if self._sure is None:
            return None
        counts = np.vstack((self._pixels, self._sure))[:, : self._classes]
        return tuple(Confidence(*each) for each in counts.T.tolist())

    def _disagreement(self) -> Disagreement | None:
        if self._apart is None:
            return None
        told = self._apart[:NO_LABEL]
        return Disagreement(int(told.sum()), int(told @ np.arange(NO_LABEL)))


@compiled
def holds(labels: Any, label: int) -> bool:
    """Return whether any of some labels, uint8 of shape (n, width), is this one."""
    for row in range(labels.shape[0]):
        found = False
        for col in range(labels.shape[1]):
            found |= labels[row, col] == label
        if found:
            return True
    return False


@compiled
def _count_rows(labels: Any, counts: Any) -> None:
    """Add each row's labels to its own row of counts, a run at a time, because most neighbours are of one class."""
    for row in range(labels.shape[0]):
        label, start = labels[row, 0], 0
        for col in range(1, labels.shape[1]):
            if labels[row, col] != label:
                counts[row, label] += col - start
                label, start = labels[row, col], col
        counts[row, label] += labels.shape[1] - start


@compiled
def _rate_rows(labels: Any, confidence: Any, low_below: Any, levels: Any, low: Any) -> None:
    """Add the levels of confidence to those of their labels, and count those that are low, a run at a time."""
    for row in range(labels.shape[0]):
        start = 0
        while start < labels.shape[1]:
            label = labels[row, start]
            stop = start + 1
            while stop < labels.shape[1] and labels[row, stop] == label:
                stop += 1
            total, few = np.uint32(0), np.uint32(0)
            for col in range(start, stop):
                total += confidence[row, col]
                few += confidence[row, col] < low_below
            levels[label] += total
            low[label] += few
            start = stop
