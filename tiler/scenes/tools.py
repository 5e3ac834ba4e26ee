"""Tools and gear that stand about in gardens and yards; the labels call them obstacles."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from tiler.scenes import looks
from tiler.scenes.eye import Place
from tiler.scenes.frame import Frame, any_colour, hue, pick, wood
from tiler.scenes.shapes import Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_OBSTACLE = ID["obstacle"]
_PIPE = ((206, 208, 210), (120, 122, 124), (52, 54, 56), (196, 60, 48), (54, 96, 150))


def tool(at: Point, angle: float, random: Random) -> Thing:
    """Return a ladder, a wheelbarrow, a table for table tennis, firewood, a clothes rack, a grill or a hoop."""
    maker: Callable[[Point, float, Random], Thing] = pick(
        random, (_ladder, _barrow, _tennis, _firewood, _rack, _grill, _beam)
    )
    return maker(at, angle, random)


def _ladder(at: Point, angle: float, random: Random) -> Thing:
    """Return a ladder that lies, or leans on something."""
    frame, colour = Frame(at, angle), np.asarray(pick(random, _PIPE), np.float32)
    long, rise, half = float(random.uniform(1.5, 4)), float(random.choice((0.05, random.uniform(0.5, 2)))), 0.2

    def place(share: float, v: float) -> Place:
        return frame.place((share - 0.5) * long, v, 0.04 + share * rise)

    parts: list[Part] = [Rod(place(0, v), place(1, v), 0.025, colour, _OBSTACLE) for v in (-half, half)]
    for share in np.arange(0.06, 1, 0.28 / long):
        parts.append(Rod(place(float(share), -half), place(float(share), half), 0.018, colour, _OBSTACLE))
    return solid(at, long / 2, 0.05 + rise, lambda eye: parts)


def _barrow(at: Point, angle: float, random: Random) -> Thing:
    frame, colour = Frame(at, angle), any_colour(random, neutral=0.4)
    rim = [frame.point(u, v) for u, v in ((-0.35, -0.3), (0.4, -0.22), (0.4, 0.22), (-0.35, 0.3))]
    load = looks.speckled(np.asarray((104, 84, 62)) * random.uniform(0.5, 1.4), grain=14, clumps=14, clouds=0)
    body = looks.plain(colour, grain=4)
    parts: list[Part] = [
        Rod(frame.place(0.55, -0.04, 0.18), frame.place(0.55, 0.04, 0.18), 0.16, (30, 30, 32), _OBSTACLE),
        *prism(rim, 0.3, 0.58, body, load, _OBSTACLE),
    ]
    for v in (-0.26, 0.26):
        parts.append(Rod(frame.place(0.4, v * 0.5, 0.25), frame.place(-0.95, v, 0.6), 0.02, (70, 72, 74), _OBSTACLE))
    return solid(at, 1.0, 0.6, lambda eye: parts)


def _tennis(at: Point, angle: float, random: Random) -> Thing:
    """Return a table for table tennis: blue or green, with white lines and a net."""
    frame = Frame(at, angle)
    colour = np.asarray(pick(random, ((52, 84, 150), (44, 100, 80), (96, 130, 190), (70, 80, 90))), np.float32)
    top, white = looks.plain(colour, grain=4), looks.plain((226, 228, 230))
    parts: list[Part] = list(prism(rectangle(at, 2.74, 1.52, angle), 0.7, 0.76, top, top, _OBSTACLE))
    for u, v, long, wide in (
        (0, 0.74, 2.74, 0.03),
        (0, -0.74, 2.74, 0.03),
        (1.35, 0, 0.03, 1.5),
        (-1.35, 0, 0.03, 1.5),
    ):
        line = rectangle(frame.point(u, v), long, wide, angle)
        parts.append(Plate(tuple((*corner, 0.77) for corner in line), white, None, shadow=False))
    parts += block(at, 0.03, 1.8, angle, 0.76, 0.92, (40, 42, 44), _OBSTACLE)
    return solid(at, 1.6, 0.95, lambda eye: parts)


def _firewood(at: Point, angle: float, random: Random) -> Thing:
    frame, bark = Frame(at, angle), wood(random)
    deep, rows = float(random.uniform(0.25, 0.6)), int(random.integers(2, 6))
    parts: list[Part] = []
    for row in range(rows):
        for u in np.arange(-0.8, 0.8, 0.16):
            shift, radius = random.normal(0, 0.03), float(random.uniform(0.05, 0.085))
            start, end = (frame.place(float(u), side * deep / 2 + shift, 0.08 + 0.14 * row) for side in (-1, 1))
            parts.append(Rod(start, end, radius, bark * random.uniform(0.75, 1.25), _OBSTACLE))
    return solid(at, 1.0, 0.15 * rows, lambda eye: parts)


def _rack(at: Point, angle: float, random: Random) -> Thing:
    """Return a clothes rack, empty or with things on it."""
    frame, pipe = Frame(at, angle), np.asarray(pick(random, _PIPE), np.float32)
    long = float(random.uniform(1.0, 1.9))
    lines = np.linspace(-0.3, 0.3, 7)
    parts: list[Part] = [
        Rod(frame.place(-long / 2, float(v), 0.95), frame.place(long / 2, float(v), 0.95), 0.008, pipe, _OBSTACLE)
        for v in lines
    ]
    for u in (-long / 2, long / 2):
        parts.append(Rod(frame.place(u, -0.3, 0), frame.place(u, 0.3, 0.95), 0.015, pipe, _OBSTACLE))
        parts.append(Rod(frame.place(u, 0.3, 0), frame.place(u, -0.3, 0.95), 0.015, pipe, _OBSTACLE))
    for v in lines[random.random(7) < 0.4]:
        u, half = random.uniform(-0.3, 0.3) * long, random.uniform(0.1, 0.35)
        edges = ((-1, 0.55), (1, 0.55), (1, 0.96), (-1, 0.96))
        cloth = tuple(frame.place(u + side * half, float(v), z) for side, z in edges)
        parts.append(Plate(cloth, looks.plain(any_colour(random, neutral=0.5), grain=5), _OBSTACLE))
    return solid(at, long / 2 + 0.2, 1.0, lambda eye: parts)


def _grill(at: Point, angle: float, random: Random) -> Thing:
    frame, wide = Frame(at, angle), float(random.uniform(0.35, 0.7))
    colour = any_colour(random, neutral=0.85)
    ash = looks.speckled((90, 86, 82), grain=16, clumps=18, clouds=0)
    parts: list[Part] = []
    for turn in (0.4, 2.5, 4.6):
        u, v = 0.3 * math.cos(turn), 0.3 * math.sin(turn)
        parts.append(Rod(frame.place(u, v, 0), frame.place(u / 2, v / 2, 0.7), 0.015, (60, 62, 64), _OBSTACLE))
    parts += [
        Disc(frame.place(0, 0, 0.72), wide, wide, looks.plain(colour, grain=4), _OBSTACLE),
        Disc(frame.place(0, 0, 0.74), 0.85 * wide, 0.85 * wide, ash, None, shadow=False),
    ]
    return solid(at, 0.4, 0.75, lambda eye: parts)


def _beam(at: Point, angle: float, random: Random) -> Thing:
    """Return a beam or a low hurdle with stripes, as dogs and children jump over."""
    frame, long = Frame(at, angle), float(random.uniform(1.0, 4.0))
    high, thick = float(random.uniform(0.05, 0.7)), float(random.uniform(0.03, 0.07))
    first, second = np.asarray((230, 230, 228), np.float32), hue(random, 0.7, 0.6) * (random.random() < 0.7) + 20
    cuts = np.linspace(-long / 2, long / 2, int(random.integers(4, 16)))
    parts: list[Part] = []
    for odd, (start, end) in enumerate(pairwise(cuts)):
        ends = frame.place(float(start), 0, high), frame.place(float(end), 0, high)
        parts.append(Rod(*ends, thick, second if odd % 2 else first, _OBSTACLE))
    for u in (-long / 2, long / 2):
        parts.append(Rod(frame.place(u, 0, 0), frame.place(u, 0, high + 0.1), thick * 0.8, first, _OBSTACLE))
        parts.append(Rod(frame.place(u, -0.25, 0.02), frame.place(u, 0.25, 0.02), thick * 0.7, first, _OBSTACLE))
    return solid(at, long / 2, high + 0.1, lambda eye: parts)
