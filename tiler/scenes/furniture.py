"""Furniture and all else that stands about, one at a time or in groups; the labels call it an obstacle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes import looks
from tiler.scenes.clutter import ball, board, box, cover, goal, hose, post, pot, toys
from tiler.scenes.frame import Frame, any_colour, pick
from tiler.scenes.people import person
from tiler.scenes.seats import bench, chair, lounger, table
from tiler.scenes.shapes import Point
from tiler.scenes.solids import Disc, Part, Plate, Rod, solid
from tiler.scenes.thing import ID, Random, Thing
from tiler.scenes.tools import tool

Maker = Callable[[Point, float, Random], Thing]


_OBSTACLE = ID["obstacle"]


def parasol(at: Point, angle: float, random: Random) -> Thing:
    """Return a parasol, open or shut."""
    frame, colour = Frame(at, angle), any_colour(random, neutral=0.45)
    pole = Rod(frame.place(0, 0, 0), frame.place(0, 0, 2.4), 0.025, (200, 200, 198), _OBSTACLE)
    foot = Disc(frame.place(0, 0, 0.05), 0.5, 0.5, looks.plain((120, 120, 120), grain=5), _OBSTACLE)
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
    cloth = looks.plain(colour, grain=3)
    fields: list[Part] = [Plate((rim[step], rim[(step + 1) % sides], top), cloth, _OBSTACLE) for step in range(sides)]
    return solid(at, radius, 2.5, lambda eye: (foot, pole, *fields))


def sail(at: Point, angle: float, random: Random) -> Thing:
    """Return a sun sail or an awning on posts."""
    frame, cloth = Frame(at, angle), looks.speckled(any_colour(random, neutral=0.6), grain=2, clumps=3, clouds=4)
    count = int(pick(random, (3, 4)))
    turns = [2 * math.pi * (step + random.uniform(-0.2, 0.2)) / count for step in range(count)]
    radius = random.uniform(1.2, 2.8)
    corners = tuple(
        frame.place(radius * math.cos(turn), radius * math.sin(turn), random.uniform(1.8, 3.0)) for turn in turns
    )
    parts: list[Part] = [Rod((y, x, 0.0), (y, x, z), 0.03, (120, 122, 124), _OBSTACLE) for y, x, z in corners]
    parts.append(Plate(corners, cloth, _OBSTACLE))
    return solid(at, radius, 3.0, lambda eye: parts)


_MAKERS: tuple[Maker, ...] = (
    table, chair, chair, lounger, parasol, sail, bench, bench, box, box, pot, pot, cover, cover, board, board,
    hose, ball, post, goal, toys, tool, tool, tool, tool,
)  # fmt: skip


def obstacle(at: Point, angle: float, random: Random) -> Thing:
    """Return something that stands or lies about: furniture, pots, bins, toys, boards, covers of shafts."""
    return pick(random, _MAKERS)(at, angle, random)


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
