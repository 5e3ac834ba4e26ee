"""What stands or lies about: boxes, pots, covers of shafts, boards, hoses, posts, toys; all obstacles."""

from __future__ import annotations

import math

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material, Patch
from tiler.scenes.eye import Place
from tiler.scenes.frame import Frame, any_angle, any_colour, pick
from tiler.scenes.seats import any_look
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing
from tiler.scenes.tones import mixed

_OBSTACLE, _PLANT = ID["obstacle"], ID["vegetation"]


def box(at: Point, angle: float, random: Random) -> Thing:
    """Return a crate, a suitcase, a heat pump, a letter box or a raised cushion box."""
    length, width = float(random.uniform(0.25, 1.6)), float(random.uniform(0.2, 0.9))
    high = float(random.uniform(0.12, 1.1))
    look, lid = any_look(random, at, angle), any_look(random, at, angle)
    parts = list(
        prism(rectangle(at, length, width, angle), 0, high, look, lid if random.random() < 0.4 else look, _OBSTACLE)
    )
    return solid(at, length / 2, high, lambda eye: parts)


def pot(at: Point, angle: float, random: Random) -> Thing:
    """Return a flower pot with what grows in it, a rain barrel or a bin."""
    frame, wide = Frame(at, angle), float(random.uniform(0.2, 0.75))
    high = wide * float(random.uniform(0.6, 1.5))
    colour = any_colour(random, neutral=0.6) if random.random() < 0.5 else np.asarray((170, 98, 66), np.float32)
    sides = 12 if random.random() < 0.7 else 4
    turns = [2 * math.pi * step / sides for step in range(sides)]
    ring = [frame.point(wide / 2 * math.cos(turn), wide / 2 * math.sin(turn)) for turn in turns]
    plain = looks.plain(colour, grain=4)
    parts: list[Part] = list(prism(ring, 0, high, plain, plain, _OBSTACLE))
    inside = looks.speckled(
        np.asarray((60, 48, 38)) if random.random() < 0.6 else colour * 0.7, grain=12, clumps=8, clouds=0
    )
    parts.append(Disc(frame.place(0, 0, high), wide * 0.8, wide * 0.8, inside, _OBSTACLE, shadow=False))
    if random.random() < 0.6:
        leaf = pick(random, ((76, 104, 48), (104, 124, 60), (150, 70, 90), (60, 84, 50)))
        green = looks.speckled(leaf, grain=24, clumps=20, clouds=0)
        for _ in range(int(random.integers(2, 6))):
            u, v = random.normal(0, wide * 0.16, 2)
            spot = frame.place(u, v, high + random.uniform(0.05, 0.5) * wide)
            parts.append(Rod(spot, spot, wide * float(random.uniform(0.15, 0.34)), green, _PLANT))
    return solid(at, wide, high + 0.4 * wide, lambda eye: parts)


def cover(at: Point, angle: float, random: Random) -> Thing:
    """Return the cover of a shaft, a drain or a stepping disc."""
    wide = float(random.uniform(0.3, 0.75))
    colour = np.asarray(
        pick(random, ((110, 80, 66), (84, 84, 86), (150, 146, 140), (60, 60, 62), (190, 186, 178))), np.float32
    )
    iron = looks.speckled(colour, grain=7, clumps=6, clouds=0)
    ribs = looks.slabs(iron, at, angle, pitch_m=0.07, line_m=0.02, change=float(random.uniform(-40, 20)))
    if random.random() < 0.6:
        parts: list[Part] = [
            Disc((*at, 0.01), wide, wide, ribs, _OBSTACLE, shadow=False),
            Disc((*at, 0.01), wide, wide, looks.plain(colour * 0.6), None, rim=0.03, shadow=False),
        ]
    else:
        parts = [
            Plate(tuple((*point, 0.01) for point in rectangle(at, wide, wide, angle)), ribs, _OBSTACLE, shadow=False)
        ]
    return solid(at, wide, 0.07, lambda eye: parts)


def board(at: Point, angle: float, random: Random) -> Thing:
    """Return something flat: a towel, a tarpaulin, a mat, a sheet of metal, a sign that lies."""
    length, width = float(random.uniform(0.3, 3.0)), float(random.uniform(0.2, 1.6))
    look = any_look(random, at, angle)
    if random.random() < 0.3:
        colour = any_colour(random, neutral=0.1)
        look = _patchwork(look, looks.plain(colour))
    parts = [Plate(tuple((*point, 0.03) for point in rectangle(at, length, width, angle)), look, _OBSTACLE)]
    return solid(at, length / 2, 0.08, lambda eye: parts)


def _patchwork(first: Material, second: Material) -> Material:
    """Return two materials in spots beside each other."""

    def material(patch: Patch) -> Metres:
        return mixed(first(patch), second(patch), np.clip(3 * patch.texture(0.12, salt=34), 0, 1))

    return material


def hose(at: Point, angle: float, random: Random) -> Thing:
    """Return a hose, a rope, a cable or a line of white slats that winds over the ground."""
    colour, thick = any_colour(random, neutral=0.4), float(random.uniform(0.01, 0.035))
    bearing, place = angle, at
    parts: list[Part] = []
    for _ in range(int(random.integers(4, 22))):
        bearing += random.normal(0, 0.45)
        following = place[0] + 0.3 * math.sin(bearing), place[1] + 0.3 * math.cos(bearing)
        parts.append(Rod((*place, 0.03), (*following, 0.03), thick, colour, _OBSTACLE))
        place = following
    return solid(at, 6.0, 0.09, lambda eye: parts)


def ball(at: Point, angle: float, random: Random) -> Thing:
    """Return a ball, a lamp of the garden or a stone that somebody put up."""
    radius = float(random.uniform(0.08, 0.3))
    part = Rod((*at, radius), (*at, radius), radius, any_colour(random, neutral=0.5), _OBSTACLE)
    return solid(at, radius, 2 * radius, lambda eye: (part,))


def post(at: Point, angle: float, random: Random) -> Thing:
    """Return a post, a lamp, a sign, a clothes line or a flag pole."""
    high, thick = float(random.uniform(0.5, 4.5)), float(random.uniform(0.02, 0.1))
    colour = any_colour(random, neutral=0.8)
    frame = Frame(at, angle)
    parts: list[Part] = [Rod(frame.place(0, 0, 0), frame.place(0, 0, high), thick, colour, _OBSTACLE)]
    if random.random() < 0.5:
        wide = random.uniform(0.2, 0.5)
        face = tuple(frame.place(0.03, v * wide, high - z) for v, z in ((-1, 0.5), (1, 0.5), (1, 0), (-1, 0)))
        parts.append(Plate(face, looks.plain(any_colour(random, neutral=0.4)), _OBSTACLE))
    return solid(at, 0.5, high, lambda eye: parts)


def goal(at: Point, angle: float, random: Random) -> Thing:
    """Return a goal, a swing or another frame of pipes, now and then with a net."""
    frame, colour = (
        Frame(at, angle),
        np.asarray(pick(random, ((230, 230, 228), (230, 230, 228), (200, 60, 50), (60, 62, 64), (220, 190, 60)))),
    )
    wide, high, deep = float(random.uniform(0.8, 3.2)), float(random.uniform(0.6, 2.3)), float(random.uniform(0.4, 1.4))
    thick = float(random.uniform(0.02, 0.05))
    half = wide / 2
    lines: list[tuple[Place, Place]] = [(frame.place(0, -half, high), frame.place(0, half, high)),
                                        (frame.place(-deep, -half, 0), frame.place(-deep, half, 0))]  # fmt: skip
    for v in (-half, half):
        lines += [(frame.place(0, v, 0), frame.place(0, v, high)), (frame.place(0, v, high), frame.place(-deep, v, 0)),
                  (frame.place(0, v, 0), frame.place(-deep, v, 0))]  # fmt: skip
    parts: list[Part] = [Rod(start, end, thick, colour, _OBSTACLE) for start, end in lines]
    return solid(at, max(half, deep), high, lambda eye: parts)


def toys(at: Point, angle: float, random: Random) -> Thing:
    """Return small things of several colours that lie together."""
    parts: list[Part] = []
    for _ in range(int(random.integers(2, 9))):
        way = random.normal(0, 0.4, 2)
        spot = at[0] + float(way[0]), at[1] + float(way[1])
        size = float(random.uniform(0.08, 0.4))
        parts += block(spot, size, size * float(random.uniform(0.3, 1)), any_angle(random), 0, size * 0.5,
                       any_colour(random, neutral=0.35), _OBSTACLE)  # fmt: skip
    return solid(at, 1.2, 0.3, lambda eye: parts)
