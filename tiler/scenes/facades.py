"""The measures of a house, and its facades with windows and doors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material
from tiler.scenes.eye import Place
from tiler.scenes.frame import Frame, any_colour, pick, wood
from tiler.scenes.shapes import Metres
from tiler.scenes.solids import Plate, Rod
from tiler.scenes.thing import ID, Random

_ROOF, _WALL, _WINDOW, _DOOR, _OBSTACLE = (ID[name] for name in ("roof", "wall", "window", "door", "obstacle"))
_PLASTER = ((238, 236, 230), (238, 236, 230), (246, 246, 246), (240, 242, 246), (226, 214, 190), (232, 206, 150),
            (206, 200, 194), (170, 166, 162), (214, 170, 110), (120, 118, 118), (150, 120, 96),
            (96, 110, 84), (132, 60, 52), (70, 72, 76))  # fmt: skip
PANES = ((44, 54, 64), (70, 86, 100), (120, 140, 154), (176, 190, 200), (24, 28, 32), (150, 150, 146))


@dataclass(frozen=True, slots=True)
class Build:
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


def _facade(random: Random, build: Build) -> Material:
    """Return plaster, brick or boards."""
    chance = random.random()
    if chance < 0.68:
        colour = np.asarray(pick(random, _PLASTER), np.float32) + random.normal(0, 8, 3)
        return looks.speckled(colour, grain=2, clumps=2, clouds=2)
    boards = wood(random) if chance < 0.9 else np.asarray((150, 88, 70), np.float32)
    pitch = float(random.uniform(0.05, 0.2))
    base = looks.speckled(boards, grain=4, clumps=4, clouds=0)
    return looks.striped(base, build.frame.at, build.frame.angle + math.pi / 2 * int(random.integers(2)),
                             pitch_m=pitch, line_m=pitch / 4, change=-45)  # fmt: skip


def ends_of(build: Build, side: int) -> tuple[Place, Place, float, float]:
    """Return where a facade starts and ends on the ground, counterclockwise, and how high it is there.

    Sides 0 and 2 are the long ones, 1 and 3 the gables.
    """
    turns = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    (u, v), (s, t) = turns[side], turns[(side + 1) % 4]
    highs = [build.walls + (build.rise if build.kind == "pent" and across > 0 else 0.0) for across in (v, t)]
    return build.corner(u, v, 0), build.corner(s, t, 0), highs[0], highs[1]


def wall_plates(build: Build, random: Random) -> Iterator[Plate]:
    """Yield the four facades, up to the eaves or the gable."""
    look = _facade(random, build)
    other = _facade(random, build) if random.random() < 0.3 else look
    for side in range(4):
        start, end, first, last = ends_of(build, side)
        corners = [(start[0], start[1], 0.0), (end[0], end[1], 0.0), (end[0], end[1], last)]
        if build.kind == "gable" and side % 2:
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            corners.append((*middle, build.walls + build.rise))
        corners.append((start[0], start[1], first))
        yield Plate(tuple(corners), other if side % 2 else look, _WALL, closed=True)


def openings(build: Build, random: Random) -> Iterator[Plate]:
    """Yield windows and doors in rows on all four facades."""
    frame = (
        any_colour(random, neutral=0.85) * 0.4 + 0.6 * np.float32(235) if random.random() < 0.7 else wood(random) * 0.7
    )
    pane = np.asarray(pick(random, PANES), np.float32)
    door = wood(random) * 0.8 if random.random() < 0.6 else any_colour(random, neutral=0.4)
    floors = [low for low in (0.0, 2.7) if low + 2.4 <= build.walls] or [0.0]
    small = build.length < 5
    for side in range(4):
        start, end, *_ = ends_of(build, side)
        room = math.dist(start[:2], end[:2])
        for low in floors:
            at = random.uniform(0.6, 1.6)
            while at < room - 1.2:
                is_door = low == 0 and random.random() < 0.35
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
        yield Plate(tuple(places), looks.plain(colour, grain=3), label, closed=True, shadow=False)


def downpipe(build: Build, random: Random) -> Rod:
    """Return the pipe that leads rain from the gutter to the ground."""
    colour = np.asarray(pick(random, ((60, 88, 76), (120, 122, 124), (214, 214, 212))), np.float32)
    foot, top = (build.corner(1, -1, z, out=0.08) for z in (0.1, build.walls - 0.1))
    return Rod(foot, top, 0.05, colour, _OBSTACLE, shadow=False)
