"""Places in space from places on a thing, and colours for what people make."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tiler.scenes.eye import Place
from tiler.scenes.shapes import Metres, Point, Random, turn

_T = TypeVar("_T")
_NEUTRAL = (12, 28, 46, 70, 104, 140, 176, 208, 232, 246)


@dataclass(frozen=True, slots=True)
class Frame:
    """The axes of a thing: u runs the way it faces, v across, z up, all in metres."""

    at: Point
    """(y, x) of its middle on the ground."""
    angle: float
    """Direction it faces, radians."""
    scale: float = 1.0
    """All lengths are multiplied by it."""
    lean: float = 0.0
    """Sideways shift (v) per metre of height."""

    def place(self, u: float, v: float, z: float = 0.0) -> Place:
        """Return (y, x, z)."""
        dy, dx = turn((u * self.scale, (v + self.lean * z) * self.scale), self.angle)
        return self.at[0] + dy, self.at[1] + dx, max(z, 0.0) * self.scale

    def point(self, u: float, v: float) -> Point:
        """Return (y, x) on the ground."""
        y, x, _ = self.place(u, v)
        return y, x


def pick(random: Random, among: Sequence[_T]) -> _T:
    """Return one of several, each as likely as any other."""
    return among[int(random.integers(len(among)))]


def any_colour(random: Random, *, neutral: float = 0.5) -> Metres:
    """Return the colour of something bought: black, grey or white with a share of `neutral`, else any hue."""
    if random.random() < neutral:
        return np.asarray([pick(random, _NEUTRAL)] * 3, np.float32) + random.normal(0, 4, 3).astype(np.float32)
    return hue(random, float(random.beta(1.6, 1.6) * 0.9 + 0.08), float(random.uniform(0.15, 0.92)))


def hue(random: Random, saturation: float, value: float) -> Metres:
    """Return a colour of any hue."""
    colour: Metres = 255 * np.asarray(colorsys.hsv_to_rgb(float(random.uniform()), saturation, value), np.float32)
    return colour


def wood(random: Random) -> Metres:
    """Return a colour of wood: fresh, oiled, painted brown or weathered grey."""
    fresh, grey = np.asarray((196, 158, 108)), np.asarray((150, 144, 136))
    dark = np.asarray((92, 62, 42))
    share, depth = random.uniform(0, 1, 2)
    mixed = (fresh * (1 - share) + grey * share) * (1 - 0.6 * depth) + dark * 0.6 * depth
    return np.asarray(mixed * random.uniform(0.75, 1.15), np.float32)


def any_angle(random: Random) -> float:
    """Return a random direction, radians."""
    return float(random.uniform(0, 2 * math.pi))
