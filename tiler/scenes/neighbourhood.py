"""Plan a neighbourhood: roads, lots between them, and what stands on each lot; nothing is painted yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tiler.scenes import materials, plants, things
from tiler.scenes.shapes import Metres, Point, blob, box, turn
from tiler.scenes.thing import Layout, Random, Thing, ground, marking, touches

_BLOCK_M = 52.0
"""Distance from one road to the next."""
_STREET_M = 10.4
"""Width of a road with its pavements."""
_DEPTH_M = (_BLOCK_M - _STREET_M) / 2
_CROSSING_M = 105.0
_ASPHALT = materials.speckled((104, 105, 108), grain=5, clumps=3, clouds=5)
_CONCRETE = materials.speckled((176, 172, 164), grain=4, clumps=4, clouds=4)
_GRAVEL = materials.speckled((152, 148, 144), grain=24, clumps=12, clouds=5)
_DIRT = materials.speckled((148, 114, 80), grain=7, clumps=10, clouds=12)
_WATER = materials.rippled((46, 78, 82), light=14, zoom=1.5)
_POOL = materials.rippled((72, 176, 204), light=40, zoom=0.8)


@dataclass
class Lot:
    """A piece of land beside a road, with places that are still free.

    Along runs with the road, across away from it, both in metres from the middle of the lot's front.
    """

    front: Point
    """(y, x) of the middle of its front."""
    angle: float
    """Direction of the road, radians, such that across grows away from it."""
    width: float
    """Length of its front, metres."""
    sun: Point
    """Unit vector (y, x) in which shadows fall."""
    random: Random
    """Source of every random choice."""
    back: bool = True
    """Whether the fence, wall or hedge at its back is its own; otherwise it is the neighbour's."""
    taken: list[tuple[float, float, float]] = field(default_factory=list)
    """(along, across, radius) of what stands there already."""

    def at(self, along: float, across: float) -> Point:
        """Return (y, x) of a place on the lot."""
        dy, dx = turn((along, across), self.angle)
        return self.front[0] + dy, self.front[1] + dx

    def free(self, radius: float, count: int) -> Iterator[Point]:
        """Yield up to so many random free places, and take them."""
        for _ in range(count):
            for _ in range(12):
                along = self.random.uniform(-self.width / 2 + radius, self.width / 2 - radius)
                across = self.random.uniform(radius, _DEPTH_M - radius)
                if all(math.hypot(along - a, across - b) > radius + r for a, b, r in self.taken):
                    self.take(along, across, radius)
                    yield self.at(along, across)
                    break

    def take(self, along: float, across: float, radius: float) -> None:
        """Mark a place as taken."""
        self.taken.append((along, across, radius))

    def any_angle(self) -> float:
        """Return a random direction."""
        return float(self.random.uniform(0, 2 * math.pi))


def plan_neighbourhood(shape_m: tuple[float, float], random: Random) -> Layout:
    """Return what stands in a neighbourhood.

    Parameters
    ----------
    shape_m : tuple of float
        (height, width) of the scene, metres.
    random : numpy.random.Generator
        Source of every random choice.
    """
    sun = turn((1.0, 0.0), random.uniform(0, 2 * math.pi))
    angle = random.uniform(-0.5, 0.5) + random.choice((0.0, math.pi / 2))
    middle = shape_m[0] / 2, shape_m[1] / 2
    half = math.hypot(*shape_m) / 2 + 15
    across_start, along_start = random.uniform(0, _BLOCK_M), random.uniform(0, _CROSSING_M)

    def place(along: float, across: float) -> Point:
        dy, dx = turn((along, across), angle)
        return middle[0] + dy, middle[1] + dx

    planned: list[Thing] = []
    reach = math.ceil(half / _CROSSING_M + 1) * _CROSSING_M
    crossings = np.arange(along_start - reach, reach + _CROSSING_M, _CROSSING_M)
    for along in crossings:
        planned += _street(place(along, 0), 2 * half, angle + math.pi / 2, random)
    for across in np.arange(across_start - math.ceil(half / _BLOCK_M + 1) * _BLOCK_M, half + _BLOCK_M, _BLOCK_M):
        planned += _street(place(0, across), 2 * half, angle, random)
        for start, width in _fronts(crossings, random):
            for side in (-1, 1):
                front = place(start + width / 2, across + side * _STREET_M / 2)
                if _visible(front, shape_m):
                    turned = angle if side > 0 else angle + math.pi
                    planned += _fill(Lot(front, turned, width, sun, random, back=side > 0))
    planned += _bare_earth(shape_m, random)
    shown = [thing for thing in planned if touches(thing, shape_m)]
    return Layout(tuple(sorted(shown, key=lambda thing: thing.height_m)), sun, random.uniform(0.35, 0.8))


def _fronts(crossings: Metres, random: Random) -> Iterator[tuple[float, float]]:
    """Yield where along a road each lot starts, and its width: they fill the room between two crossings."""
    for first, second in pairwise(crossings):
        shares = random.uniform(17, 25, round((second - first - _STREET_M) / 21))
        widths = shares / shares.sum() * (second - first - _STREET_M)
        yield from zip(first + _STREET_M / 2 + np.cumsum(widths) - widths, widths, strict=True)


def _visible(front: Point, shape_m: tuple[float, float]) -> bool:
    return all(-40 < position < length + 40 for position, length in zip(front, shape_m, strict=True))


def _street(at: Point, length: float, angle: float, random: Random) -> list[Thing]:
    pavement = box(at, length, _STREET_M, angle)
    asphalt = box(at, length, 6.6, angle)
    slabs = materials.slabs(_CONCRETE, at, angle, pitch_m=1.2, line_m=0.04, change=-26)
    made = [
        ground(0.03, pavement, slabs, "paved-area"),
        ground(0.04, asphalt, _ASPHALT, "paved-area"),
    ]
    for along in np.arange(-length / 2, length / 2, 6.0):
        dy, dx = turn((along, 0), angle)
        made.append(marking(box((at[0] + dy, at[1] + dx), 2.8, 0.14, angle)))
    for along in np.arange(-length / 2 + 4, length / 2, 9.0):
        if random.random() < 0.5:
            side = random.choice((-1, 1))
            dy, dx = turn((along + random.uniform(-2, 2), side * random.choice((1.6, 2.3))), angle)
            turned = angle + (0 if side > 0 else math.pi) + random.normal(0, 0.04)
            made.append(things.car((at[0] + dy, at[1] + dx), turned, random))
        for maker in (things.person, things.bicycle, things.person, things.dog):
            if random.random() < 0.3:
                dy, dx = turn((along + random.uniform(-4, 4), random.choice((-4.3, 4.3))), angle)
                made.append(maker((at[0] + dy, at[1] + dx), angle + random.normal(0, 0.4), random))
    return made


def _bare_earth(shape_m: tuple[float, float], random: Random) -> Iterator[Thing]:
    """Yield patches where the grass is worn away."""
    area = shape_m[0] * shape_m[1]
    for _ in range(round(area / 900)):
        at = random.uniform(0, shape_m[0]), random.uniform(0, shape_m[1])
        yield ground(0.01, blob(at, random.uniform(1.2, 3.5), random, rough=0.25), _DIRT, "dirt", ragged_m=0.18)


def _fill(lot: Lot) -> list[Thing]:
    kinds: tuple[tuple[Callable[[Lot], list[Thing]], float], ...] = (
        (_home, 0.56), (_pond, 0.11), (_parking, 0.07), (_yard, 0.13), (_meadow, 0.13),
    )  # fmt: skip
    fillers, shares = zip(*kinds, strict=True)
    made: list[Thing] = fillers[lot.random.choice(len(kinds), p=shares)](lot)
    return made + _visitors(lot)


def _visitors(lot: Lot) -> list[Thing]:
    """Return small things that stand on every kind of lot."""
    random = lot.random
    made: list[Thing] = []
    makers = (things.person, things.dog, things.bicycle, things.obstacle)
    for maker, most in zip(makers, (4, 3, 3, 3), strict=True):
        made += [maker(at, lot.any_angle(), random) for at in lot.free(0.9, int(random.integers(1, most + 1)))]
    made += [things.marker(at, lot.any_angle()) for at in lot.free(0.7, int(random.integers(0, 3)))]
    return made + _rocks(lot, int(random.integers(0, 3)))


def _trees(lot: Lot, least: int, most: int, *, bald: float = 0.3) -> list[Thing]:
    made = []
    for at in lot.free(2.0, int(lot.random.integers(least, most + 1))):
        radius = lot.random.uniform(1.4, 2.9)
        if lot.random.random() < bald:
            made.append(plants.bald_tree(at, radius, lot.random))
        else:
            made.append(plants.tree(at, radius, lot.sun, lot.random))
    return made


def _bushes(lot: Lot, count: int) -> list[Thing]:
    return [plants.bush(at, lot.random.uniform(0.7, 1.7), lot.sun, lot.random) for at in lot.free(1.3, count)]


def _rocks(lot: Lot, count: int) -> list[Thing]:
    return [plants.rock(at, lot.random.uniform(0.4, 1.2), lot.sun, lot.random) for at in lot.free(0.9, count)]


def _enclosure(lot: Lot) -> list[Thing]:
    """Return a fence, wall or hedge on one side and at the back; the neighbour has the other side."""
    made: list[Thing] = []
    edge, back = lot.width / 2 - 0.5, _DEPTH_M - 0.6
    sides = [(lot.at(-edge, back / 2 + 2), back - 4.5, math.pi / 2)]
    if lot.back:
        sides.append((lot.at(0, back), lot.width - 1.4, 0.0))
    for at, length, turned in sides:
        kind = lot.random.random()
        if kind < 0.5:
            made += things.fence(at, length, lot.angle + turned, lot.random)
        elif kind < 0.75:
            made.append(things.wall(at, length, lot.angle + turned, lot.random))
        elif kind < 0.95:
            made.append(plants.hedge(at, length, lot.angle + turned, lot.sun, lot.random))
    return made


def _home(lot: Lot) -> list[Thing]:
    random, angle = lot.random, lot.angle
    length, width = random.uniform(9, 12), random.uniform(7, 8.5)
    along, across = random.uniform(-0.12, 0.12) * lot.width, random.uniform(8.0, 9.0)
    made = _enclosure(lot)
    made += things.house(lot.at(along, across), (length, width), angle + math.pi, random)
    lot.take(along, across, length / 2 + 1.2)
    for share in (-0.3, 0.3):
        lot.take(along + share * length, across, width / 2 + 1.4)
    front = across - width / 2 - 1
    side = math.copysign(lot.width / 2 - 3.4, random.normal())
    surface, name = ((_GRAVEL, "gravel"), (_CONCRETE, "paved-area"))[random.integers(2)]
    drive = box(lot.at(side, front / 2 + 2), 3.4, front + 6, angle)
    made.append(ground(0.02, drive, surface, name, ragged_m=0.05 if name == "gravel" else 0))
    lot.take(side, 2, 2.4)
    lot.take(side, 6, 2.4)
    if random.random() < 0.85:
        made.append(things.car(lot.at(side, 5.0), angle + math.pi / 2, random))
    path = box(lot.at(along, front / 2), 1.3, front + 1, angle)
    made.append(ground(0.02, path, materials.slabs(_CONCRETE, lot.at(0, 0), angle, pitch_m=0.65, line_m=0.04,
                                                          change=-34), "paved-area"))  # fmt: skip
    made += _garden(lot, across + width / 2)
    return made


def _garden(lot: Lot, back: float) -> list[Thing]:
    """Return what grows behind a house, and often a pool."""
    random, angle = lot.random, lot.angle
    made: list[Thing] = []
    along = random.uniform(-0.2, 0.2) * lot.width
    if random.random() < 0.6:
        across = back + 3.6
        size = random.uniform(5, 8), random.uniform(2.8, 3.8)
        rim = box(lot.at(along, across), size[0] + 1.6, size[1] + 1.6, angle, corner=0.2)
        slabs = materials.slabs(_CONCRETE, lot.at(0, 0), angle, pitch_m=0.8, line_m=0.05, change=-30)
        made.append(ground(0.02, rim, slabs, "paved-area"))
        made.append(ground(0.05, box(lot.at(along, across), *size, angle, corner=0.5), _POOL, "pool"))
        lot.take(along - size[0] / 4, across, 3)
        lot.take(along + size[0] / 4, across, 3)
    return made + _bushes(lot, int(random.integers(2, 6))) + _trees(lot, 1, 3)


def _pond(lot: Lot) -> list[Thing]:
    random = lot.random
    along, across, radius = 0.0, _DEPTH_M / 2, min(lot.width, _DEPTH_M) * random.uniform(0.26, 0.34)
    state = random.bit_generator.state
    shore = blob(lot.at(along, across), radius, random, rough=0.12)
    random.bit_generator.state = state  # the water has the outline of its shore
    water = blob(lot.at(along, across), radius, random, rough=0.12).grown(-0.9)
    lot.take(along, across, radius + 0.5)
    made = [ground(0.02, shore, _GRAVEL, "gravel", ragged_m=0.12), ground(0.05, water, _WATER, "water")]
    for bearing in random.uniform(0, 2 * math.pi, 14):
        dy, dx = turn((radius * random.uniform(0.9, 1.12), 0), bearing)
        y, x = lot.at(along, across)
        made.append(plants.rock((y + dy, x + dx), random.uniform(0.35, 1.1), lot.sun, random))
    return made + _bushes(lot, 4) + _trees(lot, 2, 4)


def _parking(lot: Lot) -> list[Thing]:
    random, angle = lot.random, lot.angle
    pad = box(lot.at(0, _DEPTH_M / 2 - 1), lot.width - 1.5, _DEPTH_M - 1, angle)
    made = [ground(0.02, pad, _ASPHALT, "paved-area")]
    for row in (4.0, _DEPTH_M - 4.5):
        for along in np.arange(-lot.width / 2 + 2.5, lot.width / 2 - 1.5, 2.7):
            made.append(marking(box(lot.at(along - 1.35, row), 0.12, 4.8, angle)))
            lot.take(along, row, 2.2)
            if random.random() < 0.7:
                turned = angle + math.copysign(math.pi / 2, random.normal()) + random.normal(0, 0.03)
                made.append(things.car(lot.at(along, row + random.normal(0, 0.2)), turned, random))
    return made


def _yard(lot: Lot) -> list[Thing]:
    """Return a building site: bare earth, heaps, crates."""
    random = lot.random
    pad = box(lot.at(0, _DEPTH_M / 2), lot.width - 2, _DEPTH_M - 2, lot.angle, corner=2)
    made = [ground(0.02, pad, _DIRT, "dirt", ragged_m=0.25)]
    for at in lot.free(2.6, 3):
        made.append(ground(0.03, blob(at, random.uniform(1.6, 2.8), random), _GRAVEL, "gravel", ragged_m=0.12))
    made += _rocks(lot, 6)
    made += [things.obstacle(at, lot.any_angle(), random) for at in lot.free(1.0, 6)]
    for at in lot.free(1.8, 2):
        made.append(things.wall(at, random.uniform(2.5, 4), lot.any_angle(), random))
    return made + _enclosure(lot)


def _meadow(lot: Lot) -> list[Thing]:
    made = _trees(lot, 4, 7, bald=0.45)
    made += _bushes(lot, 4)
    return made + _rocks(lot, 4)
