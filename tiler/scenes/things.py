"""What people made: cars, furniture, fences, houses; and people themselves."""

from __future__ import annotations

import math

import numpy as np

from tiler.scenes import materials
from tiler.scenes.canvas import Canvas
from tiler.scenes.shapes import Point, Shape, box, ellipse, turn, union
from tiler.scenes.thing import ID, Random, Thing, placer, shade_between

_CARS = ((225, 226, 228), (38, 40, 44), (150, 154, 158), (168, 36, 32), (36, 66, 128), (70, 74, 80), (202, 186, 150))
_SHIRTS = ((214, 62, 54), (58, 96, 186), (236, 222, 96), (245, 245, 240), (46, 140, 90), (228, 128, 48), (150, 80, 160))
_HAIR = ((52, 38, 28), (96, 66, 40), (196, 160, 96), (120, 118, 116))
_ROOFS = ((164, 86, 62), (146, 72, 56), (78, 80, 88), (112, 84, 70), (128, 62, 54))
_DOORS = ((112, 62, 34), (128, 34, 34), (40, 84, 62))
_OBSTACLES = ((232, 118, 36), (64, 120, 196), (208, 196, 60), (86, 62, 44))


def car(at: Point, angle: float, random: Random) -> Thing:
    """Return a parked or driving car."""
    length, width = random.uniform(4.1, 4.9), random.uniform(1.75, 1.95)
    body = box(at, length, width, angle, corner=0.45)
    colour = np.asarray(_CARS[random.integers(len(_CARS))], np.float32) + random.normal(0, 6, 3)

    def part(along: float, long: float, wide: float) -> Shape:
        dy, dx = turn((along, 0), angle)
        return box((at[0] + dy, at[1] + dx), long, wide, angle, corner=0.15)

    def paint(canvas: Canvas) -> None:
        canvas.paint(body, materials.plain(colour, grain=2), ID["car"])
        canvas.paint(part(-0.12 * length, 0.58 * length, 0.86 * width), materials.plain((36, 42, 50), grain=2))
        canvas.paint(part(-0.14 * length, 0.36 * length, 0.78 * width), materials.plain(colour * 0.96 + 8, grain=2))
        for end in (-0.47, 0.47):
            lamp = (200, 40, 36) if end < 0 else (240, 240, 226)
            canvas.paint(part(end * length, 0.1, 0.7 * width), materials.plain(lamp), opacity=0.6)

    return Thing(1.5, body, paint)


def person(at: Point, angle: float, random: Random) -> Thing:
    """Return somebody standing or walking, seen a little from the side."""
    at_local = placer(at, angle)

    shoulders = ellipse(at, 0.34, 0.62, angle)
    legs = box(at_local(-0.32, 0), 0.5, 0.3, angle, corner=0.12)
    arms = [box(at_local(-0.08, side), 0.42, 0.13, angle, corner=0.06) for side in (-0.3, 0.3)]
    outline = union([shoulders, legs, *arms])
    shirt, hair = (palette[random.integers(len(palette))] for palette in (_SHIRTS, _HAIR))
    trousers = random.uniform(30, 110, 3)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain(shirt), ID["person"])
        canvas.paint(legs, materials.plain(trousers))
        canvas.paint(shoulders, materials.plain(shirt))
        canvas.paint(ellipse(at_local(0.05, 0), 0.26, 0.23, angle), materials.plain(hair))

    return Thing(1.7, outline, paint)


def dog(at: Point, angle: float, random: Random) -> Thing:
    """Return a dog."""
    dy, dx = turn((0.46, 0), angle)
    tail_y, tail_x = turn((-0.55, 0), angle)
    head = (at[0] + dy, at[1] + dx)
    outline = union(
        [ellipse(at, 0.95, 0.38, angle), ellipse(head, 0.36, 0.28, angle),
         box((at[0] + tail_y, at[1] + tail_x), 0.35, 0.1, angle)]
    )  # fmt: skip
    fur = ((92, 58, 34), (40, 34, 30), (186, 142, 90))[random.integers(3)]

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.speckled(fur, grain=8, clumps=4, clouds=0), ID["dog"])
        canvas.paint(ellipse(head, 0.2, 0.2), materials.plain(np.asarray(fur) * 0.6))

    return Thing(0.6, outline, paint)


def bicycle(at: Point, angle: float, random: Random) -> Thing:
    """Return a bicycle that leans, so that its wheels show as ellipses."""
    at_local = placer(at, angle)

    wheels = [ellipse(at_local(along, 0), 0.68, 0.3, angle) for along in (-0.52, 0.52)]
    frame = box(at_local(0, 0.02), 1.1, 0.2, angle, corner=0.08)
    bar = box(at_local(0.4, 0), 0.12, 0.62, angle)
    saddle = ellipse(at_local(-0.3, 0.05), 0.3, 0.18, angle)
    outline = union([*wheels, frame, bar])
    colour = ((196, 40, 44), (40, 120, 190), (230, 230, 230), (40, 150, 80))[random.integers(4)]

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain((30, 30, 32)), ID["bicycle"])
        for wheel in wheels:
            canvas.paint(wheel.grown(-0.06), materials.plain((120, 118, 112)), opacity=0.7)
        canvas.paint(frame, materials.plain(colour))
        canvas.paint(bar, materials.plain((60, 60, 64)))
        canvas.paint(saddle, materials.plain((20, 20, 20)))

    return Thing(0.8, outline, paint)


def marker(at: Point, angle: float) -> Thing:
    """Return a ground control target: a black and white checkerboard."""
    side = 0.9
    outline = box(at, side, side, angle)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain((244, 244, 244)), ID["ar-marker"])
        for along, across in ((0.2, 0.2), (-0.2, -0.2)):
            dy, dx = turn((along, across), angle)
            canvas.paint(box((at[0] + dy, at[1] + dx), 0.38, 0.38, angle), materials.plain((16, 16, 18)))

    return Thing(0.07, outline, paint, shadow=False)


def obstacle(at: Point, angle: float, random: Random) -> Thing:
    """Return a crate, a bench or a bin."""
    length, width = ((1.2, 1.0), (1.9, 0.7), (0.8, 0.8))[random.integers(3)]
    outline = box(at, length, width, angle, corner=0.06)
    colour = np.asarray(_OBSTACLES[random.integers(len(_OBSTACLES))], np.float32)
    slats = materials.striped(materials.plain(colour), at, angle + math.pi / 2, pitch_m=0.24, line_m=0.06, change=-60)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain(colour * 0.6), ID["obstacle"])
        canvas.paint(outline.grown(-0.07), slats)

    return Thing(0.9, outline, paint)


def fence(at: Point, length: float, angle: float, random: Random) -> list[Thing]:
    """Return a wooden fence, leaning in the picture, and its poles."""
    outline = box(at, length, 0.4, angle)
    wood = materials.plain(shade_between((150, 120, 84), (188, 160, 122), random), grain=5)
    planks = materials.striped(wood, at, angle, pitch_m=0.22, line_m=0.06, change=-55)
    things = [Thing(1.0, outline, lambda canvas: canvas.paint(outline, planks, ID["fence"]))]
    count = max(round(length / 2.4), 1)
    for step in range(count + 1):
        dy, dx = turn((length * (step / count - 0.5), 0), angle)
        things.append(_pole((at[0] + dy, at[1] + dx), angle))
    return things


def _pole(at: Point, angle: float) -> Thing:
    outline = box(at, 0.5, 0.5, angle, corner=0.05)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain((74, 58, 46)), ID["fence-pole"])
        canvas.paint(outline.grown(-0.1), materials.plain((226, 222, 212)))

    return Thing(1.1, outline, paint)


def wall(at: Point, length: float, angle: float, random: Random) -> Thing:
    """Return a garden wall of stone."""
    outline = box(at, length, 0.6, angle)
    stone = materials.speckled(shade_between((170, 160, 146), (196, 186, 170), random), grain=8, clumps=6, clouds=0)
    courses = materials.striped(stone, at, angle, pitch_m=0.6, line_m=0.06, change=-60)
    return Thing(1.2, outline, lambda canvas: canvas.paint(outline, courses, ID["wall"]))


def house(at: Point, sides_m: tuple[float, float], angle: float, random: Random) -> list[Thing]:
    """Return a house with a gabled roof; the facade towards the road shows, with its door and windows.

    `sides_m` is (length along the road, width), metres.
    """
    length, width = sides_m
    facade_m = 1.1

    at_local = placer(at, angle)

    roof = box(at, length, width, angle)
    halves = [box(at_local(0, side * width / 4), length, width / 2, angle) for side in (-1, 1)]
    facade = box(at_local(0, width / 2 + facade_m / 2), length - 0.6, facade_m, angle)
    colour = np.asarray(_ROOFS[random.integers(len(_ROOFS))], np.float32) + random.normal(0, 5, 3)
    plaster = materials.speckled(shade_between((196, 186, 166), (236, 228, 212), random), grain=3, clumps=3, clouds=2)

    def paint_roof(canvas: Canvas) -> None:
        canvas.paint(roof, materials.plain(colour), ID["roof"])
        for half, light in zip(halves, (1.12, 0.84), strict=True):
            tiles = materials.speckled(colour * light, grain=7, clumps=4, clouds=4)
            rows = materials.striped(tiles, at, angle + math.pi / 2, pitch_m=0.36, line_m=0.08, change=-22)
            canvas.paint(half, materials.striped(rows, at, angle, pitch_m=0.3, line_m=0.05, change=-10))
        canvas.paint(box(at, length, 0.22, angle), materials.plain(colour * 0.7))
        chimney = box(at_local(length * 0.28, -width * 0.18), 0.8, 0.7, angle)
        canvas.paint(chimney, materials.plain((132, 70, 56), grain=8))
        canvas.paint(chimney.grown(-0.2), materials.plain((30, 26, 24)))

    things = [
        Thing(4.0, facade, lambda canvas: canvas.paint(facade, plaster, ID["wall"]), shadow=False),
        Thing(5.0, roof, paint_roof),
    ]
    row = width / 2 + facade_m / 2
    door_at = random.uniform(-0.2, 0.2) * length
    things.append(_opening("door", at_local(door_at, row + 0.05), 1.2, 0.95, angle, _DOORS[random.integers(3)], 4.1))
    for along in np.arange(-length / 2 + 1.5, length / 2 - 1.2, 2.3):
        if abs(along - door_at) > 1.6:
            things.append(_opening("window", at_local(along, row), 1.4, 0.75, angle, (64, 84, 112), 4.1))
    for along in random.uniform(-0.35, 0.12, int(random.integers(0, 4))):
        skylight = at_local(along * length, random.choice((-1, 1)) * width * 0.26)
        things.append(_opening("window", skylight, 1.0, 1.3, angle, (64, 84, 112), 5.1))
    return things


def _opening(
    name: str, at: Point, length: float, width: float, angle: float, colour: materials.Colour, height: float
) -> Thing:
    outline = box(at, length, width, angle)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.plain((238, 238, 234)), ID[name])
        canvas.paint(outline.grown(-0.09), materials.plain(colour, grain=5))

    return Thing(height, outline, paint, shadow=False)
