"""Houses with every roof, sheds and greenhouses; facades show where the camera sees them aslant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tiler.scenes import materials
from tiler.scenes.canvas import Material
from tiler.scenes.eye import Eye, Place
from tiler.scenes.frame import Frame, any_colour, hue, pick, wood
from tiler.scenes.roofs import Covering, felt, pitched, sheets
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.soils import pebbles
from tiler.scenes.solids import Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_ROOF, _WALL, _WINDOW, _DOOR, _OBSTACLE = (ID[name] for name in ("roof", "wall", "window", "door", "obstacle"))
_PLASTER = ((238, 236, 230), (238, 236, 230), (226, 214, 190), (232, 206, 150), (206, 200, 194), (170, 166, 162),
            (214, 170, 110), (120, 118, 118), (150, 120, 96), (96, 110, 84), (132, 60, 52), (70, 72, 76))  # fmt: skip
_PANES = ((44, 54, 64), (70, 86, 100), (120, 140, 154), (176, 190, 200), (24, 28, 32), (150, 150, 146))


@dataclass(frozen=True, slots=True)
class _Build:
    """The measures of a house, in its own axes: u along the ridge."""

    frame: Frame
    length: float
    width: float
    walls: float
    """Height of the walls at the eaves, metres."""
    rise: float
    """How far the ridge rises over the eaves, metres."""
    eaves: float
    """How far the roof overhangs, metres."""
    kind: str
    """"gable", "hip", "pent" or "flat"."""

    def corner(self, u: float, v: float, z: float, *, out: float = 0.0) -> Place:
        """Return a place; u and v are -1 or 1 at the walls, `out` metres further out."""
        return self.frame.place(u * (self.length / 2 + out), v * (self.width / 2 + out), z)


def house(at: Point, sides_m: tuple[float, float], angle: float, random: Random) -> list[Thing]:
    """Return a house of any kind; `sides_m` is (length along `angle`, width), metres."""
    kind = str(random.choice(("gable", "hip", "pent", "flat"), p=(0.5, 0.18, 0.12, 0.2)))
    length, width = max(sides_m), min(sides_m)
    turned = angle if sides_m[0] >= sides_m[1] else angle + math.pi / 2
    pitch = math.radians(random.uniform(12, 44) if kind != "pent" else random.uniform(4, 14))
    rise = {"gable": width / 2, "hip": width / 2, "pent": width, "flat": 0.0}[kind] * math.tan(pitch)
    build = _Build(Frame(at, turned), length, width, float(random.uniform(2.4, 5.8)), float(rise),
                   float(random.uniform(0.1, 0.8)), kind)  # fmt: skip
    return [_raised(build, random)]


def shed(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a garden shed, a carport or a garage."""
    kind = str(pick(random, ("gable", "pent", "flat")))
    length, width = random.uniform(2, 6), random.uniform(1.8, 3.4)
    build = _Build(Frame(at, angle), length, width, float(random.uniform(1.9, 2.6)), float(random.uniform(0.2, 0.9)),
                   float(random.uniform(0.05, 0.4)), kind)  # fmt: skip
    return [_raised(build, random)]


def flat_roof(at: Point, sides_m: tuple[float, float], angle: float, random: Random) -> list[Thing]:
    """Return a building with a flat roof: gravel (which its label says), bitumen, metal or grass within a rim."""
    build = _Build(
        Frame(at, angle), *sides_m, float(random.uniform(2.2, 4.5)), 0.0, float(random.uniform(0, 0.5)), "flat"
    )
    return [_raised(build, random)]


def _raised(build: _Build, random: Random) -> Thing:
    walls = list(_walls(build, random))
    low = [*_openings(build, random), _downpipe(build, random)]
    top = _flat(build, random) if build.kind == "flat" else _sloping(build, random)
    reach = math.hypot(build.length, build.width) / 2 + build.eaves

    def parts(eye: Eye) -> Iterable[Part]:
        yield from walls
        yield from low
        yield from top(eye)

    return solid(build.frame.at, reach, build.walls + build.rise + 0.3, parts)


def _facade(random: Random, build: _Build) -> Material:
    """Return plaster, brick or boards."""
    chance = random.random()
    if chance < 0.68:
        colour = np.asarray(pick(random, _PLASTER), np.float32) + random.normal(0, 8, 3)
        return materials.speckled(colour, grain=2, clumps=2, clouds=2)
    boards = wood(random) if chance < 0.9 else np.asarray((150, 88, 70), np.float32)
    pitch = float(random.uniform(0.05, 0.2))
    base = materials.speckled(boards, grain=4, clumps=4, clouds=0)
    return materials.striped(base, build.frame.at, build.frame.angle + math.pi / 2 * int(random.integers(2)),
                             pitch_m=pitch, line_m=pitch / 4, change=-45)  # fmt: skip


def _ends(build: _Build, side: int) -> tuple[Place, Place, float, float]:
    """Return where a facade starts and ends on the ground, counterclockwise, and how high it is there.

    Sides 0 and 2 are the long ones, 1 and 3 the gables.
    """
    turns = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    (u, v), (s, t) = turns[side], turns[(side + 1) % 4]
    highs = [build.walls + (build.rise if build.kind == "pent" and across > 0 else 0.0) for across in (v, t)]
    return build.corner(u, v, 0), build.corner(s, t, 0), highs[0], highs[1]


def _walls(build: _Build, random: Random) -> Iterator[Plate]:
    look = _facade(random, build)
    other = _facade(random, build) if random.random() < 0.3 else look
    for side in range(4):
        start, end, first, last = _ends(build, side)
        corners = [(start[0], start[1], 0.0), (end[0], end[1], 0.0), (end[0], end[1], last)]
        if build.kind == "gable" and side % 2:
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            corners.append((*middle, build.walls + build.rise))
        corners.append((start[0], start[1], first))
        yield Plate(tuple(corners), other if side % 2 else look, _WALL, closed=True)


def _openings(build: _Build, random: Random) -> Iterator[Plate]:
    """Yield windows and doors in rows on all four facades."""
    frame = (
        any_colour(random, neutral=0.85) * 0.4 + 0.6 * np.float32(235) if random.random() < 0.7 else wood(random) * 0.7
    )
    pane = np.asarray(pick(random, _PANES), np.float32)
    door = wood(random) * 0.8 if random.random() < 0.6 else any_colour(random, neutral=0.4)
    floors = [low for low in (0.0, 2.7) if low + 2.4 <= build.walls] or [0.0]
    small = build.length < 5
    for side in range(4):
        start, end, *_ = _ends(build, side)
        room = math.dist(start[:2], end[:2])
        for low in floors:
            at = random.uniform(0.6, 1.6)
            while at < room - 1.2:
                is_door = low == 0 and random.random() < 0.22
                width = random.uniform(0.85, 1.1) if is_door else random.uniform(0.7, 2.4)
                sill, top = (0.03, 2.05) if is_door else (low + random.choice((0.9, 0.9, 0.1)), low + 2.1)
                if at + width < room - 0.3 and top < build.walls and random.random() < (0.3 if small else 0.7):
                    yield from _opening(start, end, (at / room, (at + width) / room), (sill, top), is_door,
                                        (frame, door if is_door else pane))  # fmt: skip
                at += width + random.uniform(0.5, 2.4)


def _opening(start: Place, end: Place, shares: tuple[float, float], heights: tuple[float, float], is_door: bool,
             colours: tuple[Metres, Metres]) -> Iterator[Plate]:  # fmt: skip
    """Yield the frame of an opening and what it frames."""
    outward = np.asarray((end[1] - start[1], start[0] - end[0]))
    outward = outward / max(float(np.hypot(*outward)), 1e-6) * -0.02
    room = math.dist(start[:2], end[:2])
    for inset, colour, label in ((0.0, colours[0], _DOOR if is_door else _WINDOW), (0.07, colours[1], None)):
        places = []
        for share, high in ((0, 0), (1, 0), (1, 1), (0, 1)):
            along = shares[share] + (inset if share == 0 else -inset) / room
            z = heights[high] + (inset if high == 0 else -inset)
            y, x = (start[axis] + along * (end[axis] - start[axis]) + float(outward[axis]) for axis in (0, 1))
            places.append((y, x, z))
        yield Plate(tuple(places), materials.plain(colour, grain=3), label, closed=True, shadow=False)


def _sloping(build: _Build, random: Random) -> Callable[[Eye], Iterable[Part]]:
    """Return the sides of a roof, its gutters, skylights, solar panels and chimney."""
    covering = pitched(random)
    planes = list(_planes(build))
    gutter = pick(random, ((60, 88, 76), (96, 60, 46), (120, 122, 124), (210, 212, 212), (58, 60, 62)))
    extras = list(_extras(build, random))
    gutters = list(_gutters(build, gutter)) if random.random() < 0.7 else []
    trim = _trim(build, random)

    def parts(eye: Eye) -> Iterator[Part]:
        for corners, turned in planes:
            middle = tuple(sum(place[axis] for place in corners) / len(corners) for axis in range(3))
            look = covering(eye.lift((middle[0], middle[1], middle[2])), build.frame.angle + turned)
            yield Plate(tuple(corners), look, _ROOF, closed=True)
        yield from trim
        yield from gutters
        yield from extras

    return parts


def _planes(build: _Build) -> Iterator[tuple[list[Place], float]]:
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


def _trim(build: _Build, random: Random) -> list[Part]:
    """Return the ridge: a row of tiles, a little lighter or darker."""
    if build.kind == "pent" or random.random() < 0.3:
        return []
    inset = 1.0 if build.kind == "gable" else max(1 - build.width / build.length, 0.0)
    ends = [build.frame.place(side * build.length / 2 * inset, 0, build.walls + build.rise) for side in (-1, 1)]
    colour = np.asarray(pick(random, ((120, 70, 56), (84, 84, 86), (150, 96, 78), (60, 60, 62))), np.float32)
    return [Rod(ends[0], ends[1], float(random.uniform(0.05, 0.12)), colour, _ROOF, shadow=False)]


def _gutters(build: _Build, colour: Material | tuple[int, int, int]) -> Iterator[Part]:
    drop = build.rise * build.eaves / max(build.width / 2, 0.1)
    z = build.walls - (drop if build.kind != "pent" else drop / 2)
    for v in (-1,) if build.kind == "pent" else (-1, 1):
        start, end = (build.corner(u, v, z, out=build.eaves + 0.05) for u in (-1, 1))
        yield Rod(start, end, 0.065, colour, _OBSTACLE, shadow=False)


def _downpipe(build: _Build, random: Random) -> Rod:
    colour = np.asarray(pick(random, ((60, 88, 76), (120, 122, 124), (214, 214, 212))), np.float32)
    ends = (build.corner(1, -1, z, out=0.08) for z in (0.1, build.walls - 0.1))
    return Rod(*ends, 0.05, colour, _OBSTACLE, shadow=False)


def _extras(build: _Build, random: Random) -> Iterator[Part]:
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
        cells = materials.plain((26, 34, 58), grain=2)
        panel = materials.slabs(cells, build.frame.at, build.frame.angle, pitch_m=1.0, line_m=0.05, change=70)
        yield Plate(patch(random.uniform(-0.2, 0.2) * room, room, (0.2, 0.75)), panel, _ROOF, shadow=False)
    elif random.random() < 0.65 and build.length > 5:
        pane, rim = (np.asarray(pick(random, _PANES), np.float32) for _ in range(2))
        flashing = np.asarray(pick(random, ((120, 98, 74), (70, 72, 76), (160, 160, 158))), np.float32)
        for u in np.linspace(-room, room, 6)[random.random(6) < 0.4]:
            start = random.uniform(0.25, 0.45)
            long = random.uniform(1.0, 1.6) / run
            yield Plate(
                patch(u, 1.06, (start - 0.05, start + long + 0.12)),
                materials.plain(flashing, grain=5),
                _WINDOW,
                shadow=False,
            )
            yield Plate(patch(u, 0.9, (start, start + long)), materials.plain(rim * 0.5, grain=3), None, shadow=False)
            yield Plate(
                patch(u, 0.66, (start + 0.1 / run, start + long - 0.1 / run)),
                materials.plain(pane, grain=3),
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


def _flat(build: _Build, random: Random) -> Callable[[Eye], Iterable[Part]]:
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
        grass = materials.speckled(
            hue(random, 0.3, 0.45) * 0.3 + np.float32((70, 84, 44)), grain=12, clumps=12, clouds=5
        )
        name, covering = "vegetation", lambda at, angle: grass
    else:
        covering = (felt if chance < 0.84 else sheets)(random)
    things = list(_on_flat(build, random))

    def parts(eye: Eye) -> Iterator[Part]:
        rim = materials.plain(metal, grain=3)
        yield from prism(rectangle(at, length, width, angle), build.walls - 0.25, build.walls + rise, rim, rim, _ROOF)
        look = covering(eye.lift((*at, build.walls)), angle)
        inside = tuple(
            (*point, build.walls + rise) for point in rectangle(at, length - 2 * rim_m, width - 2 * rim_m, angle)
        )
        yield Plate(inside, look, ID[name], shadow=False)
        yield from things

    return parts


def _on_flat(build: _Build, random: Random) -> Iterator[Part]:
    """Yield domes of light, vents and boxes on a flat roof."""
    for _ in range(int(random.integers(0, 4)) if build.length > 4 else 0):
        u, v = (random.uniform(-0.38, 0.38) * side for side in (build.length, build.width))
        size = random.uniform(0.3, 1.3)
        dome = random.random() < 0.4
        yield from block(build.frame.point(u, v), size, size * random.uniform(0.5, 1), build.frame.angle, build.walls,
                         build.walls + random.uniform(0.2, 0.8), any_colour(random, neutral=0.9), _WINDOW if dome else _ROOF)  # fmt: skip


def greenhouse(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a greenhouse or a roof of glass: the labels call it an obstacle."""
    length, width, walls = random.uniform(2.5, 7), random.uniform(2, 4), random.uniform(1.5, 2.6)
    glass = np.asarray(pick(random, ((170, 200, 190), (196, 210, 210), (150, 176, 160), (210, 216, 206))), np.float32)
    bars = materials.slabs(materials.speckled(glass, grain=3, clumps=5, clouds=8), at, angle,
                           pitch_m=float(random.uniform(0.6, 1.2)), line_m=0.05, change=float(random.choice((-90, 45))))  # fmt: skip
    kind = str(pick(random, ("gable", "pent")))
    build = _Build(Frame(at, angle), length, width, walls, float(random.uniform(0.3, 0.9)), 0.1, kind)
    parts: list[Part] = []
    for side in range(4):
        start, end, first, last = _ends(build, side)
        corners = ((*start[:2], 0.0), (*end[:2], 0.0), (*end[:2], last), (*start[:2], first))
        parts.append(Plate(corners, bars, _OBSTACLE, closed=True, opacity=0.8))
    parts += [Plate(tuple(corners), bars, _OBSTACLE, closed=True, opacity=0.85) for corners, _ in _planes(build)]
    return [solid(at, math.hypot(length, width) / 2, walls + build.rise, lambda eye: parts)]
