"""Tables, chairs and benches; the labels call them obstacles."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material
from tiler.scenes.frame import Frame, any_colour, wood
from tiler.scenes.shapes import Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_OBSTACLE = ID["obstacle"]


def any_look(random: Random, at: Point, angle: float) -> Material:
    """Return wood in slats, cloth, plastic, metal or wicker."""
    chance = random.random()
    if chance < 0.4:
        pitch = float(random.uniform(0.06, 0.16))
        base = looks.speckled(wood(random), grain=5, clumps=6, clouds=0)
        return looks.striped(base, at, angle + math.pi / 2, pitch_m=pitch, line_m=0.012, change=-70)
    colour = any_colour(random, neutral=0.7)
    if chance < 0.55:
        pitch = float(random.uniform(0.05, 0.14))
        return looks.striped(
            looks.plain(colour), at, angle, pitch_m=pitch, line_m=pitch / 2, change=float(random.uniform(-60, 60))
        )
    return looks.speckled(colour, grain=float(random.uniform(1, 9)), clumps=4, clouds=0)


def legs(frame: Frame, length: float, width: float, high: float, colour: object) -> Iterator[Rod]:
    """Yield four legs below the corners of a rectangle."""
    for u in (-length / 2 + 0.06, length / 2 - 0.06):
        for v in (-width / 2 + 0.06, width / 2 - 0.06):
            yield Rod(frame.place(u, v, 0), frame.place(u, v, high), 0.025, np.asarray(colour, np.float32), _OBSTACLE)


def slab(frame: Frame, length: float, width: float, low: float, high: float, look: Material) -> Iterator[Plate]:
    """Yield a level board."""
    yield from prism(rectangle(frame.at, length, width, frame.angle), low, high, look, look, _OBSTACLE)


def table(at: Point, angle: float, random: Random) -> Thing:
    """Return a table, round or not."""
    frame, high = Frame(at, angle), float(random.uniform(0.35, 0.78))
    look, leg = any_look(random, at, angle), any_colour(random, neutral=0.9)
    if random.random() < 0.35:
        wide = float(random.uniform(0.5, 1.4))
        parts: list[Part] = [Rod(frame.place(0, 0, 0), frame.place(0, 0, high), 0.05, leg, _OBSTACLE),
                             Disc(frame.place(0, 0, high), wide, wide, look, _OBSTACLE)]  # fmt: skip
        return solid(at, wide / 2, high, lambda eye: parts)
    length, width = float(random.uniform(0.6, 2.4)), float(random.uniform(0.5, 1.1))
    parts = [*legs(frame, length, width, high, leg), *slab(frame, length, width, high - 0.04, high, look)]
    return solid(at, math.hypot(length, width) / 2, high, lambda eye: parts)


def chair(at: Point, angle: float, random: Random) -> Thing:
    """Return a chair, an armchair or a sofa; its back is opposite to the way it faces."""
    frame = Frame(at, angle)
    heavy = random.random() < 0.5
    deep, wide = (
        float(random.uniform(0.42, 0.85)),
        float(random.uniform(0.42, 0.95) if not heavy else random.uniform(0.7, 2.0)),
    )
    look, leg = any_look(random, at, angle), any_colour(random, neutral=0.85)
    back, seat = float(random.uniform(0.65, 1.0)), 0.42
    parts: list[Part] = []
    if heavy:
        parts += block(at, deep, wide, angle, 0, seat - 0.05, leg, _OBSTACLE)
        for side in (-1, 1):
            parts += block(frame.point(0, side * (wide / 2 - 0.08)), deep, 0.16, angle, 0, 0.6, leg, _OBSTACLE)
        parts += block(frame.point(-deep / 2 + 0.1, 0), 0.2, wide, angle, 0, back, leg, _OBSTACLE)
        cushion = any_colour(random, neutral=0.8)
        parts += block(frame.point(0.08, 0), deep - 0.2, wide - 0.34, angle, 0.3, seat, cushion, _OBSTACLE)
    else:
        parts += legs(frame, deep, wide, seat, leg)
        parts += slab(frame, deep, wide, seat - 0.04, seat, look)
        rear = tuple(frame.place(-deep / 2 - lean, v * wide / 2, z) for lean, v, z in (
            (0, -1, seat), (0, 1, seat), (0.12, 1, back), (0.12, -1, back)))  # fmt: skip
        parts.append(Plate(rear, look, _OBSTACLE))
        if random.random() < 0.5:
            for side in (-1, 1):
                rear_end, end = (frame.place(u, side * wide / 2, 0.64) for u in (-deep / 2 - 0.05, deep / 2))
                parts.append(Rod(rear_end, end, 0.025, leg, _OBSTACLE))
    return solid(at, max(deep, wide) * 0.75, back if heavy else 0.8, lambda eye: parts)


def lounger(at: Point, angle: float, random: Random) -> Thing:
    """Return a deck chair with a raised head, or a hammock."""
    frame, look = Frame(at, angle), any_look(random, at, angle)
    wide, rise = float(random.uniform(0.55, 0.8)), float(random.uniform(0, 0.5))
    flat = tuple(frame.place(u, v * wide / 2, 0.33) for u, v in ((-0.3, -1), (1.1, -1), (1.1, 1), (-0.3, 1)))
    head = tuple(frame.place(u, v * wide / 2, z) for u, v, z in (
        (-0.3, -1, 0.33), (-0.3, 1, 0.33), (-0.9, 1, 0.33 + rise), (-0.9, -1, 0.33 + rise)))  # fmt: skip
    leg = any_colour(random, neutral=0.9)
    parts: list[Part] = [Plate(flat, look, _OBSTACLE), Plate(head, look, _OBSTACLE)]
    parts += [Rod(frame.place(u, v, 0), frame.place(u, v, 0.33), 0.02, leg, _OBSTACLE)
              for u in (-0.3, 1.0) for v in (-wide / 2, wide / 2)]  # fmt: skip
    return solid(at, 1.2, 0.35 + rise, lambda eye: parts)


def bench(at: Point, angle: float, random: Random) -> Thing:
    """Return a bench of slats, a beam, a pile of boards or a pallet."""
    length, width, high = (
        float(random.uniform(0.8, 2.6)),
        float(random.uniform(0.15, 0.7)),
        float(random.uniform(0.1, 0.5)),
    )
    look = any_look(random, at, angle)
    parts = list(slab(Frame(at, angle), length, width, 0.0 if high < 0.25 else high - 0.08, high, look))
    return solid(at, length / 2, high, lambda eye: parts)
