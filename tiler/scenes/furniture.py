"""Furniture and all else that stands about, one at a time or in groups; the labels call it an obstacle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes.clutter import ball, board, box, cover, goal, hose, post, pot, toys
from tiler.scenes.frame import pick
from tiler.scenes.people import person
from tiler.scenes.seats import bench, chair, lounger, parasol, sail, table
from tiler.scenes.shapes import Point
from tiler.scenes.thing import Random, Thing

Maker = Callable[[Point, float, Random], Thing]


_MAKERS: tuple[Maker, ...] = (
    table, chair, chair, lounger, parasol, sail, bench, bench, box, box, pot, pot, cover, cover, board, board,
    hose, ball, post, goal, toys,
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
