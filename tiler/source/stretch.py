"""One scaling to 8 bits for a whole file, never per tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.source.raster import RasterInfo

_PERCENTILES = (2.0, 98.0)
_LITTLE_CONTRAST = 16


@dataclass(frozen=True, slots=True)
class Stretch:
    """A linear map of samples to 0..255."""

    low: float
    """Value that becomes 0; values below it do too."""
    high: float
    """Value that becomes 255; values above it do too. Below `low` the map is inverted."""

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} became 0 to 255"

    @property
    def little_contrast(self) -> bool:
        """Whether fewer than 16 whole values spread over all 256 levels."""
        return abs(self.high - self.low) < _LITTLE_CONTRAST

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return `255 (v - low) / (high - low)`, rounded and cut to 0..255; NaN and a flat range give 0."""
        span = self.high - self.low
        if span == 0:
            return np.zeros(values.shape, np.uint8)
        levels = np.clip((values.astype(np.float64) - self.low) * (255 / span), 0, 255)
        return np.rint(np.where(np.isnan(levels), 0, levels)).astype(np.uint8)


_UNCHANGED = Stretch(0, 255)


def choose_stretch(
    info: RasterInfo, value_range: tuple[float, float] | None, sample: Callable[[], NDArray[np.float64]]
) -> Stretch | None:
    """Return the stretch of a file; None where its samples are levels of 0 to 255 as they are.

    Parameters
    ----------
    info : RasterInfo
        What the header says. Samples of 8 bits or fewer are stretched over all values that they can have.
    value_range : tuple of float or None
        What the user says of wider samples; None: their percentiles, see `percentile_stretch`.
    sample : callable
        Returns valid samples of the colour channels, shape (n,); called only if they are needed.
    """
    if info.dtype == "uint8":
        stretch = Stretch(0, 2 ** (info.bits or 8) - 1)
    elif value_range is not None:
        stretch = Stretch(*value_range)
    else:
        stretch = percentile_stretch(sample())
    if info.white_is_zero:
        stretch = Stretch(stretch.high, stretch.low)
    return None if stretch == _UNCHANGED else stretch


def percentile_stretch(values: NDArray[np.float64]) -> Stretch:
    """Return the stretch over the 2nd to 98th percentile of finite values of all colour channels together.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Valid samples; one range for all channels keeps the colour balance.

    Returns
    -------
    Stretch
        From the least to the greatest value where both percentiles are equal; 0 to 0 where no value is finite.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Stretch(0, 0)
    low, high = np.percentile(finite, _PERCENTILES)
    if low == high:
        low, high = finite.min(), finite.max()
    return Stretch(float(low), float(high))
