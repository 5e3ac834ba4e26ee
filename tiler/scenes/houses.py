"""Houses with every roof, sheds and greenhouses; facades show where the camera sees them aslant."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tiler.scenes import looks
from tiler.scenes.eye import Eye
from tiler.scenes.facades import Build, downpipe, ends_of, openings, wall_plates
from tiler.scenes.frame import Frame, pick
from tiler.scenes.rooftops import flat, planes_of, sloping
from tiler.scenes.shapes import Point
from tiler.scenes.solids import Part, Plate, solid
from tiler.scenes.thing import ID, Random, Thing

_OBSTACLE = ID["obstacle"]


def house(at: Point, sides_m: tuple[float, float], angle: float, random: Random) -> list[Thing]:
    """Return a house of any kind; `sides_m` is (length along `angle`, width), metres."""
    kind = str(random.choice(("gable", "hip", "pent", "flat"), p=(0.5, 0.18, 0.12, 0.2)))
    length, width = max(sides_m), min(sides_m)
    turned = angle if sides_m[0] >= sides_m[1] else angle + math.pi / 2
    pitch = math.radians(random.uniform(12, 44) if kind != "pent" else random.uniform(4, 14))
    rise = {"gable": width / 2, "hip": width / 2, "pent": width, "flat": 0.0}[kind] * math.tan(pitch)
    build = Build(Frame(at, turned), length, width, float(random.uniform(2.4, 5.8)), float(rise),
                   float(random.uniform(0.1, 0.8)), kind)  # fmt: skip
    made = [_raised(build, random)]
    if random.random() < 0.35:
        made += _wing(build, random)
    return made


def _wing(build: Build, random: Random) -> list[Thing]:
    """Return a lower part of a house, or a garage, that stands out at a right angle."""
    length, width = random.uniform(0.3, 0.7) * build.length, random.uniform(0.4, 0.7) * build.width
    u = random.uniform(-0.5, 0.5) * (build.length - length)
    v = random.choice((-1, 1)) * (build.width / 2 + random.uniform(0.1, 0.5) * width)
    at, angle = build.frame.point(u, v), build.frame.angle
    if random.random() < 0.5:
        return flat_roof(at, (length, width), angle, random)
    lower = Build(Frame(at, angle + math.pi / 2), width, length, build.walls * float(random.uniform(0.6, 1.0)),
                  build.rise * float(random.uniform(0.3, 0.8)), build.eaves, "gable")  # fmt: skip
    return [_raised(lower, random)]


def shed(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a garden shed, a carport or a garage."""
    kind = str(pick(random, ("gable", "pent", "flat")))
    length, width = random.uniform(2, 6), random.uniform(1.8, 3.4)
    build = Build(Frame(at, angle), length, width, float(random.uniform(1.9, 2.6)), float(random.uniform(0.2, 0.9)),
                   float(random.uniform(0.05, 0.4)), kind)  # fmt: skip
    return [_raised(build, random)]


def flat_roof(at: Point, sides_m: tuple[float, float], angle: float, random: Random) -> list[Thing]:
    """Return a building with a flat roof: gravel (which its label says), bitumen, metal or grass within a rim."""
    build = Build(
        Frame(at, angle), *sides_m, float(random.uniform(2.2, 4.5)), 0.0, float(random.uniform(0, 0.5)), "flat"
    )
    return [_raised(build, random)]


def _raised(build: Build, random: Random) -> Thing:
    walls = list(wall_plates(build, random))
    low: list[Part] = [*openings(build, random), downpipe(build, random)]
    top = flat(build, random) if build.kind == "flat" else sloping(build, random)
    reach = math.hypot(build.length, build.width) / 2 + build.eaves

    def parts(eye: Eye) -> Iterable[Part]:
        yield from walls
        yield from low
        yield from top(eye)

    return solid(build.frame.at, reach, build.walls + build.rise + 0.3, parts)


def greenhouse(at: Point, angle: float, random: Random) -> list[Thing]:
    """Return a greenhouse or a roof of glass: the labels call it an obstacle."""
    length, width, walls = random.uniform(2.5, 7), random.uniform(2, 4), random.uniform(1.5, 2.6)
    glass = np.asarray(pick(random, ((170, 200, 190), (196, 210, 210), (150, 176, 160), (210, 216, 206))), np.float32)
    pane = looks.speckled(glass, grain=3, clumps=5, clouds=8)
    pitch, change = float(random.uniform(0.6, 1.2)), float(random.choice((-90, 45)))
    bars = looks.slabs(pane, at, angle, pitch_m=pitch, line_m=0.05, change=change)
    kind = str(pick(random, ("gable", "pent")))
    build = Build(Frame(at, angle), length, width, walls, float(random.uniform(0.3, 0.9)), 0.1, kind)
    parts: list[Part] = []
    for side in range(4):
        start, end, first, last = ends_of(build, side)
        corners = ((*start[:2], 0.0), (*end[:2], 0.0), (*end[:2], last), (*start[:2], first))
        parts.append(Plate(corners, bars, _OBSTACLE, closed=True, opacity=0.8))
    parts += [Plate(tuple(corners), bars, _OBSTACLE, closed=True, opacity=0.85) for corners, _ in planes_of(build)]
    return [solid(at, math.hypot(length, width) / 2, walls + build.rise, lambda eye: parts)]
