"""Solid things of plates, rods and discs in space: seen from the camera, lit by the sun, with shadows on the ground."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Canvas, Material, Patch
from tiler.scenes.eye import Eye, Light, Place
from tiler.scenes.materials import Colour
from tiler.scenes.shapes import Metres, Point, Shape, capsule, ellipse, polygon, ring, turn, union
from tiler.scenes.thing import Thing

_SEEN = 0.12
"""A bar that covers less than this share of a pixel's width is not seen."""
_OVERCAST = 0.97
"""Shadows that keep this much light are not seen."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A flat convex piece, such as a wall or one side of a roof."""

    corners: tuple[Place, ...]
    """Counterclockwise as seen from outside (y grows downwards), if it belongs to a closed body."""
    material: Material
    """What it looks like in full light."""
    label: int | None = None
    """Class id, or None for what only changes the colour of what lies below."""
    closed: bool = False
    """Whether its back is never seen."""
    opacity: float = 1.0
    """How much of what is below is hidden."""
    shadow: bool = True
    """Whether it casts a shadow."""
    rim: float = 0.0
    """If given, only an edge of this width is painted, such as a tyre, metres."""

    def paint(self, canvas: Canvas) -> None:
        """Paint it, unless it turns its back to the camera."""
        seen = [canvas.eye.lift(corner) for corner in self.corners]
        if self.closed and _area(seen) >= 0:
            return
        shape = polygon(seen)
        if 2 * shape.reach_m < canvas.gsd_m / 2:
            return
        shape = ring(shape, self.rim) if self.rim else shape
        lit = shaded(self.material, canvas.light.on(_normal(self.corners, self.closed)))
        canvas.paint(shape, lit, self.label, opacity=self.opacity)

    def cast(self, light: Light) -> Shape:
        """Return its shadow."""
        shadow = polygon([light.cast(corner) for corner in self.corners])
        return ring(shadow, self.rim) if self.rim else shadow


@dataclass(frozen=True, slots=True)
class Rod:
    """A round bar with round ends, such as a limb, a post or a wire; of no length it is a ball."""

    start: Place
    end: Place
    radius: float
    look: Colour | Material
    label: int | None = None
    folds: float = 0.0
    """Strength of the folds of cloth."""
    shadow: bool = True

    def paint(self, canvas: Canvas) -> None:
        """Paint it, brighter on the side of the sun."""
        first, second = canvas.eye.lift(self.start), canvas.eye.lift(self.end)
        radius = self.radius * canvas.eye.zoom((self.start[2] + self.end[2]) / 2)
        thin = min(2 * radius / canvas.gsd_m, 1.0)
        if thin < _SEEN:
            return
        shape = capsule(first, second, max(radius, canvas.gsd_m / 2))
        canvas.paint(shape, _round(self.look, first, second, radius, canvas.light, self.folds), self.label,
                     opacity=thin)  # fmt: skip

    def cast(self, light: Light) -> Shape:
        """Return its shadow."""
        return capsule(light.cast(self.start), light.cast(self.end), self.radius)


@dataclass(frozen=True, slots=True)
class Disc:
    """A level round plate, such as a parasol or the lid of a bin."""

    centre: Place
    length: float
    width: float
    material: Material
    label: int | None = None
    angle: float = 0.0
    rim: float = 0.0
    """If given, only an edge of this width is painted, such as that of a tyre or a hoop, metres."""
    shadow: bool = True

    def paint(self, canvas: Canvas) -> None:
        """Paint it."""
        zoom = canvas.eye.zoom(self.centre[2])
        seen = ellipse(canvas.eye.lift(self.centre), self.length * zoom, self.width * zoom, self.angle)
        canvas.paint(ring(seen, self.rim) if self.rim else seen, self.material, self.label)

    def cast(self, light: Light) -> Shape:
        """Return its shadow."""
        shadow = ellipse(light.cast(self.centre), self.length, self.width, self.angle)
        return ring(shadow, self.rim) if self.rim else shadow


Part = Plate | Rod | Disc
Build = Callable[[Eye], Iterable[Part]]
"""The parts of a thing, those seen last first; the camera decides which way textures lie, and what hides what."""


def solid(at: Point, reach_m: float, height_m: float, build: Build, *, order_m: float | None = None) -> Thing:
    """Return a thing of parts.

    Parameters
    ----------
    at : tuple of float
        (y, x) of its middle.
    reach_m : float
        No part stands farther from there.
    height_m : float
        How far it rises.
    build : callable
        Its parts.
    order_m : float, optional
        Things of a larger number are painted later; as a rule its height.
    """

    def paint(canvas: Canvas) -> None:
        parts = list(build(canvas.eye))
        _shade(canvas, parts, height_m)
        for part in parts:
            part.paint(canvas)

    order = height_m if order_m is None else order_m
    return Thing(order, ellipse(at, 2 * reach_m, 2 * reach_m), paint, shadow=False)


def _shade(canvas: Canvas, parts: Sequence[Part], height_m: float) -> None:
    casting = [part.cast(canvas.light) for part in parts if part.shadow]
    if casting and canvas.light.shadow < _OVERCAST:
        canvas.shade(union(casting), canvas.light.shadow, soft_m=0.015 + canvas.light.blur * height_m)


def prism(corners: Sequence[Point], low: float, high: float, sides: Material, top: Material, label: int | None,
          *, top_label: int | None = None) -> Iterator[Plate]:  # fmt: skip
    """Yield the sides and the top of an upright block over a convex outline, such as a box or a bin."""
    points = list(corners)
    if _area(points) > 0:
        points.reverse()
    for here, there in zip(points, points[1:] + points[:1], strict=True):
        yield Plate(((*here, low), (*there, low), (*there, high), (*here, high)), sides, label, closed=True)
    top_places = tuple((*point, high) for point in points)
    yield Plate(top_places, top, label if top_label is None else top_label, closed=True)


def rectangle(at: Point, length: float, width: float, angle: float) -> list[Point]:
    """Return the four corners (y, x) of a rectangle; `length` runs in the direction of `angle`."""
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    turned = (turn((u * length / 2, v * width / 2), angle) for u, v in corners)
    return [(at[0] + dy, at[1] + dx) for dy, dx in turned]


def block(at: Point, length: float, width: float, angle: float, low: float, high: float, colour: Colour,
          label: int | None, *, grain: float = 4.0) -> Iterator[Plate]:  # fmt: skip
    """Yield a box of one colour."""
    plain = looks.plain(colour, grain=grain)
    yield from prism(rectangle(at, length, width, angle), low, high, plain, plain, label)


def shaded(material: Material, light: float) -> Material:
    """Return a material in so much light; in the shade it turns a little blue, as the sky is."""
    tint = np.asarray([light**1.08, light, light**0.92], np.float32)

    def darker(patch: Patch) -> Metres:
        return material(patch) * tint

    return darker


def _area(points: Sequence[Point]) -> float:
    """Return the area within points (y, x), positive if they run clockwise as seen on the picture."""
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return sum(here[1] * there[0] - there[1] * here[0] for here, there in pairs) / 2


def _normal(corners: Sequence[Place], closed: bool) -> Place:
    """Return the unit normal (y, x, z) of a plate, outwards if it is of a closed body, else upwards."""
    first, second, third = (np.asarray(corner) for corner in corners[:3])
    y, x, z = np.cross(second - first, third - first)  # counterclockwise is up
    length = math.sqrt(float(y * y + x * x + z * z)) or 1.0
    flip = -1.0 if not closed and z < 0 else 1.0
    return flip * float(y) / length, flip * float(x) / length, flip * float(z) / length


def _round(look: Colour | Material, first: Point, second: Point, radius: float, light: Light, folds: float) -> Material:
    """Return the look of a bar: its side towards the sun is bright, the other dark."""
    dy, dx = second[0] - first[0], second[1] - first[1]
    squared = max(dy * dy + dx * dx, 1e-12)
    depth = np.float32(0.10 + 0.35 * (1 - light.shadow))

    def material(patch: Patch) -> Metres:
        y, x = patch.y - first[0], patch.x - first[1]
        share = np.clip((y * dy + x * dx) / squared, 0, 1)
        side = ((y - share * dy) * light.sun[0] + (x - share * dx) * light.sun[1]) / max(radius, 1e-3)
        bright = (0.97 - depth * np.clip(side, -1, 1))[..., np.newaxis]
        colours: Metres = (look(patch) if callable(look) else np.asarray(look, np.float32)) * bright
        if not folds:
            return colours
        level = patch.texture(0.07, salt=31) + 0.5 * patch.texture(0.015, salt=32)
        return colours * (1 + np.float32(folds) * level)[..., np.newaxis]

    return material
