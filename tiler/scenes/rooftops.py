"""The roof of a house: its slopes or its flat, and what lies and stands on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material
from tiler.scenes.eye import Eye, Place
from tiler.scenes.facades import PANES, Build
from tiler.scenes.frame import any_colour, hue, pick
from tiler.scenes.roofs import Covering, felt, pitched, sheets
from tiler.scenes.soils import pebbles
from tiler.scenes.solids import Part, Plate, Rod, block, prism, rectangle
from tiler.scenes.thing import ID, Random

_ROOF, _WALL, _WINDOW, _DOOR, _OBSTACLE = (ID[name] for name in ("roof", "wall", "window", "door", "obstacle"))


def sloping(build: Build, random: Random) -> Callable[[Eye], Iterable[Part]]:
    """Return the sides of a roof, its gutters, skylights, solar panels and chimney."""
    covering = pitched(random)
    slopes = list(planes_of(build))
    gutter = pick(random, ((60, 88, 76), (96, 60, 46), (120, 122, 124), (210, 212, 212), (58, 60, 62)))
    extras = list(_extras(build, random))
    gutters = list(_gutters(build, gutter)) if random.random() < 0.7 else []
    trim = _trim(build, random)

    def parts(eye: Eye) -> Iterator[Part]:
        for corners, turned in slopes:
            middle = tuple(sum(place[axis] for place in corners) / len(corners) for axis in range(3))
            look = covering(eye.lift((middle[0], middle[1], middle[2])), build.frame.angle + turned)
            yield Plate(tuple(corners), look, _ROOF, closed=True)
        yield from trim
        yield from gutters
        yield from extras

    return parts


def planes_of(build: Build) -> Iterator[tuple[list[Place], float]]:
    """Yield the sides of a roof, counterclockwise as seen from above, and how their rows are turned."""
    out, low = build.eaves, build.walls - 0.0
    drop = build.rise * build.eaves / max(build.width / 2, 0.1)
    high = build.walls + build.rise
    if build.kind == "pent":
        low_side, high_side = low - drop / 2, high + drop / 2
        yield [build.corner(-1, -1, low_side, out=out), build.corner(-1, 1, high_side, out=out),
               build.corner(1, 1, high_side, out=out), build.corner(1, -1, low_side, out=out)], math.pi  # fmt: skip
        return
    inset = 1.0 if build.kind == "gable" else max(1 - build.width / build.length, 0.0)
    ends = build.eaves if build.kind == "gable" else 0.0
    ridge = [build.frame.place(side * (build.length / 2 * inset + ends), 0, high) for side in (-1, 1)]
    eave = {(u, v): build.corner(u, v, low - drop, out=out) for u in (-1, 1) for v in (-1, 1)}
    yield [eave[-1, -1], ridge[0], ridge[1], eave[1, -1]], math.pi
    yield [eave[1, 1], ridge[1], ridge[0], eave[-1, 1]], 0.0
    if build.kind == "hip":
        yield [eave[-1, 1], ridge[0], eave[-1, -1]], math.pi / 2
        yield [eave[1, -1], ridge[1], eave[1, 1]], -math.pi / 2


def _trim(build: Build, random: Random) -> list[Part]:
    """Return the ridge: a row of tiles, a little lighter or darker."""
    if build.kind == "pent" or random.random() < 0.3:
        return []
    inset = 1.0 if build.kind == "gable" else max(1 - build.width / build.length, 0.0)
    ends = [build.frame.place(side * build.length / 2 * inset, 0, build.walls + build.rise) for side in (-1, 1)]
    colour = np.asarray(pick(random, ((120, 70, 56), (84, 84, 86), (150, 96, 78), (60, 60, 62))), np.float32)
    return [Rod(ends[0], ends[1], float(random.uniform(0.05, 0.12)), colour, _ROOF, shadow=False)]


def _gutters(build: Build, colour: Material | tuple[int, int, int]) -> Iterator[Part]:
    drop = build.rise * build.eaves / max(build.width / 2, 0.1)
    z = build.walls - (drop if build.kind != "pent" else drop / 2)
    for v in (-1,) if build.kind == "pent" else (-1, 1):
        start, end = (build.corner(u, v, z, out=build.eaves + 0.05) for u in (-1, 1))
        yield Rod(start, end, 0.065, colour, _OBSTACLE, shadow=False)


def _extras(build: Build, random: Random) -> Iterator[Part]:
    """Yield skylights, solar panels and a chimney; they lie on the slopes."""
    side = int(pick(random, (-1, 1)))

    def on_slope(u: float, share: float, lift: float = 0.04) -> Place:
        """Return a place on one slope: `share` is 0 at the ridge, 1 at the eaves."""
        if build.kind == "pent":
            v = (0.5 - share) * build.width
            return build.frame.place(u, v, build.walls + (0.5 + v / build.width) * build.rise + lift)
        return build.frame.place(u, side * share * build.width / 2, build.walls + (1 - share) * build.rise + lift)

    def patch(u: float, length: float, shares: tuple[float, float]) -> tuple[Place, ...]:
        half = length / 2
        return (on_slope(u - half, shares[0]), on_slope(u + half, shares[0]), on_slope(u + half, shares[1]),
                on_slope(u - half, shares[1]))  # fmt: skip

    room = build.length * (0.34 if build.kind == "hip" else 0.42)
    run = build.width / 2 if build.kind != "pent" else build.width
    if random.random() < 0.14:
        cells = looks.plain((26, 34, 58), grain=2)
        panel = looks.slabs(cells, build.frame.at, build.frame.angle, pitch_m=1.0, line_m=0.05, change=70)
        yield Plate(patch(random.uniform(-0.2, 0.2) * room, room, (0.2, 0.75)), panel, _ROOF, shadow=False)
    elif random.random() < 0.65 and build.length > 5:
        pane, rim = (np.asarray(pick(random, PANES), np.float32) for _ in range(2))
        flashing = np.asarray(pick(random, ((120, 98, 74), (70, 72, 76), (160, 160, 158))), np.float32)
        for u in np.linspace(-room, room, 6)[random.random(6) < 0.4]:
            start = random.uniform(0.25, 0.45)
            long = random.uniform(1.0, 1.6) / run
            yield Plate(
                patch(u, 1.06, (start - 0.05, start + long + 0.12)),
                looks.plain(flashing, grain=5),
                _WINDOW,
                shadow=False,
            )
            yield Plate(patch(u, 0.9, (start, start + long)), looks.plain(rim * 0.5, grain=3), None, shadow=False)
            yield Plate(
                patch(u, 0.66, (start + 0.1 / run, start + long - 0.1 / run)),
                looks.plain(pane, grain=3),
                None,
                shadow=False,
            )
    if random.random() < 0.6 and build.length > 5:
        u, share = random.uniform(-room, room), random.uniform(0.1, 0.5)
        y, x, z = on_slope(u, share)
        size = random.uniform(0.4, 0.9)
        brick = pick(random, ((136, 76, 60), (200, 196, 188), (120, 120, 122), (96, 66, 56)))
        yield from block(
            (y, x),
            size,
            0.6 * size + 0.15,
            build.frame.angle,
            z - 0.3,
            z + random.uniform(0.5, 1.1),
            brick,
            _ROOF,
            grain=8,
        )


def flat(build: Build, random: Random) -> Callable[[Eye], Iterable[Part]]:
    """Return a flat roof within a rim, and what stands on it."""
    chance = random.random()
    rim_m, rise = float(random.uniform(0.08, 0.4)), float(random.uniform(0.02, 0.4))
    metal = any_colour(random, neutral=0.95)
    length, width = build.length + 2 * build.eaves, build.width + 2 * build.eaves
    at, angle = build.frame.at, build.frame.angle
    covering: Covering
    name = "roof"
    if chance < 0.42:
        stones = pebbles(random, (1.0, 0.0), size_m=float(random.uniform(0.012, 0.05)))
        name, covering = "gravel", lambda at, angle: stones
    elif chance < 0.5:
        grass = looks.speckled(hue(random, 0.3, 0.45) * 0.3 + np.asarray((70, 84, 44)), grain=12, clumps=12, clouds=5)
        name, covering = "vegetation", lambda at, angle: grass
    else:
        covering = (felt if chance < 0.84 else sheets)(random)
    things = list(_on_flat(build, random))

    def parts(eye: Eye) -> Iterator[Part]:
        rim = looks.plain(metal, grain=3)
        yield from prism(rectangle(at, length, width, angle), build.walls - 0.25, build.walls + rise, rim, rim, _ROOF)
        look = covering(eye.lift((*at, build.walls)), angle)
        inside = tuple(
            (*point, build.walls + rise) for point in rectangle(at, length - 2 * rim_m, width - 2 * rim_m, angle)
        )
        yield Plate(inside, look, ID[name], shadow=False)
        yield from things

    return parts


def _on_flat(build: Build, random: Random) -> Iterator[Part]:
    """Yield domes of light, vents and boxes on a flat roof."""
    for _ in range(int(random.integers(0, 4)) if build.length > 4 else 0):
        u, v = (random.uniform(-0.38, 0.38) * side for side in (build.length, build.width))
        size = random.uniform(0.3, 1.3)
        dome = random.random() < 0.4
        high, colour = build.walls + random.uniform(0.2, 0.8), any_colour(random, neutral=0.9)
        wide, label = size * random.uniform(0.5, 1), _WINDOW if dome else _ROOF
        yield from block(build.frame.point(u, v), size, wide, build.frame.angle, build.walls, high, colour, label)
