"""Furniture and all else that stands about; the labels call it an obstacle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tiler.scenes import materials
from tiler.scenes.canvas import Material
from tiler.scenes.eye import Place
from tiler.scenes.frame import Frame, any_angle, any_colour, pick, wood
from tiler.scenes.people import person
from tiler.scenes.shapes import Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, block, prism, rectangle, solid
from tiler.scenes.thing import ID, Random, Thing

_OBSTACLE, _PLANT = ID["obstacle"], ID["vegetation"]

Maker = Callable[[Point, float, Random], Thing]


def obstacle(at: Point, angle: float, random: Random) -> Thing:
    """Return something that stands or lies about: furniture, pots, bins, toys, boards, covers of shafts."""
    return pick(random, _MAKERS)(at, angle, random)


def _look(random: Random, at: Point, angle: float) -> Material:
    """Return wood in slats, cloth, plastic, metal or wicker."""
    chance = random.random()
    if chance < 0.4:
        pitch = float(random.uniform(0.06, 0.16))
        base = materials.speckled(wood(random), grain=5, clumps=6, clouds=0)
        return materials.striped(base, at, angle + math.pi / 2, pitch_m=pitch, line_m=0.012, change=-70)
    colour = any_colour(random, neutral=0.7)
    if chance < 0.55:
        pitch = float(random.uniform(0.05, 0.14))
        return materials.striped(
            materials.plain(colour), at, angle, pitch_m=pitch, line_m=pitch / 2, change=float(random.uniform(-60, 60))
        )
    return materials.speckled(colour, grain=float(random.uniform(1, 9)), clumps=4, clouds=0)


def _legs(frame: Frame, length: float, width: float, high: float, colour: object) -> Iterator[Rod]:
    for u in (-length / 2 + 0.06, length / 2 - 0.06):
        for v in (-width / 2 + 0.06, width / 2 - 0.06):
            yield Rod(frame.place(u, v, 0), frame.place(u, v, high), 0.025, np.asarray(colour, np.float32), _OBSTACLE)


def _board(frame: Frame, length: float, width: float, low: float, high: float, look: Material) -> Iterator[Plate]:
    yield from prism(rectangle(frame.at, length, width, frame.angle), low, high, look, look, _OBSTACLE)


def table(at: Point, angle: float, random: Random) -> Thing:
    """Return a table, round or not."""
    frame, high = Frame(at, angle), float(random.uniform(0.35, 0.78))
    look, leg = _look(random, at, angle), any_colour(random, neutral=0.9)
    if random.random() < 0.35:
        wide = float(random.uniform(0.5, 1.4))
        parts: list[Part] = [Rod(frame.place(0, 0, 0), frame.place(0, 0, high), 0.05, leg, _OBSTACLE),
                             Disc(frame.place(0, 0, high), wide, wide, look, _OBSTACLE)]  # fmt: skip
        return solid(at, wide / 2, high, lambda eye: parts)
    length, width = float(random.uniform(0.6, 2.4)), float(random.uniform(0.5, 1.1))
    parts = [*_legs(frame, length, width, high, leg), *_board(frame, length, width, high - 0.04, high, look)]
    return solid(at, math.hypot(length, width) / 2, high, lambda eye: parts)


def chair(at: Point, angle: float, random: Random) -> Thing:
    """Return a chair, an armchair or a sofa; its back is opposite to the way it faces."""
    frame = Frame(at, angle)
    heavy = random.random() < 0.5
    deep, wide = (
        float(random.uniform(0.42, 0.85)),
        float(random.uniform(0.42, 0.95) if not heavy else random.uniform(0.7, 2.0)),
    )
    look, leg = _look(random, at, angle), any_colour(random, neutral=0.85)
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
        parts += _legs(frame, deep, wide, seat, leg)
        parts += _board(frame, deep, wide, seat - 0.04, seat, look)
        rear = tuple(frame.place(-deep / 2 - lean, v * wide / 2, z) for lean, v, z in (
            (0, -1, seat), (0, 1, seat), (0.12, 1, back), (0.12, -1, back)))  # fmt: skip
        parts.append(Plate(rear, look, _OBSTACLE))
        if random.random() < 0.5:
            for side in (-1, 1):
                ends = (frame.place(u, side * wide / 2, 0.64) for u in (-deep / 2 - 0.05, deep / 2))
                parts.append(Rod(*ends, 0.025, leg, _OBSTACLE))
    return solid(at, max(deep, wide) * 0.75, back if heavy else 0.8, lambda eye: parts)


def lounger(at: Point, angle: float, random: Random) -> Thing:
    """Return a deck chair with a raised head, or a hammock."""
    frame, look = Frame(at, angle), _look(random, at, angle)
    wide, rise = float(random.uniform(0.55, 0.8)), float(random.uniform(0, 0.5))
    flat = tuple(frame.place(u, v * wide / 2, 0.33) for u, v in ((-0.3, -1), (1.1, -1), (1.1, 1), (-0.3, 1)))
    head = tuple(frame.place(u, v * wide / 2, z) for u, v, z in (
        (-0.3, -1, 0.33), (-0.3, 1, 0.33), (-0.9, 1, 0.33 + rise), (-0.9, -1, 0.33 + rise)))  # fmt: skip
    leg = any_colour(random, neutral=0.9)
    parts: list[Part] = [Plate(flat, look, _OBSTACLE), Plate(head, look, _OBSTACLE)]
    parts += [Rod(frame.place(u, v, 0), frame.place(u, v, 0.33), 0.02, leg, _OBSTACLE)
              for u in (-0.3, 1.0) for v in (-wide / 2, wide / 2)]  # fmt: skip
    return solid(at, 1.2, 0.35 + rise, lambda eye: parts)


def parasol(at: Point, angle: float, random: Random) -> Thing:
    """Return a parasol, open or shut."""
    frame, colour = Frame(at, angle), any_colour(random, neutral=0.45)
    pole = Rod(frame.place(0, 0, 0), frame.place(0, 0, 2.4), 0.025, (200, 200, 198), _OBSTACLE)
    foot = Disc(frame.place(0, 0, 0.05), 0.5, 0.5, materials.plain((120, 120, 120), grain=5), _OBSTACLE)
    if random.random() < 0.35:
        shut = Rod(
            frame.place(0, 0, 1.1),
            frame.place(0, 0, 2.35),
            float(random.uniform(0.08, 0.14)),
            colour,
            _OBSTACLE,
            folds=0.1,
        )
        return solid(at, 0.3, 2.4, lambda eye: (foot, pole, shut))
    radius, sides = float(random.uniform(0.9, 1.9)), int(pick(random, (4, 6, 8)))
    rim = [frame.place(radius * math.cos(turn), radius * math.sin(turn), 2.05)
           for turn in (2 * math.pi * step / sides for step in range(sides))]  # fmt: skip
    top = frame.place(0, 0, 2.5)
    cloth = materials.plain(colour, grain=3)
    fields: list[Part] = [Plate((rim[step], rim[(step + 1) % sides], top), cloth, _OBSTACLE) for step in range(sides)]
    return solid(at, radius, 2.5, lambda eye: (foot, pole, *fields))


def sail(at: Point, angle: float, random: Random) -> Thing:
    """Return a sun sail or an awning on posts."""
    frame, cloth = Frame(at, angle), materials.speckled(any_colour(random, neutral=0.6), grain=2, clumps=3, clouds=4)
    count = int(pick(random, (3, 4)))
    turns = [2 * math.pi * (step + random.uniform(-0.2, 0.2)) / count for step in range(count)]
    radius = random.uniform(1.2, 2.8)
    corners = tuple(
        frame.place(radius * math.cos(turn), radius * math.sin(turn), random.uniform(1.8, 3.0)) for turn in turns
    )
    parts: list[Part] = [Rod((y, x, 0.0), (y, x, z), 0.03, (120, 122, 124), _OBSTACLE) for y, x, z in corners]
    parts.append(Plate(corners, cloth, _OBSTACLE))
    return solid(at, radius, 3.0, lambda eye: parts)


def bench(at: Point, angle: float, random: Random) -> Thing:
    """Return a bench of slats, a beam, a pile of boards or a pallet."""
    length, width, high = (
        float(random.uniform(0.8, 2.6)),
        float(random.uniform(0.15, 0.7)),
        float(random.uniform(0.1, 0.5)),
    )
    look = _look(random, at, angle)
    parts = list(_board(Frame(at, angle), length, width, 0.0 if high < 0.25 else high - 0.08, high, look))
    return solid(at, length / 2, high, lambda eye: parts)


def box(at: Point, angle: float, random: Random) -> Thing:
    """Return a crate, a suitcase, a heat pump, a letter box or a raised cushion box."""
    length, width = float(random.uniform(0.25, 1.6)), float(random.uniform(0.2, 0.9))
    high = float(random.uniform(0.12, 1.1))
    look, lid = _look(random, at, angle), _look(random, at, angle)
    parts = list(
        prism(rectangle(at, length, width, angle), 0, high, look, lid if random.random() < 0.4 else look, _OBSTACLE)
    )
    return solid(at, length / 2, high, lambda eye: parts)


def pot(at: Point, angle: float, random: Random) -> Thing:
    """Return a flower pot with what grows in it, a rain barrel or a bin."""
    frame, wide = Frame(at, angle), float(random.uniform(0.2, 0.75))
    high = wide * float(random.uniform(0.6, 1.5))
    colour = any_colour(random, neutral=0.6) if random.random() < 0.5 else np.asarray((170, 98, 66), np.float32)
    round_ = random.random() < 0.7
    ring = [frame.point(wide / 2 * math.cos(turn), wide / 2 * math.sin(turn))
            for turn in (2 * math.pi * step / (12 if round_ else 4) for step in range(12 if round_ else 4))]  # fmt: skip
    plain = materials.plain(colour, grain=4)
    parts: list[Part] = list(prism(ring, 0, high, plain, plain, _OBSTACLE))
    inside = materials.speckled(
        np.asarray((60, 48, 38)) if random.random() < 0.6 else colour * 0.7, grain=12, clumps=8, clouds=0
    )
    parts.append(Disc(frame.place(0, 0, high), wide * 0.8, wide * 0.8, inside, _OBSTACLE, shadow=False))
    if random.random() < 0.6:
        green = materials.speckled(np.asarray(pick(random, ((76, 104, 48), (104, 124, 60), (150, 70, 90), (60, 84, 50)))),
                                   grain=24, clumps=20, clouds=0)  # fmt: skip
        for _ in range(int(random.integers(2, 6))):
            spot = frame.place(*random.normal(0, wide * 0.16, 2), high + random.uniform(0.05, 0.5) * wide)
            parts.append(Rod(spot, spot, wide * float(random.uniform(0.15, 0.34)), green, _PLANT))
    return solid(at, wide, high + 0.4 * wide, lambda eye: parts)


def cover(at: Point, angle: float, random: Random) -> Thing:
    """Return the cover of a shaft, a drain or a stepping disc."""
    wide = float(random.uniform(0.3, 0.75))
    colour = np.asarray(
        pick(random, ((110, 80, 66), (84, 84, 86), (150, 146, 140), (60, 60, 62), (190, 186, 178))), np.float32
    )
    ribs = materials.slabs(materials.speckled(colour, grain=7, clumps=6, clouds=0), at, angle, pitch_m=0.07, line_m=0.02,
                           change=float(random.uniform(-40, 20)))  # fmt: skip
    if random.random() < 0.6:
        parts: list[Part] = [Disc((*at, 0.01), wide, wide, ribs, _OBSTACLE, shadow=False),
                             Disc((*at, 0.01), wide, wide, materials.plain(colour * 0.6), None, rim=0.03, shadow=False)]  # fmt: skip
    else:
        parts = [
            Plate(tuple((*point, 0.01) for point in rectangle(at, wide, wide, angle)), ribs, _OBSTACLE, shadow=False)
        ]
    return solid(at, wide, 0.07, lambda eye: parts)


def board(at: Point, angle: float, random: Random) -> Thing:
    """Return something flat: a towel, a tarpaulin, a mat, a sheet of metal, a sign that lies."""
    length, width = float(random.uniform(0.3, 3.0)), float(random.uniform(0.2, 1.6))
    look = _look(random, at, angle)
    if random.random() < 0.3:
        colour = any_colour(random, neutral=0.1)
        look = materials.blended(look, materials.plain(colour), by="clumps", zoom=4)
    parts = [Plate(tuple((*point, 0.03) for point in rectangle(at, length, width, angle)), look, _OBSTACLE)]
    return solid(at, length / 2, 0.08, lambda eye: parts)


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
        parts.append(Plate(face, materials.plain(any_colour(random, neutral=0.4)), _OBSTACLE))
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


_MAKERS: tuple[Maker, ...] = (table, chair, chair, lounger, parasol, sail, bench, bench, box, box, pot, pot, cover, cover,
                              board, board, hose, ball, post, goal, toys)  # fmt: skip


def terrace(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a table with chairs around it, often with people, at times under a parasol."""
    made = [table(at, angle, random)]
    seats = int(random.integers(2, 7))
    state = int(random.integers(2**31))
    for seat in range(seats):
        turn = angle + 2 * math.pi * (seat + random.uniform(-0.15, 0.15)) / seats
        far = random.uniform(0.8, 1.4)
        place = at[0] + far * math.sin(turn), at[1] + far * math.cos(turn)
        alike = np.random.default_rng(state)  # a set of chairs is of one make
        made.append(chair(place, turn + math.pi + random.normal(0, 0.2), alike))
        if random.random() < 0.2:
            made.append(person(place, turn + math.pi, random))
    if random.random() < 0.25:
        made.append(parasol(at, angle, random))
    return made
