"""How far stated probabilities are true: labels counted by what was said of them, and the expected calibration error.

A raster of confidence states of each label the probability `(1 + level / 254) / 2` that it, and not the second best
class, is right. A third class is left out, so labels are right a little less often than that says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.stitch.confidence import CERTAIN

BINS = 15
"""Bins of equal width, as Guo et al. take them (On Calibration of Modern Neural Networks, ICML 2017)."""
Levels = NDArray[np.int64]
"""Labels by what the raster says of them, shape (255, 2): how many, and how many of them are right."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The labels whose stated probability lies between two bounds."""

    least: float
    """Probability from here on."""
    below: float
    """Probability below this; 1 counts too where this is 1."""
    confidence: float
    """Mean of what was stated."""
    accuracy: float
    """Share of them that is right."""
    pixels: int
    """How many there are, at least one."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the stated probabilities of some labels came to."""

    bins: tuple[Bin, ...]
    """Those that hold any label, from the least probability on."""

    @property
    def pixels(self) -> int:
        """Number of labels."""
        return sum(each.pixels for each in self.bins)

    @property
    def confidence(self) -> float:
        """Mean of what was stated; nan for no label."""
        return self._mean(each.confidence for each in self.bins)

    @property
    def accuracy(self) -> float:
        """Share of labels that is right; nan for no label."""
        return self._mean(each.accuracy for each in self.bins)

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over labels of how far their bin is off; nan for no label."""
        return self._mean(abs(each.confidence - each.accuracy) for each in self.bins)

    def _mean(self, values: Iterable[float]) -> float:
        total = math.fsum(value * each.pixels for value, each in zip(values, self.bins, strict=True))
        return total / self.pixels if self.pixels else math.nan


def reliability(stated: NDArray[np.floating[Any]], counts: Levels, *, least: float = 0.0) -> Reliability:
    """Return labels by bins of what was stated of them.

    Parameters
    ----------
    stated : ndarray of float, shape (n,)
        Probabilities of `least` to 1.
    counts : ndarray of int64, shape (n, 2)
        How many labels have each of them, and how many of these are right.
    least : float
        Where the first bin begins.
    """
    width = (1 - least) / BINS
    index = np.clip(((stated - least) / width + 1e-9).astype(int), 0, BINS - 1)
    return Reliability(tuple(_bins(stated, counts, index, least, width)))


def _bins(stated: NDArray[Any], counts: Levels, index: NDArray[np.int64], least: float, width: float) -> Iterator[Bin]:
    pixels, right = (np.bincount(index, weights=column, minlength=BINS) for column in counts.T)
    sums = np.bincount(index, weights=stated * counts[:, 0], minlength=BINS)
    for place in np.flatnonzero(pixels).tolist():
        bounds = least + place * width, least + (place + 1) * width
        found = float(sums[place] / pixels[place]), float(right[place] / pixels[place])
        yield Bin(round(bounds[0], 6), round(bounds[1], 6), *found, int(pixels[place]))


def no_levels() -> Levels:
    """Return the counts of no label."""
    return np.zeros((NO_LABEL, 2), np.int64)


def count_levels(truth: NDArray[np.uint8], labels: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> Levels:
    """Return labels by what the raster says of them; those without truth or without a level count nowhere."""
    known = (truth != NO_LABEL) & (labels != NO_LABEL) & (confidence != NO_LABEL)
    pairs = 2 * confidence[known].astype(np.int64) + (truth[known] == labels[known])
    wrong, right = np.bincount(pairs, minlength=2 * NO_LABEL).reshape(NO_LABEL, 2).T
    return np.column_stack((wrong + right, right))


def of_levels(counts: Levels) -> Reliability:
    """Return the reliability of rasters of confidence by their counts, in bins from a half to 1."""
    return reliability((1 + np.arange(NO_LABEL) / CERTAIN) / 2, counts, least=0.5)


def reliability_as_dict(found: Reliability) -> dict[str, Any]:
    """Return it as JSON-able values."""
    return {
        "pixels": found.pixels,
        "ece": found.ece,
        "confidence": found.confidence,
        "accuracy": found.accuracy,
        "bins": [
            {
                "least": each.least,
                "below": each.below,
                "confidence": each.confidence,
                "accuracy": each.accuracy,
                "pixels": each.pixels,
            }
            for each in found.bins
        ],
    }
