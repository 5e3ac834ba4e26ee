"""Outlines on the ground as signed distances, in metres."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Metres = NDArray[np.floating[Any]]
Random = np.random.Generator
Point = tuple[float, float]
_BEARINGS = 2048
"""Directions in which the outline of a blob is tabulated."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An outline: where it can be, and how far any point is from its edge."""

    centre: Point
    """(y, x) of its middle, metres; y grows downwards."""
    reach_m: float
    """No point of it is farther than this from its centre along either axis."""
    distance: Callable[[Metres, Metres], Metres]
    """Metres to the edge, negative inside, for y of shape (n, 1) and x of shape (1, m)."""

    def moved(self, dy: float, dx: float) -> Shape:
        """Return the same outline elsewhere."""
        y, x = self.centre
        return Shape((y + dy, x + dx), self.reach_m, lambda rows, cols: self.distance(rows - dy, cols - dx))

    def grown(self, margin_m: float) -> Shape:
        """Return an outline that is wider by so much on every side."""
        return Shape(self.centre, self.reach_m + margin_m, lambda y, x: self.distance(y, x) - margin_m)


def turn(point: Point, angle: float) -> Point:
    """Return a point (along, across) turned by an angle in radians, as (y, x)."""
    along, across = point
    sine, cosine = math.sin(angle), math.cos(angle)
    return along * sine + across * cosine, along * cosine - across * sine


def axes(centre: Point, angle: float) -> Callable[[Metres, Metres], tuple[Metres, Metres]]:
    """Return a function from (y, x) to the coordinates (along, across) of something turned by an angle."""
    sine, cosine = math.sin(angle), math.cos(angle)

    def local(y: Metres, x: Metres) -> tuple[Metres, Metres]:
        dy, dx = y - centre[0], x - centre[1]
        return dx * cosine + dy * sine, dy * cosine - dx * sine

    return local


def box(centre: Point, length: float, width: float, angle: float = 0.0, *, corner: float = 0.0) -> Shape:
    """Return a rectangle with rounded corners; `angle` is in radians, all else in metres."""
    local = axes(centre, angle)

    def distance(y: Metres, x: Metres) -> Metres:
        along, across = local(y, x)
        beyond_u, beyond_v = np.abs(along) - (length / 2 - corner), np.abs(across) - (width / 2 - corner)
        outside = np.hypot(np.maximum(beyond_u, 0), np.maximum(beyond_v, 0))
        edge: Metres = outside + np.minimum(np.maximum(beyond_u, beyond_v), 0) - corner
        return edge

    return Shape(centre, math.hypot(length, width) / 2, distance)


def ellipse(centre: Point, length: float, width: float, angle: float = 0.0) -> Shape:
    """Return an ellipse, `angle` in radians; its distance is exact on the edge only."""
    local = axes(centre, angle)

    def distance(y: Metres, x: Metres) -> Metres:
        along, across = local(y, x)
        edge: Metres = (np.hypot(2 * along / length, 2 * across / width) - 1) * (min(length, width) / 2)
        return edge

    return Shape(centre, max(length, width) / 2, distance)


def blob(centre: Point, radius: float, generator: np.random.Generator, *, rough: float = 0.12) -> Shape:
    """Return a round outline with random bays and lobes; its distance is exact on the edge only."""
    orders = np.arange(2, 8)
    swings = rough * generator.normal(0, 1, len(orders)) / np.sqrt(orders)
    phases = generator.uniform(0, 2 * math.pi, len(orders))
    bearings = np.arange(_BEARINGS)[:, np.newaxis] * (2 * math.pi / _BEARINGS)
    edge = (radius * (1 + (swings * np.cos(orders * bearings + phases)).sum(axis=1))).astype(np.float32)
    return Shape(centre, radius * (1 + float(np.abs(swings).sum())), radial(centre, edge).distance)


def radial(centre: Point, edge: Metres) -> Shape:
    """Return an outline that reaches so far in each direction, float32 of shape (2048,); distance exact on the edge."""

    def distance(y: Metres, x: Metres) -> Metres:
        dy, dx = y - centre[0], x - centre[1]
        bearing = np.arctan2(dy, dx) * np.float32(_BEARINGS / (2 * math.pi))
        to_edge: Metres = np.hypot(dx, dy) - edge[bearing.astype(np.int32)]  # a negative index wraps, as a bearing does
        return to_edge

    return Shape(centre, float(edge.max()), distance)


def wave(centre: Point, angle: float, generator: np.random.Generator, *, swing_m: float, reach_m: float) -> Shape:
    """Return all that lies on one side of a line that winds; distance exact on the edge only."""
    local = axes(centre, angle)
    swings = swing_m * generator.uniform(0.3, 1, 3)
    pitches, phases = reach_m * generator.uniform(0.3, 2, 3), generator.uniform(0, 2 * math.pi, 3)

    def distance(y: Metres, x: Metres) -> Metres:
        along, across = local(y, x)
        for swing, pitch, phase in zip(swings, pitches, phases, strict=True):
            across = across + np.float32(swing) * np.sin(along * np.float32(2 * math.pi / pitch) + np.float32(phase))
        return across

    return Shape(centre, 4 * reach_m, distance)


def both(first: Shape, second: Shape) -> Shape:
    """Return the outline of what two shapes share."""
    return Shape(first.centre, first.reach_m, lambda y, x: np.maximum(first.distance(y, x), second.distance(y, x)))


def around(shape: Shape, width_m: float) -> Shape:
    """Return a band along the edge of a shape, half of it on each side."""
    return Shape(shape.centre, shape.reach_m + width_m, lambda y, x: np.abs(shape.distance(y, x)) - width_m / 2)


def polygon(corners: Sequence[Point]) -> Shape:
    """Return a convex outline by its corners, in either sense; beyond a corner its distance is too short."""
    points = np.asarray(corners, np.float32)
    following = np.roll(points, -1, axis=0)
    if float((points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]).sum()) < 0:
        points, following = points[::-1], np.roll(points[::-1], -1, axis=0)
    ways = following - points
    lengths = np.maximum(np.hypot(ways[:, 0], ways[:, 1]), 1e-6)
    out_y, out_x = ways[:, 1] / lengths, -ways[:, 0] / lengths
    offsets = out_y * points[:, 0] + out_x * points[:, 1]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2

    def distance(y: Metres, x: Metres) -> Metres:
        farthest: Metres = out_y[0] * y + (out_x[0] * x - offsets[0])
        for side in range(1, len(offsets)):
            farthest = np.maximum(farthest, out_y[side] * y + (out_x[side] * x - offsets[side]))
        return farthest

    return Shape((float(centre[0]), float(centre[1])), float(np.abs(points - centre).max()), distance)


def capsule(first: Point, second: Point, radius: float) -> Shape:
    """Return all that lies within a radius of the line between two points."""
    dy, dx = second[0] - first[0], second[1] - first[1]
    squared = max(dy * dy + dx * dx, 1e-12)

    def distance(y: Metres, x: Metres) -> Metres:
        v, u = y - first[0], x - first[1]
        share = np.clip((v * dy + u * dx) / squared, 0, 1)
        to_edge: Metres = np.hypot(v - share * dy, u - share * dx) - radius
        return to_edge

    return Shape(((first[0] + second[0]) / 2, (first[1] + second[1]) / 2), max(abs(dy), abs(dx)) / 2 + radius, distance)


def ring(shape: Shape, width: float) -> Shape:
    """Return the edge of a shape, so wide, inwards."""
    return Shape(shape.centre, shape.reach_m, lambda y, x: np.abs(shape.distance(y, x) + width / 2) - width / 2)


def union(shapes: Sequence[Shape]) -> Shape:
    """Return the outline of several shapes together."""
    rows, cols = [shape.centre[0] for shape in shapes], [shape.centre[1] for shape in shapes]
    centre = (min(rows) + max(rows)) / 2, (min(cols) + max(cols)) / 2
    reach = max(
        shape.reach_m + max(abs(shape.centre[0] - centre[0]), abs(shape.centre[1] - centre[1])) for shape in shapes
    )

    def distance(y: Metres, x: Metres) -> Metres:
        nearest = shapes[0].distance(y, x)
        for shape in shapes[1:]:
            nearest = np.minimum(nearest, shape.distance(y, x))
        return nearest

    return Shape(centre, reach, distance)
