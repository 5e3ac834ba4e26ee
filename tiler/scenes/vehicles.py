"""Cars, vans, lorries, trailers and bicycles, seen from above or aslant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material, Patch
from tiler.scenes.eye import Eye, Place
from tiler.scenes.frame import Frame, any_colour, hue, pick
from tiler.scenes.people import body, draw_outfit, riding
from tiler.scenes.shapes import Metres, Point, axes
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_CAR, _BICYCLE = ID["car"], ID["bicycle"]
_PAINTS = (
    (232, 233, 234), (232, 233, 234), (216, 218, 222), (44, 46, 52), (36, 40, 56), (150, 154, 158), (96, 100, 106),
    (60, 64, 70),
)  # fmt: skip
_GLASS = looks.plain((30, 36, 42), grain=2)
_DARK = looks.plain((22, 23, 25), grain=3)

Section = tuple[float, float, float]
"""(u, half width, z): across a body, at u metres from its middle, the body is so wide and high."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The build of a car: its belt line and its cabin, from the rear to the front."""

    length: float
    width: float
    belt: float
    """Height of the lower body, metres."""
    roof: float
    """Height of the roof, metres."""
    cabin: tuple[float, float, float, float]
    """Where the rear window and the windscreen start and end, shares of the length from the rear."""


_KINDS = (
    _Kind(4.2, 1.78, 0.92, 1.48, (0.03, 0.14, 0.56, 0.72)),  # hatchback
    _Kind(4.7, 1.82, 0.92, 1.45, (0.14, 0.30, 0.56, 0.70)),  # saloon
    _Kind(4.7, 1.84, 0.95, 1.5, (0.02, 0.10, 0.56, 0.71)),  # estate
    _Kind(4.5, 1.88, 1.05, 1.68, (0.03, 0.12, 0.60, 0.73)),  # off-road car
    _Kind(3.6, 1.65, 0.9, 1.5, (0.03, 0.12, 0.62, 0.80)),  # small car
    _Kind(5.1, 1.98, 1.2, 2.0, (0.01, 0.04, 0.76, 0.90)),  # van
    _Kind(5.2, 1.9, 1.0, 1.75, (0.40, 0.44, 0.66, 0.78)),  # pick-up
)


def _sheen(colour: Metres, at: Point, angle: float, random: Random) -> Material:
    """Return paint that reflects the sky: a broad band along or across is brighter."""
    local = axes(at, angle + random.uniform(-0.6, 0.6))
    pitch, phase, depth = random.uniform(0.8, 4.0), random.uniform(0, 6.3), random.uniform(8, 46)
    sky = np.asarray((0.9, 1.0, 1.12), np.float32)

    def material(patch: Patch) -> Metres:
        along, across = local(patch.y, patch.x)
        wave = np.cos(along * np.float32(2 / pitch) + across * np.float32(0.8 / pitch) + np.float32(phase))
        colours: Metres = colour + np.float32(depth) * np.maximum(wave, np.float32(-0.5))[..., np.newaxis] * sky
        return colours

    return material


def car(at: Point, angle: float, random: Random) -> Thing:
    """Return a car of any kind, a van, a lorry or a trailer."""
    chance = random.random()
    if chance < 0.025:
        return _lorry(at, angle, random)
    if chance < 0.04:
        return _trailer(at, angle, random)
    kind = pick(random, _KINDS)
    frame = Frame(at, angle, float(random.uniform(0.94, 1.06)))
    chosen = hue(random, random.uniform(0.4, 0.95), random.uniform(0.2, 0.8)) if random.random() < 0.3 else None
    colour = np.asarray(pick(random, _PAINTS), np.float32) * random.uniform(0.85, 1.05) if chosen is None else chosen
    paint = _sheen(colour, at, angle, random)
    glass = _sheen(np.asarray((34, 40, 46), np.float32) * random.uniform(0.6, 1.6), at, angle, random)
    roof = glass if random.random() < 0.15 else paint
    power = float(random.uniform(3.4, 5.5))
    parts = [
        *_shell(frame, kind, paint, power),
        *_cabin(frame, kind, paint, roof, glass),
        *_details(frame, kind, colour, random),
    ]
    return solid(at, kind.length * 0.6, kind.roof, lambda eye: parts)


def _oval(half: float, wide: float, power: float, count: int) -> list[tuple[float, float]]:
    """Return (u, v) of a rectangle with round corners, counterclockwise; the higher the power, the squarer."""
    corners = []
    for step in range(count):
        turn = 2 * math.pi * (step + 0.5) / count
        u, v = (math.copysign(abs(value) ** (2 / power), value) for value in (math.cos(turn), -math.sin(turn)))
        corners.append((half * u, wide * v))
    return corners


def _shell(frame: Frame, kind: _Kind, paint: Material, power: float) -> Iterator[Part]:
    """Yield wheels and lower body, rounded at both ends."""
    half, wide = kind.length / 2, kind.width / 2
    for u in (-0.31 * kind.length, 0.31 * kind.length):
        for side in (-1, 1):
            yield Rod(frame.place(u, side * (wide - 0.4), 0.3), frame.place(u, side * (wide - 0.29), 0.3), 0.3,
                      (24, 24, 26), _CAR)  # fmt: skip
    outline = _oval(half, wide, power, 24)
    low = [frame.place(0.97 * u, 0.97 * v, 0.2) for u, v in outline]
    high = [frame.place(0.985 * u, 0.95 * v, _hood(u, kind)) for u, v in outline]
    yield from _skin(low, high, paint)
    yield Plate(tuple(high), paint, _CAR)


def _hood(u: float, kind: _Kind) -> float:
    return kind.belt - (0.18 if u > 0.3 * kind.length else 0.0)


def _skin(low: Sequence[Place], high: Sequence[Place], paint: Material) -> Iterator[Plate]:
    """Yield the sides between two closed lines of corners, counterclockwise on the picture."""
    pairs = list(zip(low, high, strict=True))
    for (a, b), (c, d) in zip(pairs, pairs[1:] + pairs[:1], strict=True):
        yield Plate((a, c, d, b), paint, _CAR, closed=True)


def _cabin(frame: Frame, kind: _Kind, paint: Material, roof: Material, glass: Material) -> Iterator[Part]:
    """Yield the windows all round, the pillars and the roof."""
    rear, rear_top, front_top, front = (share * kind.length - kind.length / 2 for share in kind.cabin)
    low, high = kind.width / 2 * 0.9, kind.width / 2 * 0.72
    base, top = _oval(1, low, 5, 16), _oval(1, high, 5, 16)
    sill = [frame.place(rear + (u + 1) / 2 * (front - rear), v, kind.belt - 0.03) for u, v in base]
    edge = [frame.place(rear_top + (u + 1) / 2 * (front_top - rear_top), v, kind.roof) for u, v in top]
    yield from _skin(sill, edge, glass)
    for here in (2, 5, 6, 9, 10, 13):
        yield Rod(sill[here], edge[here], 0.035, paint, _CAR, shadow=False)
    yield Plate(tuple(edge), roof, _CAR)


def _details(frame: Frame, kind: _Kind, colour: Metres, random: Random) -> Iterator[Part]:
    """Yield lamps, mirrors, and bars on the roof."""
    half, wide = kind.length / 2, kind.width / 2
    for side in (-1, 1):
        z = kind.belt - 0.15
        front = frame.place(half - 0.42, side * wide * 0.7, z), frame.place(half - 0.25, side * wide * 0.56, z)
        yield Rod(*front, 0.07, (226, 228, 226), _CAR, shadow=False)
        rear = frame.place(-half + 0.3, side * wide * 0.72, z), frame.place(-half + 0.2, side * wide * 0.5, z)
        yield Rod(*rear, 0.06, (176, 26, 24), _CAR, shadow=False)
        u = kind.cabin[3] * kind.length - half - 0.35
        yield Rod(
            frame.place(u, side * wide, kind.belt), frame.place(u, side * (wide + 0.13), kind.belt), 0.07, colour, _CAR
        )
    if random.random() < 0.35:
        for side in (-1, 1):
            start, end = (frame.place(share * kind.length - half, side * wide * 0.66, kind.roof + 0.04)
                          for share in kind.cabin[1:3])  # fmt: skip
            yield Rod(start, end, 0.025, (50, 52, 54), _CAR, shadow=False)


def _lorry(at: Point, angle: float, random: Random) -> Thing:
    frame = Frame(at, angle)
    length, wide = random.uniform(6, 9), 2.4
    colour, load = any_colour(random, neutral=0.5), any_colour(random, neutral=0.6)
    high = float(random.choice((1.2, random.uniform(2.4, 3.4))))
    pitch = float(random.uniform(0.3, 1.2))
    ribs = looks.striped(looks.plain(load, grain=4), at, angle, pitch_m=pitch, line_m=0.06, change=-40)
    parts: list[Part] = [
        *block(frame.point(length / 2 - 1, 0), 2.0, wide * 0.95, angle, 0.3, 2.5, colour, _CAR),
        *prism(rectangle(frame.point(-1.1, 0), length - 2.2, wide, angle), 0.5, high, ribs, ribs, _CAR),
        Plate(tuple(frame.place(length / 2 + u, v, z) for u, v, z in (
            (0.02, -1.05, 1.3), (0.02, 1.05, 1.3), (-0.2, 1.0, 2.3), (-0.2, -1.0, 2.3))), _GLASS, _CAR),
    ]  # fmt: skip
    return solid(at, 0.62 * length, max(high, 2.5), lambda eye: parts)


def _trailer(at: Point, angle: float, random: Random) -> Thing:
    """Return a trailer: open, under a tarpaulin, or a caravan; the labels call it a car."""
    frame = Frame(at, angle)
    length, wide = random.uniform(1.8, 5.0), random.uniform(1.3, 2.1)
    high = float(pick(random, (0.9, 1.4, 2.3)))
    seams = looks.slabs(looks.plain(any_colour(random, neutral=0.6)), at, angle, pitch_m=0.6, line_m=0.03, change=-30)
    parts: list[Part] = [
        Rod(frame.place(length / 2, 0, 0.4), frame.place(length / 2 + 1.1, 0, 0.4), 0.06, (70, 72, 74), _CAR),
        *prism(rectangle(at, length, wide, angle), 0.3, high, seams, seams, _CAR),
    ]
    if high < 1:
        parts.append(_inset(frame, length, wide, any_colour(random, neutral=0.7)))
    return solid(at, 0.5 * length + 1.2, high, lambda eye: parts)


def _inset(frame: Frame, length: float, wide: float, colour: Metres) -> Plate:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    places = tuple(frame.place(u * (length / 2 - 0.07), v * (wide / 2 - 0.07), 0.9) for u, v in corners)
    return Plate(places, looks.speckled(colour * 0.6, grain=10, clumps=8, clouds=0), _CAR, shadow=False)


def bicycle(at: Point, angle: float, random: Random) -> Thing:
    """Return a bicycle that leans, lies on the ground, or is ridden."""
    chance = random.random()
    ridden = chance < 0.3
    lean = random.normal(0, 0.05) if ridden else random.choice((-1, 1)) * random.uniform(0.1, 0.5)
    if chance > 0.8:
        lean = math.copysign(3.5, lean)
    frame = Frame(at, angle, float(random.uniform(0.8, 1.05)), lean)
    flat = 0.25 if abs(lean) > 1 else 1.0
    colour = any_colour(random, neutral=0.45)
    rider = list(body(riding(frame), draw_outfit(random, at), frame.scale)) if ridden else []

    def build(eye: Eye) -> Iterable[Part]:
        return *_cycle(frame, flat, colour, eye), *rider

    return solid(at, 1.3, 1.7 if ridden else max(1.0 * flat, 0.15), build)


def bicycles(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a bicycle, or a row of them."""
    count = int(random.choice((1, 2, 3, 5), p=(0.7, 0.14, 0.1, 0.06)))
    if count == 1:
        return [bicycle(at, angle, random)]
    frame, pitch = Frame(at, angle), random.uniform(0.45, 0.8)
    lean = random.choice((-1, 1)) * random.uniform(0.05, 0.3)
    return [_parked(frame.point(random.normal(0, 0.08), place * pitch), angle, lean, random) for place in range(count)]


def _parked(at: Point, angle: float, lean: float, random: Random) -> Thing:
    frame = Frame(at, float(angle + random.normal(0, 0.06)), 1.0, float(lean + random.normal(0, 0.04)))
    colour = any_colour(random, neutral=0.45)
    return solid(at, 1.3, 1.0, lambda eye: _cycle(frame, 1.0, colour, eye))


def _cycle(frame: Frame, flat: float, colour: Metres, eye: Eye) -> Iterator[Part]:
    """Yield a bicycle; `flat` below 1 makes it lie."""

    def place(u: float, z: float, v: float = 0.0) -> Place:
        return frame.place(u, v, z * flat)

    tyre = 0.05 * frame.scale
    for u in (-0.52, 0.52):
        steps = [2 * math.pi * step / 14 for step in range(14)]
        rim = tuple(place(u + 0.34 * math.cos(step), 0.34 + 0.34 * math.sin(step)) for step in steps)
        yield Plate(rim, looks.plain((52, 52, 54)), _BICYCLE, opacity=0.22, shadow=False)
        if _thickness([eye.lift(point) for point in rim]) < 0.1:  # on edge
            yield Rod(place(u - 0.32, 0.34), place(u + 0.32, 0.34), tyre / 2, (26, 26, 28), _BICYCLE)
        yield Plate(rim, looks.plain((24, 24, 26)), None, rim=tyre)
    tubes = (((-0.05, 0.3), (-0.2, 0.86)), ((-0.05, 0.3), (0.36, 0.82)), ((-0.17, 0.76), (0.35, 0.86)),
             ((-0.52, 0.34), (-0.05, 0.3)), ((-0.52, 0.34), (-0.17, 0.76)), ((0.52, 0.34), (0.36, 0.95)))  # fmt: skip
    for start, end in tubes:
        yield Rod(place(*start), place(*end), 0.025, colour, _BICYCLE)
    yield Rod(place(-0.02, 0.3, -0.12), place(0.05, 0.3, 0.12), 0.03, (60, 60, 62), _BICYCLE)
    yield Rod(place(0.38, 1.0, -0.28), place(0.38, 1.0, 0.28), 0.02, (34, 34, 36), _BICYCLE)
    yield Disc(place(-0.22, 0.92), 0.27 * frame.scale, 0.15 * frame.scale, _DARK, _BICYCLE, frame.angle)


def _thickness(points: Sequence[Point]) -> float:
    """Return how thick a line of points looks: the mean distance across its longest direction, metres."""
    values = np.linalg.svd(np.asarray(points) - np.mean(points, axis=0), compute_uv=False)
    return float(values[1] / math.sqrt(len(points)))
