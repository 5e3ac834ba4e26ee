"""Where the camera hangs and how the sun shines: what is tall leans away from the one, and from the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tiler.scenes.shapes import Point

Place = tuple[float, float, float]
"""(y, x, z) of a point in space, metres; z grows upwards from the ground."""
_TRUE, _TALLEST = 0.35, 0.6
"""Shares of the camera's height: up to the first, heights are seen as they are; above they are pressed together, so
that nothing reaches the second. A camera flies above the roofs, whatever the photo's width."""
_BRIGHTEST = 1.35


@dataclass(frozen=True, slots=True)
class Eye:
    """A camera that looks straight down."""

    at: Point = (0.0, 0.0)
    """(y, x) of the ground below it, metres."""
    height_m: float = math.inf
    """How high it hangs; infinitely high, it sees everything from straight above."""

    def zoom(self, z: float) -> float:
        """Return how many times as large something is seen at a height as on the ground."""
        share = z / self.height_m
        if share > _TRUE:
            room = _TALLEST - _TRUE
            share = _TRUE + room * (1 - math.exp((_TRUE - share) / room))
        return 1 / (1 - share)

    def lift(self, place: Place) -> Point:
        """Return where on the ground (y, x) a point in space is seen."""
        zoom = self.zoom(place[2])
        return self.at[0] + (place[0] - self.at[0]) * zoom, self.at[1] + (place[1] - self.at[1]) * zoom


@dataclass(frozen=True, slots=True)
class Light:
    """Sun and sky."""

    sun: Point = (1.0, 0.0)
    """Unit vector (y, x) in which shadows fall."""
    length: float = 0.5
    """Length of a shadow per metre of height."""
    shadow: float = 0.52
    """Share of the light that shadows keep: 1 under a closed sky."""
    blur: float = 0.03
    """How wide the edge of a shadow is, per metre of height."""

    def cast(self, place: Place) -> Point:
        """Return where on the ground (y, x) the shadow of a point in space falls."""
        way = place[2] * self.length
        return place[0] + self.sun[0] * way, place[1] + self.sun[1] * way

    def on(self, normal: Place) -> float:
        """Return how bright a surface is, by its unit normal (y, x, z); level ground has 1."""
        direct = normal[2] - self.length * (normal[0] * self.sun[0] + normal[1] * self.sun[1])
        sky = self.shadow * (0.75 + 0.25 * normal[2])
        return min(sky + (1 - self.shadow) * max(direct, 0.0), _BRIGHTEST)


def draw_light(sun: Point, random: np.random.Generator) -> Light:
    """Return a random light: a closed sky now and then, else shadows, mostly short, at times long and dark."""
    if random.random() < 0.22:
        return Light(sun, length=0.6, shadow=float(random.uniform(0.86, 1.0)), blur=0.5)
    length = float(min(math.exp(random.normal(-0.35, 0.7)), 4.0))
    return Light(sun, length, shadow=float(random.uniform(0.13, 0.56)), blur=float(random.uniform(0.01, 0.06)))


def draw_eye(shape_m: tuple[float, float], random: np.random.Generator) -> Eye:
    """Return the camera above a photo of (height, width) metres, of a random focal length, near the photo's middle."""
    side = max(shape_m)
    tilt = 0.35 if random.random() < 0.12 else 0.07  # aslant, the ground below it is off the middle
    at = random.normal(0.5, tilt, 2) * shape_m
    return Eye((float(at[0]), float(at[1])), float(side * random.uniform(0.6, 1.0)))
