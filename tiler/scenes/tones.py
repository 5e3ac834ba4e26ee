"""Colours: random ones of a family, and what a number from dark to bright looks like in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tiler.scenes.shapes import Metres
from tiler.scenes.thing import Random

Colour = Sequence[float] | Metres
_STEPS = 256
_DEVIATION = 36.0
"""Steps of a ramp per deviation of the noise that picks them."""


def pick(family: Sequence[Colour], random: Random, *, spread: float = 7.0) -> Metres:
    """Return a colour between two random ones of a family, a little off in light and hue."""
    first, second = (np.asarray(family[index], np.float32) for index in random.integers(0, len(family), 2))
    share = np.float32(random.uniform())
    off = np.float32(random.normal(0, spread)) + random.normal(0, spread / 3, 3).astype(np.float32)
    colour: Metres = np.clip(first * share + second * (1 - share) + off, 6, 250).astype(np.float32)
    return colour


def grey(random: Random, least: float, most: float, *, hue: float = 5.0) -> Metres:
    """Return a grey of a random lightness, warm or cool."""
    light, warm = random.uniform(least, most), random.normal(0, hue)
    return np.clip([light + warm, light, light - warm], 4, 252).astype(np.float32)


def ramp(stops: Sequence[Colour]) -> Metres:
    """Return a table of colours from the first to the last, shape (256, 3)."""
    colours = np.asarray(stops, np.float32)
    places = np.linspace(0, len(colours) - 1, _STEPS)
    return np.stack([np.interp(places, np.arange(len(colours)), channel) for channel in colours.T], 1).astype(
        np.float32
    )


def contrast(colour: Colour, amount: float) -> Metres:
    """Return a ramp through a colour, from its dark to its bright: shade is a little more saturated than light."""
    middle = np.asarray(colour, np.float32)
    return ramp([middle * (1 - amount) - 4 * amount, middle, middle * (1 + 0.7 * amount) + 14 * amount])


def toned(table: Metres, level: Metres) -> Metres:
    """Return the colours of a ramp at levels of mean 0 and deviation 1: shape (n, m) gives (n, m, 3)."""
    step = np.clip(level * np.float32(_DEVIATION) + np.float32(_STEPS / 2), 0, _STEPS - 1).astype(np.uint8)
    colours: Metres = table.take(step, axis=0)
    return colours


def clipped(level: Metres, least: float, most: float) -> Metres:
    """Return levels within bounds."""
    within: Metres = np.clip(level, np.float32(least), np.float32(most))
    return within


def mixed(first: Metres, second: Metres, share: Metres) -> Metres:
    """Return colours of shape (n, m, 3) between two, where the share of the second has the shape (n, m)."""
    weight = np.clip(share, 0, 1)[..., np.newaxis]
    blended: Metres = first + (second - first) * weight
    return blended
