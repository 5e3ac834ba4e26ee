"""Fences of wire, bars and wood with their poles, garden walls, railings and kerbs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material
from tiler.scenes.eye import Eye
from tiler.scenes.frame import Frame, any_colour, pick, wood
from tiler.scenes.paving import pavers, planks
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.solids import Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_FENCE, _POLE, _WALL = ID["fence"], ID["fence-pole"], ID["wall"]
_STEEL = ((52, 84, 72), (60, 64, 66), (120, 124, 126), (200, 202, 202), (60, 116, 176), (40, 40, 42))
_STONE = (
    (186, 180, 170),
    (150, 146, 140),
    (206, 200, 190),
    (120, 116, 112),
    (168, 150, 126),
    (140, 96, 78),
    (90, 90, 92),
)

Panel = Callable[[Frame, float, float, float, Random], Iterator[Part]]
"""The parts of a fence, by its frame, length, its foot and its top above the ground in metres."""


def fence(at: Point, length: float, angle: float, random: Random) -> list[Thing]:
    """Return a fence of any kind and its poles; the ground that is seen through it is fence too."""
    panel = _PANELS[int(random.choice(len(_PANELS), p=_SHARES))]
    high = float(random.uniform(0.7, 1.6))
    parts = list(panel(Frame(at, angle), length, 0.0, high, random))
    return [solid(at, length / 2 + 0.2, high, lambda eye: parts)]


def _face(
    frame: Frame, length: float, low: float, high: float, v: float = 0.0
) -> tuple[tuple[float, float, float], ...]:
    half = length / 2
    return (
        frame.place(-half, v, low),
        frame.place(half, v, low),
        frame.place(half, v, high),
        frame.place(-half, v, high),
    )


def _steps(length: float, pitch: float) -> Metres:
    return np.linspace(-length / 2, length / 2, max(round(length / pitch), 1) + 1)


def _poles(frame: Frame, length: float, low: float, high: float, random: Random, colour: Metres) -> Iterator[Part]:
    pitch, thick = random.uniform(1.2, 3.2), random.uniform(0.025, 0.08)
    for u in _steps(length, pitch):
        tilt = random.normal(0, 0.03)
        yield Rod(frame.place(u, 0, low), frame.place(u + tilt, tilt, high + 0.08), float(thick), colour, _POLE)


def _mesh(frame: Frame, length: float, low: float, high: float, random: Random) -> Iterator[Part]:
    """Yield a fence of wire."""
    colour = np.asarray(pick(random, _STEEL[:4]), np.float32)
    net = looks.speckled(colour, grain=16, clumps=6, clouds=0)
    yield Plate(_face(frame, length, low, high), net, _FENCE, opacity=float(random.uniform(0.12, 0.45)), shadow=False)
    for z in np.linspace(low + 0.05, high, int(random.integers(2, 7))):
        yield Rod(frame.place(-length / 2, 0, z), frame.place(length / 2, 0, z), 0.005, colour, _FENCE)
    yield from _poles(frame, length, low, high, random, colour)


def _bars(frame: Frame, length: float, low: float, high: float, random: Random) -> Iterator[Part]:
    """Yield a railing of upright bars between two rails."""
    colour = np.asarray(pick(random, _STEEL), np.float32) * random.uniform(0.8, 1.15)
    yield Plate(_face(frame, length, low, high), looks.plain(colour), _FENCE, opacity=0.05, shadow=False)
    pitch = max(random.uniform(0.09, 0.3), length / 90)
    for u in _steps(length, pitch):
        yield Rod(frame.place(u, 0, low), frame.place(u, 0, high), 0.012, colour, _FENCE)
    for z in (low + 0.1, high):
        yield Rod(frame.place(-length / 2, 0, z), frame.place(length / 2, 0, z), 0.025, colour, _FENCE)
    yield from _poles(frame, length, low, high, random, colour)


def _boards(frame: Frame, length: float, low: float, high: float, random: Random) -> Iterator[Part]:
    """Yield a fence of boards, close to each other or with gaps."""
    colour = wood(random) if random.random() < 0.8 else any_colour(random, neutral=0.8)
    yield from _poles(frame, length, low, high * 0.9, random, colour * 0.7)
    gap = random.uniform(0.0, 0.08) if random.random() < 0.5 else 0.0
    board = random.uniform(0.08, 0.2)
    lines = looks.striped(looks.speckled(colour, grain=6, clumps=6, clouds=0), frame.at, frame.angle,
                              pitch_m=board + gap, line_m=0.015, change=-60)  # fmt: skip
    if not gap or length / (board + gap) > 80:
        yield Plate(_face(frame, length, low, high, 0.02), lines, _FENCE, opacity=1.0 if not gap else 0.7)
        yield Rod(frame.place(-length / 2, 0, high), frame.place(length / 2, 0, high), 0.02, colour * 0.9, _FENCE)
        return
    yield Plate(_face(frame, length, low, high), lines, _FENCE, opacity=0.04, shadow=False)
    plain = looks.speckled(colour, grain=6, clumps=6, clouds=0)
    for u in _steps(length, board + gap):
        face = (
            frame.place(u, 0, low),
            frame.place(u + board, 0, low),
            frame.place(u + board, 0, high),
            frame.place(u, 0, high),
        )
        yield Plate(face, plain, _FENCE)


def _rails(frame: Frame, length: float, low: float, high: float, random: Random) -> Iterator[Part]:
    """Yield two or three rails, or ropes, between posts."""
    colour = wood(random) if random.random() < 0.7 else any_colour(random, neutral=0.8)
    thick = random.uniform(0.01, 0.06)
    yield Plate(_face(frame, length, low, high), looks.plain(colour), _FENCE, opacity=0.04, shadow=False)
    for z in np.linspace(low + 0.35, high, int(random.integers(1, 4))):
        start, end = (frame.place(side * length / 2, 0, float(z)) for side in (-1, 1))
        yield Rod(start, end, float(thick), colour, _FENCE)
    yield from _poles(frame, length, low, high, random, colour * 0.85)


_PANELS: tuple[Panel, ...] = (_mesh, _bars, _boards, _rails)
_SHARES = (0.4, 0.22, 0.22, 0.16)


def _masonry(random: Random, angle: float) -> Material:
    """Return what a wall is made of."""
    chance = random.random()
    if chance < 0.3:
        return pavers(random, angle)
    if chance < 0.45:
        return planks(random, angle)
    colour = np.asarray(pick(random, _STONE), np.float32) * random.uniform(0.8, 1.15)
    return looks.speckled(colour, grain=7, clumps=8, clouds=5)


def wall(at: Point, length: float, angle: float, random: Random) -> list[Thing]:
    """Return a garden wall of stone, concrete, plaster, sleepers, now and then with a railing on top."""
    thick, high = (
        random.uniform(0.12, 0.45),
        float(random.choice((random.uniform(0.15, 0.6), random.uniform(0.6, 2.0)))),
    )
    body, top = _masonry(random, angle), _masonry(random, angle)
    same = random.random() < 0.5
    wide = rectangle(at, length, thick, angle)
    parts: list[Part] = list(prism(wide, 0, high, body, body if same else top, _WALL))
    if not same:
        cover = rectangle(at, length + 0.06, thick + 0.08, angle)
        parts += prism(cover, high, high + 0.06, top, top, _WALL)
    pillars = list(_pillars(Frame(at, angle), length, thick, high, random)) if random.random() < 0.25 else []
    railing = list(_bars(Frame(at, angle), length - 0.1, high, high + random.uniform(0.3, 0.9), random))
    parts += [*pillars, *(railing if random.random() < 0.22 else ())]
    return [solid(at, length / 2 + 0.3, high + 0.1, lambda eye: parts)]


def _pillars(frame: Frame, length: float, thick: float, high: float, random: Random) -> Iterator[Part]:
    colour = np.asarray(pick(random, _STONE), np.float32)
    side = thick + random.uniform(0.05, 0.25)
    for u in _steps(length, random.uniform(2, 4)):
        yield from block(frame.point(u, 0), side, side, frame.angle, 0, high + 0.2, colour, _WALL, grain=6)


def kerb(at: Point, length: float, angle: float, random: Random) -> Thing:
    """Return edge stones between two kinds of ground, as the labels call them: a wall."""
    wide, high = float(random.uniform(0.06, 0.3)), float(random.uniform(0.03, 0.18))
    colour = np.asarray(pick(random, _STONE), np.float32) * random.uniform(0.8, 1.15)
    stones = looks.striped(looks.speckled(colour, grain=7, clumps=8, clouds=4), at, angle,
                               pitch_m=float(random.uniform(0.15, 1.0)), line_m=0.015, change=-70)  # fmt: skip
    parts = list(prism(rectangle(at, length, wide, angle), 0, high, stones, stones, _WALL))
    return solid(at, length / 2 + 0.1, high, lambda eye: parts)


def planter(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a raised bed: walls of wood or stone round soil; what grows there is up to the caller."""
    length, width, high = random.uniform(0.8, 3.5), random.uniform(0.6, 1.6), float(random.uniform(0.15, 0.8))
    side = _masonry(random, angle)
    rim = float(random.uniform(0.05, 0.3))
    earth = looks.speckled(
        np.asarray((86, 66, 48), np.float32) * random.uniform(0.6, 1.4), grain=18, clumps=14, clouds=4
    )
    outer, inner = rectangle(at, length, width, angle), rectangle(at, length - 2 * rim, width - 2 * rim, angle)

    def build(eye: Eye) -> Iterable[Part]:
        yield from prism(outer, 0, high, side, side, _WALL)
        yield Plate(tuple((*point, high) for point in inner), earth, ID["dirt"], shadow=False)

    return [solid(at, math.hypot(length, width) / 2, high, build)]
