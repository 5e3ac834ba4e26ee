"""What everything in a scene is: its height, its outline, and how it is painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tiler.classes import DRONE_CLASSES
from tiler.scenes import materials
from tiler.scenes.canvas import Canvas, Material
from tiler.scenes.shapes import Metres, Point, Shape, turn

ID = {name: index for index, name in enumerate(DRONE_CLASSES.names)}
"""Class id of each name of the drone table."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Thing:
    """Something on the ground."""

    height_m: float
    """How far it rises, metres; lower things are painted first."""
    outline: Shape
    """What it covers."""
    paint: Callable[[Canvas], None]
    """Paint it."""
    shadow: bool = True
    """Whether it casts a shadow; flat things and parts of others do not."""
    lift_m: float = 0.0
    """How far above the ground it begins, metres, as a crown does; what is below lets the sun through."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything in a scene, lowest first."""

    things: tuple[Thing, ...]
    """In the order in which they are painted."""
    sun: Point
    """Unit vector (y, x) in which shadows fall."""
    shadow: float
    """Length of a shadow per metre of height."""
    meadow: bool = True
    """Whether a meadow lies under all things; otherwise the first of them covers everything."""


def touches(thing: Thing, shape_m: tuple[float, float]) -> bool:
    """Return whether a thing, or its shadow, may show in a scene of (height, width) metres."""
    reach = thing.outline.reach_m + thing.height_m + 1
    return all(-reach < middle < length + reach for middle, length in zip(thing.outline.centre, shape_m, strict=True))


def shade_between(dark: materials.Colour, bright: materials.Colour, random: Random) -> Metres:
    """Return a random colour on the line between two."""
    first, second = np.asarray(dark, np.float32), np.asarray(bright, np.float32)
    return first + (second - first) * np.float32(random.uniform())


def placer(at: Point, angle: float) -> Callable[[float, float], Point]:
    """Return a function from (along, across) a thing, metres, to (y, x)."""

    def place(along: float, across: float) -> Point:
        dy, dx = turn((along, across), angle)
        return at[0] + dy, at[1] + dx

    return place


def ground(height_m: float, outline: Shape, material: Material, name: str, *, ragged_m: float = 0.0) -> Thing:
    """Return a flat area; `height_m` only orders it among the others."""

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, material, ID[name], ragged_m=ragged_m)

    return Thing(height_m, outline, paint, shadow=False)


def marking(outline: Shape) -> Thing:
    """Return a white line on a road; the road keeps its label."""
    white = materials.plain((222, 222, 214), grain=6)
    return Thing(0.06, outline, lambda canvas: canvas.paint(outline, white, opacity=0.85), shadow=False)
