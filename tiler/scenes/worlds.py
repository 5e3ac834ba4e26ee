"""Scenes of all kinds: gardens, yards, streets, building sites, and open country."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes import fences, flora, gardens, houses, terrain, vehicles
from tiler.scenes.canvas import Material, Patch
from tiler.scenes.country import fields, railway, shore, wood
from tiler.scenes.shapes import Metres, Point, around, blob, box, turn, wave
from tiler.scenes.site import container, pallets
from tiler.scenes.terrain import Area, Site
from tiler.scenes.thing import Layout, Random, Thing, ground, marking, touches

_WIDE_M = 60.0
"""A scene wider than this shows more than one garden."""


def plan_varied(shape_m: tuple[float, float], random: Random, gsd_m: float) -> Layout:
    """Return what stands in a scene of a random kind.

    Parameters
    ----------
    shape_m : tuple of float
        (height, width) of the scene, metres; wide ones hold streets, fields and woods more often.
    random : numpy.random.Generator
        Source of every random choice.
    gsd_m : float
        Ground sample distance, metres per pixel.
    """
    sun = turn((1.0, 0.0), random.uniform(0, 2 * math.pi))
    bare = float(random.choice((0.0, random.uniform(0.1, 0.5), random.uniform(0.6, 1.0)), p=(0.45, 0.2, 0.35)))
    site = Site(shape_m, sun, random, bare, gsd_m)
    kinds = WIDE if max(shape_m) > _WIDE_M else NEAR
    weights = np.array([weight for _, weight in kinds])
    kinds[random.choice(len(kinds), p=weights / weights.sum())][0](site)
    if site.chance(0.35):
        terrain.trees(site, site.view, int(random.integers(1, 5)), sizes=(1.5, 4.0))
    for _ in range(int(random.poisson(1.0))):
        site.add(terrain.phantom(site))
    shown = [thing for thing in site.things if touches(thing, shape_m)]
    return Layout(tuple(sorted(shown, key=lambda thing: thing.height_m)), sun, random.uniform(0.35, 0.8), meadow=False)


def near_garden(site: Site) -> None:
    """Plan a garden as seen from near by."""
    site.lay(
        site.everything, site.surface({"lawn": 0.43, "pavers": 0.26, "asphalt": 0.22, "pebbles": 0.06, "soil": 0.03})
    )
    area = terrain.whole(site)
    size = site.size
    for _ in range(int(site.random.integers(0, 3))):
        _beside(site, size, terrain.PAVED if site.chance(0.7) else SIDES)
    count = min(round(size ** site.random.uniform(0.7, 1.15) * 2 * site.random.uniform(0.5, 1.2)), 80)
    gardens.garden(site, area, count=count)


def yard(site: Site) -> None:
    """Plan a wide paved place: a car park, a square, a road with its edges."""
    random = site.random
    site.lay(site.everything, site.surface(terrain.PAVED))
    area = terrain.whole(site)
    size = site.size
    for _ in range(int(random.integers(0, 4))):  # mended places
        spot = area.part(*random.uniform(-0.5, 0.5, 2) * size, *random.uniform(0.05, 0.5, 2) * size)
        site.lay(spot.outline(), site.surface(terrain.PAVED))
    for _ in range(int(random.integers(0, 4))):
        _beside(site, size, SIDES)
    if site.chance(0.5):
        _bays(site, area)
    if site.chance(0.5):
        gardens.garden(site, area, count=int(random.integers(1, 5)), crowded=0)
    gardens.visitors(site, area, random.uniform(0.3, 1.2))


def _beside(site: Site, size: float, weights: dict[str, float]) -> None:
    """Lay what lies beyond a line through the scene: a bed, a lawn, gravel, with its kerb and plants."""
    random, bearing = site.random, site.any_angle()
    away = random.uniform(0.05, 0.55) * size
    at = site.middle[0] - away * math.cos(bearing), site.middle[1] + away * math.sin(bearing)
    side = wave(at, bearing, random, swing_m=random.choice((0, 0.03, 0.06)) * size, reach_m=size)
    site.lay(side, site.surface(weights))
    terrain.edge(site, side)
    if weights is terrain.PAVED:
        return
    if site.chance(0.6):
        terrain.plant(site, side, int(random.integers(3, 40)), sizes=(0.2, 1.3))
    if site.chance(0.3):
        band = around(side.grown(-random.uniform(0.5, 2)), random.uniform(0.3, 1.2))
        site.add(flora.thicket(band, random.uniform(0.3, 1.4), site.sun, random))
    if site.chance(0.3):
        terrain.trees(site, side, int(random.integers(1, 6)))
    if site.chance(0.3):
        site.add(*fences.fence(at, min(2 * size, 30.0), bearing, random))


def _bays(site: Site, area: Area) -> None:
    """Mark places for cars in a row, some of them taken."""
    random = site.random
    across, turned = random.uniform(-0.2, 0.2) * area.width, area.angle + math.pi / 2
    lines = site.chance(0.6)
    for along in np.arange(-0.4 * area.length, 0.4 * area.length, 2.7):
        if lines:
            site.add(marking(box(area.place(along - 1.35, across), 4.8, 0.12, turned)))
        at = area.place(along, across)
        if site.chance(0.35) and site.free(at, 1.0):
            site.take(at, 2.0)
            site.add(vehicles.car(at, turned + random.choice((0, math.pi)) + random.normal(0, 0.03), random))


def homestead(site: Site) -> None:
    """Plan a house that reaches beyond the picture, and what lies at its foot."""
    random = site.random
    size = site.size
    site.lay(site.everything, site.surface({"asphalt": 0.3, "pavers": 0.25, "lawn": 0.25, "pebbles": 0.2}))
    area = terrain.whole(site)
    for _ in range(int(random.integers(0, 3))):
        _beside(site, size, terrain.PAVED if site.chance(0.4) else SIDES)
    gardens.garden(site, area, count=int(random.integers(0, 6)), crowded=0.6)
    length, width = random.uniform(8, 22), random.uniform(6, 13)
    along = random.uniform(-0.5, 0.5) * min(length, size)
    across = width / 2 + random.uniform(-0.45, 0.35) * size
    site.add(*houses.house(area.place(along, across), (length, width), area.angle, random))


def waterside(site: Site) -> None:
    """Plan water beside a way: its bank of stones and plants, a deck over it."""
    random = site.random
    size = site.size
    site.lay(site.everything, site.surface(terrain.PAVED))
    area = terrain.whole(site)
    for _ in range(int(random.integers(0, 3))):
        _beside(site, size, SIDES)
    at = area.place(0, random.uniform(-0.35, 0.35) * size)
    line = wave(at, area.angle, random, swing_m=random.choice((0, 0.02, 0.06)) * size, reach_m=size)
    water, bank = around(line, random.uniform(0.15, 0.6) * size), random.uniform(0.02, 0.12) * size + 0.2
    site.lay(water.grown(bank), site.surface({"pebbles": 0.55, "stones": 0.3, "soil": 0.15}), ragged_m=0.06)
    site.lay(water, site.ground("water"), ragged_m=random.uniform(0, 0.06))
    ring = around(water, 1.6 * bank)
    terrain.plant(site, ring, int(random.integers(4, 40)), sizes=(0.15, max(bank, 0.3)), kinds=(0.25, 0.25, 0.5))
    if site.chance(0.5):
        deck = area.part(random.uniform(-0.5, 0.5) * size, random.uniform(-0.4, 0.4) * size, *random.uniform(2, 7, 2))
        site.lay(deck.outline(), site.ground("planks", area.angle))
    gardens.visitors(site, area, random.uniform(0.3, 1.0))


def streets(site: Site) -> None:
    """Plan streets with houses and gardens between them."""
    random = site.random
    site.lay(site.everything, site.ground("lawn"))
    area = terrain.whole(site)
    pitch, wide = random.uniform(38, 70), random.uniform(5, 12)
    lot = random.uniform(14, 26)
    road, pavement = site.ground("asphalt"), site.surface({"pavers": 0.5, "concrete": 0.3, "asphalt": 0.2})
    for across in np.arange(-area.width / 2, area.width / 2 + pitch, pitch):
        _road(site, area, across, wide, road, pavement)
        for along in np.arange(-area.length / 2, area.length / 2, lot):
            for side in (-1, 1):
                part = area.part(along, across + side * (wide / 2 + 1.5 + pitch / 4), lot, pitch / 2 - 3)
                if _near(part, site.shape_m):
                    _lot(site, part)


def _near(area: Area, shape_m: tuple[float, float]) -> bool:
    reach = 0.7 * max(area.length, area.width)
    return all(-reach < middle < length + reach for middle, length in zip(area.at, shape_m, strict=True))


def _road(
    site: Site, area: Area, across: float, wide: float, road: tuple[Material, str], pavement: tuple[Material, str]
) -> None:
    random = site.random
    site.lay(area.part(0, across, 2 * area.length, wide + 3).outline(), pavement)
    site.lay(area.part(0, across, 2 * area.length, wide + 0.3).outline(), site.ground("rim"))
    site.lay(area.part(0, across, 2 * area.length, wide).outline(), road)
    for along in np.arange(-area.length / 2, area.length / 2, 6.0):
        site.add(marking(area.part(along, across, 3.0, 0.14).outline()))
        if site.chance(0.3):
            at = area.place(along + random.uniform(-1, 1), across + random.choice((-1, 1)) * (wide / 2 - 1.2))
            site.add(vehicles.car(at, area.angle + random.normal(0, 0.03), random))
    gardens.visitors(site, area.part(0, across, min(area.length, 60.0), wide + 3), 0.6)


def _lot(site: Site, area: Area) -> None:
    random = site.random
    if site.chance(0.6):
        site.lay(area.outline(), site.surface({"lawn": 0.6, "pebbles": 0.1, "pavers": 0.15, "soil": 0.15}))
    gardens.garden(site, area, count=int(random.integers(2, 7)) if site.gsd_m < 0.1 else 2, crowded=0.4)
    if site.chance(0.8):
        at = area.place(random.uniform(-2, 2), random.uniform(-3, 3))
        sides = random.uniform(8, 0.75 * area.length), random.uniform(6, 10)
        site.add(*houses.house(at, sides, area.angle + random.choice((0, math.pi)), random))
    terrain.trees(site, area.outline(), int(random.integers(0, 4)))


def building_site(site: Site) -> None:
    """Plan a building site: bare earth, heaps, tracks of wheels, walls."""
    random = site.random
    site.lay(site.everything, site.surface({"soil": 0.6, "pebbles": 0.2, "sand": 0.2}))
    area = terrain.whole(site)
    size = site.size
    for at in site.spots(site.everything, 0.06 * size + 0.6, int(random.integers(2, 9))):
        site.add(heap(site, at, (0.06 * size + 0.6) * random.uniform(0.6, 1.5)))
    for _ in range(int(random.integers(0, 4))):
        at = area.place(*random.uniform(-0.4, 0.4, 2) * size)
        site.add(*fences.wall(at, random.uniform(2, 8), area.angle, random))
    for at in site.spots(site.everything, 1.5, int(random.integers(0, 5))):
        site.add((container if site.chance(0.4) else pallets)(at, site.any_angle(), random))
    gardens.garden(site, area, count=int(random.integers(0, 4)), crowded=2)


def heap(site: Site, at: Point, radius: float) -> Thing:
    """Return a heap of earth, sand or gravel, lit from one side."""
    material, name = site.surface({"soil": 0.5, "sand": 0.2, "pebbles": 0.3})
    outline = blob(at, radius, site.random, rough=0.12)
    sun = site.sun

    def domed(patch: Patch) -> Metres:
        side = (patch.y - at[0]) * np.float32(sun[0] / radius) + (patch.x - at[1]) * np.float32(sun[1] / radius)
        lit: Metres = material(patch) * (1 - 0.35 * np.clip(side, -1, 1))[..., np.newaxis]
        return lit

    made = ground(0.3, outline, domed, name, ragged_m=0.06)
    return Thing(0.5 * radius, outline, made.paint)


SIDES = {"lawn": 0.42, "pebbles": 0.28, "mulch": 0.12, "soil": 0.06, "pavers": 0.12}
"""What lies beside paved ground, each with its weight."""
NEAR: tuple[tuple[Callable[[Site], None], float], ...] = (
    (near_garden, 0.4), (yard, 0.22), (homestead, 0.18), (waterside, 0.08), (shore, 0.04), (fields, 0.03), (wood, 0.02),
    (railway, 0.01), (building_site, 0.02),
)  # fmt: skip
WIDE: tuple[tuple[Callable[[Site], None], float], ...] = (
    (streets, 0.4), (near_garden, 0.1), (yard, 0.1), (fields, 0.16), (wood, 0.1), (shore, 0.08), (railway, 0.03),
    (building_site, 0.03),
)  # fmt: skip
