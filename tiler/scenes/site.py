"""Markers of surveyors, and what stands on building sites and playgrounds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material
from tiler.scenes.frame import Frame, any_angle, any_colour, hue, pick, wood
from tiler.scenes.roofs import sheets
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_MARKER, _OBSTACLE = ID["ar-marker"], ID["obstacle"]


def marker(at: Point, angle: float, random: Random) -> Thing:
    """Return a ground control marker: a pale square with a black ring and a two-coloured core, often weighted down."""
    frame, side = Frame(at, angle), float(random.uniform(0.45, 1.0))
    paper = np.asarray(pick(random, ((240, 242, 244), (206, 226, 240), (190, 216, 234), (232, 230, 222))))
    ink = np.asarray(pick(random, ((16, 17, 20), (22, 26, 36), (40, 40, 42))))
    sheet, black = looks.plain(paper, grain=3), looks.plain(ink, grain=3)
    parts: list[Part] = [_level(frame, ((-side / 2, -side / 2), (side / 2, side / 2)), sheet, _MARKER)]
    if random.random() < 0.2:
        quarter = side / 2 * float(random.uniform(0.7, 1.0))
        parts += [_level(frame, ((0, 0), (sign * quarter, sign * quarter)), black, None) for sign in (-1, 1)]
    else:
        parts += _target(frame, side * float(random.uniform(0.32, 0.42)), sheet, black, random)
    parts += _weights(frame, side, random)
    return solid(at, side, 0.085, lambda eye: parts)


def _level(frame: Frame, corners: tuple[Point, Point], look: Material, label: int | None) -> Plate:
    (u, v), (s, t) = corners
    return Plate(
        tuple(frame.place(*place, 0.02) for place in ((u, v), (s, v), (s, t), (u, t))), look, label, shadow=False
    )


def _target(frame: Frame, radius: float, sheet: Material, black: Material,
            random: Random) -> Iterator[Part]:  # fmt: skip
    """Yield a black ring, and in it two black quarters that face each other."""
    middle = frame.place(0, 0, 0.02)
    yield Disc(middle, 2 * radius, 2 * radius, black, None, shadow=False)
    core = radius * float(random.uniform(0.55, 0.72))
    yield Disc(middle, 2 * core, 2 * core, sheet, None, shadow=False)
    start = any_angle(random)
    for turned in (start, start + math.pi):
        rim = [turned + math.pi / 2 * step / 5 for step in range(6)]
        fan = (middle, *(frame.place(core * math.cos(turn), core * math.sin(turn), 0.02) for turn in rim))
        yield Plate(fan, black, None, shadow=False)
    if random.random() < 0.5:
        yield Disc(middle, 0.5 * core, 0.5 * core, black, None, shadow=False)


def _weights(frame: Frame, side: float, random: Random) -> Iterator[Part]:
    """Yield stones, bricks or bags that hold the corners down; labellers counted most of them in."""
    if random.random() < 0.4:
        return
    colour = np.asarray(pick(random, ((222, 196, 120), (206, 176, 150), (160, 156, 150), (120, 120, 122))))
    label = _MARKER if random.random() < 0.65 else _OBSTACLE
    long, wide = float(random.uniform(0.1, 0.28)) * side / 0.7, float(random.uniform(0.08, 0.14)) * side / 0.7
    for u in (-1, 1):
        for v in (-1, 1):
            at = frame.point(u * side * 0.5, v * side * 0.5)
            turned = frame.angle + random.choice((0.0, math.pi / 4, math.pi / 2)) + random.normal(0, 0.2)
            yield from block(
                at, long, wide, float(turned), 0.02, 0.08, colour * random.uniform(0.85, 1.1), label, grain=6
            )


def container(at: Point, angle: float, random: Random) -> Thing:
    """Return a container, a site cabin or a skip."""
    skip = random.random() < 0.35
    length, width = (float(random.uniform(3, 5)), 2.0) if skip else (float(pick(random, (3.0, 6.06, 12.2))), 2.44)
    high = 1.4 if skip else 2.6
    side = any_colour(random, neutral=0.35)
    look = sheets(random)(at, angle) if random.random() < 0.4 else looks.speckled(side, grain=3, clumps=5, clouds=4)
    parts: list[Part] = list(prism(rectangle(at, length, width, angle), 0, high, look, look, _OBSTACLE))
    if skip:
        load = looks.speckled(np.asarray((140, 122, 104)) * random.uniform(0.5, 1.3), grain=22, clumps=26, clouds=6)
        inner = rectangle(at, length - 0.2, width - 0.2, angle)
        parts.append(Plate(tuple((*point, high) for point in inner), load, _OBSTACLE, shadow=False))
    return solid(at, length / 2 + 0.3, high, lambda eye: parts)


def pallets(at: Point, angle: float, random: Random) -> Thing:
    """Return stacked pallets, stones on pallets, pipes or beams."""
    parts: list[Part] = []
    if random.random() < 0.4:
        colour = any_colour(random, neutral=0.5) if random.random() < 0.5 else wood(random)
        parts += _pipes(Frame(at, angle), colour, random)
        return solid(at, 3.0, 0.6, lambda eye: parts)
    frame = Frame(at, angle)
    for place in range(int(random.integers(1, 4))):
        turned = angle + random.normal(0, 0.06)
        spot = frame.point(place * 1.4 - 1.4, float(random.normal(0, 0.1)))
        slats = looks.striped(looks.speckled(wood(random), grain=5, clumps=5, clouds=0), spot, turned,
                                  pitch_m=0.16, line_m=0.05, change=-80)  # fmt: skip
        high = float(random.uniform(0.14, 1.2))
        parts += prism(rectangle(spot, 1.2, 0.8, turned), 0, high, slats, slats, _OBSTACLE)
        if random.random() < 0.6:
            brick = looks.speckled(any_colour(random, neutral=0.8), grain=5, clumps=5, clouds=0)
            pitch = float(random.uniform(0.1, 0.4))
            load = looks.slabs(brick, spot, turned, pitch_m=pitch, line_m=0.015, change=-50)
            parts += prism(
                rectangle(spot, 1.1, 0.75, turned), high, high + float(random.uniform(0.2, 0.9)), load, load, _OBSTACLE
            )
    return solid(at, 2.6, 1.2, lambda eye: parts)


def _pipes(frame: Frame, colour: Metres, random: Random) -> Iterator[Part]:
    thick, long = float(random.uniform(0.03, 0.16)), float(random.uniform(1, 5))
    for index in range(int(random.integers(2, 9))):
        v, slip, skew = index * 2.1 * thick, random.normal(0, 0.15), random.normal(0, 0.04)
        start, end = frame.place(slip - long / 2, v, thick), frame.place(slip + long / 2, v + skew, thick)
        yield Rod(start, end, thick, colour * random.uniform(0.85, 1.1), _OBSTACLE)


def playing(at: Point, angle: float, random: Random) -> Thing:
    """Return what children play on: a trampoline, a slide on a tower, or a sandpit's frame."""
    return pick(random, (_trampoline, _slide, _sandpit))(at, angle, random)


def _trampoline(at: Point, angle: float, random: Random) -> Thing:
    frame, wide = Frame(at, angle), float(random.uniform(2, 4.2))
    edge = looks.plain(hue(random, 0.7, 0.8))
    parts: list[Part] = [
        Disc(frame.place(0, 0, 0.8), wide, wide, looks.plain((34, 36, 40), grain=3), _OBSTACLE),
        Disc(frame.place(0, 0, 0.82), wide, wide, edge, None, rim=0.3),
    ]
    for turn in np.arange(0, 2 * math.pi, math.pi / 3):
        u, v = wide / 2 * math.cos(turn), wide / 2 * math.sin(turn)
        parts.append(Rod(frame.place(u, v, 0), frame.place(u, v, 2.2), 0.03, (70, 72, 74), _OBSTACLE))
    return solid(at, wide / 2, 2.2, lambda eye: parts)


def _slide(at: Point, angle: float, random: Random) -> Thing:
    frame, plain = Frame(at, angle), looks.plain(wood(random), grain=6)
    edges = ((0.6, -0.25, 1.5), (0.6, 0.25, 1.5), (2.8, 0.25, 0.2), (2.8, -0.25, 0.2))
    chute = Plate(tuple(frame.place(*edge) for edge in edges), looks.plain(hue(random, 0.7, 0.8)), _OBSTACLE)
    parts: list[Part] = [*prism(rectangle(at, 1.2, 1.2, angle), 0, 1.5, plain, plain, _OBSTACLE), chute]
    for u in (-0.6, 0.6):
        for v in (-0.6, 0.6):
            parts.append(Rod(frame.place(u, v, 0), frame.place(u, v, 2.4), 0.06, wood(random), _OBSTACLE))
    return solid(at, 2.8, 2.4, lambda eye: parts)


def _sandpit(at: Point, angle: float, random: Random) -> Thing:
    frame, size, plank = Frame(at, angle), float(random.uniform(1, 2.4)), wood(random)
    parts: list[Part] = []
    for turned in (step * math.pi / 2 for step in range(4)):
        spot = frame.point(size / 2 * math.cos(turned), size / 2 * math.sin(turned))
        parts += block(spot, size + 0.15, 0.18, angle + turned + math.pi / 2, 0, 0.25, plank, _OBSTACLE, grain=7)
    return solid(at, size, 0.25, lambda eye: parts)
