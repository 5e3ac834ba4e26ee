"""A scene that is being planned: what lies where, what is taken, and surfaces to choose from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tiler.scenes import flora, paving, soils, waters
from tiler.scenes.canvas import Canvas, Material
from tiler.scenes.shapes import Point, Shape, around, blob, box, turn, union
from tiler.scenes.thing import Random, Thing, ground

_SQUARE_M = 4.0
_LAYER_M = 1e-5
"""Layers of ground differ by so much, so that later ones lie on earlier ones."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of land."""

    at: Point
    """(y, x) of its middle, metres."""
    length: float
    """Along its angle, metres."""
    width: float
    """Across, metres."""
    angle: float = 0.0
    """Radians."""

    def place(self, along: float, across: float) -> Point:
        """Return (y, x) of a place given from the middle, metres."""
        dy, dx = turn((along, across), self.angle)
        return self.at[0] + dy, self.at[1] + dx

    def outline(self, corner: float = 0.0) -> Shape:
        """Return its outline."""
        return box(self.at, self.length, self.width, self.angle, corner=corner)

    def part(self, along: float, across: float, length: float, width: float) -> Area:
        """Return a smaller one within it."""
        return Area(self.place(along, across), length, width, self.angle)


@dataclass
class Site:
    """Land on which things are placed one after the other."""

    shape_m: tuple[float, float]
    """(height, width) of the scene, metres."""
    sun: Point
    """Unit vector (y, x) in which shadows fall."""
    random: Random
    """Source of every random choice."""
    bare: float
    """Share of trees without leaves: the season."""
    gsd_m: float = 0.01
    """Ground sample distance, metres per pixel: what is much smaller needs no place."""
    things: list[Thing] = field(default_factory=list)
    """What was placed."""
    taken: dict[tuple[int, int], list[tuple[Point, float]]] = field(default_factory=lambda: defaultdict(list))
    """Places and radii of what stands there already, by each square of ground that they touch."""

    @property
    def middle(self) -> Point:
        """(y, x) of the middle of the scene."""
        return self.shape_m[0] / 2, self.shape_m[1] / 2

    @property
    def size(self) -> float:
        """Side of a square as large as the scene, metres."""
        return math.sqrt(self.shape_m[0] * self.shape_m[1])

    @property
    def everything(self) -> Shape:
        """An outline that holds the whole scene."""
        return box(self.middle, 2 * sum(self.shape_m), 2 * sum(self.shape_m))

    @property
    def view(self) -> Shape:
        """The outline of the scene itself."""
        return box(self.middle, self.shape_m[1], self.shape_m[0])

    def chance(self, share: float) -> bool:
        """Return True so often."""
        return bool(self.random.random() < share)

    def any_angle(self) -> float:
        """Return a random direction."""
        return float(self.random.uniform(0, 2 * math.pi))

    def lay(self, shape: Shape, surface: tuple[Material, str], *, ragged_m: float = 0.0) -> None:
        """Put a layer of ground on all earlier ones."""
        self.things.append(ground(len(self.things) * _LAYER_M, shape, *surface, ragged_m=ragged_m))

    def add(self, *things: Thing) -> None:
        """Place things that stand on the ground."""
        self.things += things

    def take(self, at: Point, radius: float) -> None:
        """Mark a place as taken."""
        for square in _squares(at, radius):
            self.taken[square].append((at, radius))

    def spots(self, shape: Shape, radius: float, count: int, *, apart: float = 1.0) -> Iterator[Point]:
        """Yield up to so many random free places within a shape, and take them."""
        reach = min(shape.reach_m, 0.6 * sum(self.shape_m))
        for _ in range(count):
            for _ in range(8):
                at = (
                    shape.centre[0] + self.random.uniform(-reach, reach),
                    shape.centre[1] + self.random.uniform(-reach, reach),
                )
                if inside(shape, at, 0.6 * radius) and self.free(at, apart * radius):
                    self.take(at, radius)
                    yield at
                    break

    def free(self, at: Point, radius: float) -> bool:
        """Return whether nothing stands so near to a place."""
        return all(
            math.hypot(at[0] - y, at[1] - x) > radius + other
            for square in _squares(at, radius)
            for (y, x), other in self.taken.get(square, ())
        )

    def surface(self, weights: dict[str, float]) -> tuple[Material, str]:
        """Return a random ground and its class, of kinds that have such weights."""
        kinds, shares = list(weights), np.array(list(weights.values()))
        return self.ground(kinds[self.random.choice(len(kinds), p=shares / shares.sum())])

    def ground(self, kind: str, angle: float | None = None) -> tuple[Material, str]:
        """Return a ground of a kind, and its class."""
        turned = self.any_angle() if angle is None else angle
        material, name = GROUNDS[kind]
        return material(self, turned), name


def _squares(at: Point, radius: float) -> Iterator[tuple[int, int]]:
    """Yield the squares of ground that a disc touches."""
    rows, cols = (
        range(math.floor((middle - radius) / _SQUARE_M), math.floor((middle + radius) / _SQUARE_M) + 1) for middle in at
    )
    return ((row, col) for row in rows for col in cols)


GROUNDS: dict[str, tuple[Callable[[Site, float], Material], str]] = {
    "asphalt": (lambda site, angle: paving.asphalt(site.random), "paved-area"),
    "concrete": (lambda site, angle: paving.concrete(site.random), "paved-area"),
    "pavers": (lambda site, angle: paving.pavers(site.random, angle), "paved-area"),
    "planks": (lambda site, angle: paving.planks(site.random, angle), "paved-area"),
    "lawn": (lambda site, angle: soils.lawn(site.random), "grass"),
    "soil": (lambda site, angle: soils.soil(site.random), "dirt"),
    "mulch": (lambda site, angle: soils.mulch(site.random, site.sun), "dirt"),
    "sand": (lambda site, angle: soils.sand(site.random), "dirt"),
    "pebbles": (lambda site, angle: soils.pebbles(site.random, site.sun), "gravel"),
    "water": (lambda site, angle: waters.water(site.random), "water"),
    "pool": (lambda site, angle: waters.pool(site.random), "pool"),
    "lily": (lambda site, angle: waters.lily(site.random), "vegetation"),
    "stones": (
        lambda site, angle: soils.pebbles(site.random, site.sun, size_m=site.random.uniform(0.15, 0.6)), "rocks",
    ),
    "edging": (lambda site, angle: paving.pavers(site.random, angle), "wall"),
    "rim": (lambda site, angle: paving.concrete(site.random), "wall"),
}  # fmt: skip
"""How each kind of ground is made, and its class."""
PAVED = {"asphalt": 0.4, "pavers": 0.42, "concrete": 0.1, "planks": 0.08}
BEDS = {"mulch": 0.3, "soil": 0.2, "pebbles": 0.36, "lawn": 0.14}


def whole(site: Site) -> Area:
    """Return an area that holds the scene, turned at random."""
    size = 1.15 * math.hypot(*site.shape_m)
    return Area(site.middle, size, size, site.any_angle())


def inside(shape: Shape, at: Point, margin_m: float = 0.0) -> bool:
    """Return whether a place lies so deep within a shape."""
    y, x = np.array([[at[0]]], np.float32), np.array([[at[1]]], np.float32)
    return float(shape.distance(y, x)[0, 0]) < -margin_m


def any_outline(site: Site, area: Area) -> Shape:
    """Return an outline about as large as an area: square, round or winding."""
    kind = site.random.choice(("box", "round", "blob"), p=(0.55, 0.2, 0.25))
    if kind == "box":
        return area.outline()
    if kind == "round":
        return area.outline(corner=0.5 * min(area.length, area.width) * site.random.uniform(0.2, 1))
    return blob(area.at, 0.5 * min(area.length, area.width), site.random, rough=site.random.uniform(0.05, 0.2))


def edge(site: Site, shape: Shape) -> None:
    """Put an edge around a ground: kerb stones, gravel, or nothing."""
    kind = site.random.choice(("none", "kerb", "gravel", "stones", "pavers"), p=(0.3, 0.32, 0.16, 0.08, 0.14))
    width = {"none": 0.0, "kerb": site.random.uniform(0.06, 0.2), "gravel": site.random.uniform(0.2, 0.7),
             "stones": site.random.uniform(0.2, 0.6), "pavers": site.random.uniform(0.2, 0.6)}[kind]  # fmt: skip
    ground_of = {"kerb": "rim", "gravel": "pebbles", "stones": "stones", "pavers": "pavers"}
    if width:
        ragged = {"gravel": 0.02, "stones": 0.05}.get(kind, 0.0)
        site.lay(around(shape, width), site.ground(ground_of[kind]), ragged_m=ragged)


def plant(
    site: Site, shape: Shape, count: int, *, sizes: tuple[float, float], kinds: Sequence[float] = (0.62, 0.22, 0.16)
) -> None:
    """Place shrubs, tufts and boulders within a shape, in the shares of `kinds`; they may touch each other."""
    makers = (flora.shrub, flora.tuft, flora.boulder)
    least, most = (math.log(max(size, 3 * site.gsd_m)) for size in sizes)
    for _ in range(count if site.gsd_m < 0.08 else count // 4):
        radius = math.exp(site.random.uniform(least, most))
        for at in site.spots(shape, 0.8 * radius, 1, apart=0.7):
            site.add(makers[site.random.choice(3, p=kinds)](at, radius, site.sun, site.random))


def trees(site: Site, shape: Shape, count: int, *, sizes: tuple[float, float] = (0.8, 3.2)) -> None:
    """Place trees within a shape."""
    for _ in range(count):
        radius = site.random.uniform(*sizes)
        for at in site.spots(shape, radius, 1, apart=0.6):
            site.add(tree(site, at, radius))


def tree(site: Site, at: Point, radius: float) -> Thing:
    """Return a tree of the season."""
    if site.chance(site.bare):
        return flora.bare_tree(at, radius, site.sun, site.random)
    maker = flora.conifer if site.chance(0.3) else flora.broadleaf
    return maker(at, radius, site.sun, site.random)


def phantom(site: Site) -> Thing:
    """Return the shadow of something that stands outside the picture: a house, a mast, a crown."""
    random = site.random
    at = random.uniform(-0.1, 1.1) * site.shape_m[0], random.uniform(-0.1, 1.1) * site.shape_m[1]
    size = random.uniform(0.15, 0.5) * min(site.shape_m)
    kind = random.choice(("house", "mast", "crown", "truss"), p=(0.25, 0.2, 0.2, 0.35))
    if kind == "house":
        shape = box(at, 2 * size, size, site.any_angle())
    elif kind == "mast":
        shape = box(at, 6 * size, random.uniform(0.05, 0.8), site.any_angle())
    elif kind == "truss":
        shape = union(_bars(site, at, size))
    else:
        shape = blob(at, size, random, rough=0.2)

    soft_m = random.uniform(0.02, 0.4)

    def paint(canvas: Canvas) -> None:
        canvas.shade(shape, canvas.light.shadow, soft_m=soft_m)

    return Thing(0.3, shape, paint, shadow=False)


def _bars(site: Site, at: Point, size: float) -> list[Shape]:
    random, turned = site.random, site.any_angle()
    bars = []
    for _ in range(int(random.integers(4, 10))):
        bearing = turned + random.choice((0, 0.5, -0.5, math.pi / 2)) + random.normal(0, 0.1)
        bars.append(box(at, 6 * size, random.uniform(0.1, 0.9), bearing).moved(*random.uniform(-size, size, 2)))
    return bars
