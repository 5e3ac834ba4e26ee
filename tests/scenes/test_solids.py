"""What stands in a varied scene: it leans away from the camera, and its shadow away from the sun."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tiler.scenes import clutter, fences, furniture, houses, materials, people, seats, site, tools, vehicles
from tiler.scenes.canvas import Canvas
from tiler.scenes.eye import Eye, Light
from tiler.scenes.shapes import Point, box
from tiler.scenes.solids import Rod, block, solid
from tiler.scenes.thing import ID, Random, Thing

GSD = 0.02
SIDE = 400
MIDDLE = SIDE * GSD / 2
WALL = ID["wall"]


def ground(*, eye: Eye | None = None, light: Light | None = None) -> Canvas:
    canvas = Canvas((SIDE, SIDE), gsd_m=GSD, shift=(3, 5))
    canvas.shaded = np.zeros((SIDE, SIDE), np.uint8)
    canvas.eye, canvas.light = eye or Eye(), light or Light(shadow=1.0)
    canvas.paint(box((MIDDLE, MIDDLE), 99, 99), materials.plain((120, 120, 120), grain=0), ID["grass"])
    return canvas


def a_block(canvas: Canvas, *, high: float) -> Canvas:
    parts = list(block((MIDDLE, MIDDLE), 2, 1, 0, 0, high, (200, 200, 200), WALL, grain=0))
    solid((MIDDLE, MIDDLE), 2, high, lambda eye: parts).paint(canvas)
    return canvas


def extent(canvas: Canvas, label: int) -> tuple[float, float, float, float]:
    rows, cols = np.nonzero(canvas.labels == label)
    return rows.min() * GSD, (rows.max() + 1) * GSD, cols.min() * GSD, (cols.max() + 1) * GSD


def test_infinitely_high_the_camera_sees_everything_from_straight_above() -> None:
    canvas = a_block(ground(), high=3)
    assert extent(canvas, WALL) == pytest.approx((3.5, 4.5, 3.0, 5.0), abs=GSD)


def test_what_is_tall_leans_away_from_the_point_below_the_camera() -> None:
    """A point at a height z is seen farther out by H / (H - z), as in every picture of a pinhole camera."""
    canvas = a_block(ground(eye=Eye((MIDDLE, 0.0), 8.0)), high=2)
    top, bottom, left, right = extent(canvas, WALL)
    zoom = 8 / (8 - 2)
    assert (left, right) == pytest.approx((3.0, 5 * zoom), abs=GSD)
    assert (top, bottom) == pytest.approx((MIDDLE - 0.5 * zoom, MIDDLE + 0.5 * zoom), abs=GSD)


def test_a_side_in_the_sun_is_bright_and_one_in_the_shade_dark() -> None:
    brightness = []
    for sun in ((0.0, 1.0), (0.0, -1.0)):  # the camera sees the left side; shadows fall to the right, then to the left
        canvas = a_block(ground(eye=Eye((MIDDLE, 0.0), 8.0), light=Light(sun, 0.8, shadow=0.4)), high=2)
        brightness.append(float(canvas.pixels[SIDE // 2, round(3.2 / GSD)].mean()))
    assert brightness[0] > 1.5 * brightness[1]


def test_a_shadow_falls_as_far_as_the_sun_is_low() -> None:
    canvas = ground(light=Light((0.0, 1.0), 1.5, shadow=0.3, blur=0.001))
    pole = Rod((MIDDLE, 2.0, 0.0), (MIDDLE, 2.0, 2.0), 0.1, (200, 200, 200), WALL)
    solid((MIDDLE, 2.0), 0.2, 2, lambda eye: (pole,)).paint(canvas)
    dark = np.flatnonzero(canvas.pixels[SIDE // 2, :, 1] < 60) * GSD
    assert dark.max() == pytest.approx(2.0 + 2 * 1.5 + 0.1, abs=3 * GSD)
    assert (canvas.labels[SIDE // 2, round(3 / GSD) :] == ID["grass"]).all()  # a shadow is no thing


def test_two_shadows_are_as_dark_as_one() -> None:
    once, twice = ground(light=Light(shadow=0.4)), ground(light=Light(shadow=0.4))
    for canvas, count in ((once, 1), (twice, 2)):
        for _ in range(count):
            canvas.shade(box((MIDDLE, MIDDLE), 2, 2), 0.4, soft_m=0.3)
    assert np.abs(once.pixels.astype(int) - twice.pixels.astype(int)).max() <= 1
    assert once.pixels[SIDE // 2, SIDE // 2, 1] == pytest.approx(0.4 * 120, abs=1)


def test_what_is_painted_over_a_shadow_can_be_shaded_again() -> None:
    canvas = ground(light=Light(shadow=0.4))
    square = box((MIDDLE, MIDDLE), 2, 2)
    canvas.shade(square, 0.4)
    canvas.paint(square, materials.plain((200, 200, 200), grain=0), WALL)
    assert canvas.pixels[SIDE // 2, SIDE // 2, 1] == 200
    canvas.shade(square, 0.4)
    assert canvas.pixels[SIDE // 2, SIDE // 2, 1] == pytest.approx(80, abs=1)


Maker = Callable[[Point, float, Random], Thing | list[Thing]]
HOUSE = {"roof", "wall", "window", "door", "obstacle", "gravel", "vegetation"}


def a_house(at: Point, angle: float, random: Random) -> list[Thing]:
    return houses.house(at, (3.0, 2.4), angle, random)


def a_flat_roof(at: Point, angle: float, random: Random) -> list[Thing]:
    return houses.flat_roof(at, (3.0, 2.4), angle, random)


def a_fence(at: Point, angle: float, random: Random) -> list[Thing]:
    return fences.fence(at, 4.0, angle, random)


def a_wall(at: Point, angle: float, random: Random) -> list[Thing]:
    return fences.wall(at, 4.0, angle, random)


def a_kerb(at: Point, angle: float, random: Random) -> Thing:
    return fences.kerb(at, 4.0, angle, random)


MAKERS: list[tuple[Maker, set[str], str]] = [
    (people.person, {"person", "obstacle"}, "person"),
    (people.dog, {"dog"}, "dog"),
    (vehicles.car, {"car"}, "car"),
    (vehicles.bicycle, {"bicycle", "person"}, "bicycle"),
    (vehicles.bicycles, {"bicycle", "person"}, "bicycle"),
    (site.marker, {"ar-marker", "obstacle"}, "ar-marker"),
    (a_fence, {"fence", "fence-pole"}, "fence"),
    (a_wall, {"wall", "fence", "fence-pole"}, "wall"),
    (a_kerb, {"wall"}, "wall"),
    (fences.planter, {"wall", "dirt"}, "wall"),
    (a_house, HOUSE, "roof"),
    (a_flat_roof, HOUSE, "roof"),
    (houses.shed, HOUSE, "roof"),
    (houses.greenhouse, {"obstacle"}, "obstacle"),
    (furniture.obstacle, {"obstacle", "vegetation"}, "obstacle"),
    (furniture.terrace, {"obstacle", "person"}, "obstacle"),
    *[(maker, {"obstacle", "vegetation"}, "obstacle") for maker in (
        seats.table, seats.chair, seats.lounger, seats.bench, furniture.parasol, furniture.sail, clutter.box,
        clutter.pot,
        clutter.cover, clutter.board, clutter.hose, clutter.ball, clutter.post, clutter.goal, clutter.toys,
        tools.tool, site.container, site.pallets, site.playing)],
]  # fmt: skip


@pytest.mark.parametrize(("maker", "may", "must"), MAKERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_thing_is_labelled_as_what_it_is_and_the_same_every_time(maker: Maker, may: set[str], must: str) -> None:
    names = {index: name for name, index in ID.items()}
    seen = set()
    for seed in range(4):
        pictures = []
        for _ in range(2):
            random = np.random.default_rng(seed)
            made = maker((MIDDLE, MIDDLE), 0.4 * seed, random)
            canvas = ground(eye=Eye((MIDDLE - 2, MIDDLE - 2), 7.0), light=Light((0.6, 0.8), 0.7, shadow=0.4))
            for thing in made if isinstance(made, list) else [made]:
                thing.paint(canvas)
            pictures.append(canvas)
        assert np.array_equal(pictures[0].pixels, pictures[1].pixels)
        assert np.array_equal(pictures[0].labels, pictures[1].labels)
        seen |= {names[int(label)] for label in np.unique(pictures[0].labels)} - {"grass"}
    assert must in seen
    assert seen <= may


def test_somebody_far_from_the_camera_is_seen_from_the_side() -> None:
    areas = []
    for far in (0.0, 3.0):
        canvas = ground(eye=Eye((MIDDLE, MIDDLE - far), 7.0))
        people.person((MIDDLE, MIDDLE), math.pi / 2, np.random.default_rng(2)).paint(canvas)
        _, _, left, right = extent(canvas, ID["person"])
        areas.append(right - left)
    assert areas[1] > areas[0] + 0.3
