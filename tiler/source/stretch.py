"""One scaling to 8 bits for a whole file, never per tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (2.0, 98.0)
"""The range of values that a file without a stated one is stretched over."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A linear map of samples to 0..255."""

    low: float
    """Value that becomes 0; values below it do too."""
    high: float
    """Value that becomes 255; values above it do too. Below `low` the map is inverted."""

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} became 0 to 255"

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return `255 (v - low) / (high - low)`, rounded and cut to 0..255; NaN and a flat range give 0."""
        span = self.high - self.low
        if span == 0:
            return np.zeros(values.shape, np.uint8)
        levels = np.clip((values.astype(np.float64) - self.low) * (255 / span), 0, 255)
        return np.rint(np.where(np.isnan(levels), 0, levels)).astype(np.uint8)


def percentile_stretch(values: NDArray[np.float64]) -> Stretch:
    """Return the stretch over the 2nd to 98th percentile of finite values of all colour channels together.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Valid samples; one range for all channels keeps the colour balance.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Stretch(0, 0)
    low, high = np.percentile(finite, PERCENTILES)
    if low == high:
        low, high = finite.min(), finite.max()
    return Stretch(float(low), float(high))
