"""Gardens, terraces and parks: lawns, beds, ponds, pools and paths beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes import fences, flora, furniture, houses, people, terrain, vehicles
from tiler.scenes.shapes import Point, Shape, around, blob, both, box, wave
from tiler.scenes.site import marker, playing
from tiler.scenes.terrain import Area, Site
from tiler.scenes.thing import marking


def garden(site: Site, area: Area, *, count: int, crowded: float = 1.0) -> None:
    """Fill an area with so many zones, and with visitors.

    Parameters
    ----------
    site : Site
        Where it is placed.
    area : Area
        Which part of it.
    count : int
        How many zones.
    crowded : float
        How many visitors, 1 for as many as usual.
    """
    random = site.random
    weights = np.array([weight for _, weight in ZONES])
    side = math.sqrt(area.length * area.width / max(count, 1))
    columns = max(round(area.length / side), 1)
    rows = max(math.ceil(count / columns), 1)
    for place in random.permutation(columns * rows)[:count]:
        row, column = divmod(int(place), columns)
        along = ((column + random.uniform(0.2, 0.8)) / columns - 0.5) * area.length
        across = ((row + random.uniform(0.2, 0.8)) / rows - 0.5) * area.width
        length, width = side * random.uniform(0.5, 1.5, 2)
        kind = ZONES[random.choice(len(ZONES), p=weights / weights.sum())][0]
        kind(site, area.part(along, across, length, width))
    visitors(site, area, crowded)


def visitors(site: Site, area: Area, crowded: float) -> None:
    """Place people in groups, dogs, bicycles, markers and furniture."""
    random = site.random
    share = crowded * min((area.length * area.width / 150) ** 0.6, 6)
    if site.gsd_m > 0.15:
        share *= 0.3
    whole = area.outline()
    makers = ((people.dog, 0.2), (furniture.obstacle, 2.4), (marker, 0.6), (playing, 0.05))
    for maker, often in makers:
        for at in site.spots(whole, 0.5, int(random.poisson(often * share))):
            site.add(maker(at, site.any_angle(), random))
    for at in site.spots(whole, 0.9, int(random.poisson(0.6 * share))):
        site.add(*vehicles.bicycles(at, site.any_angle(), random))
    for at in site.spots(whole, 1.0, int(random.poisson(2.0 * share))):
        group(site, at)


def group(site: Site, at: Point) -> None:
    """Place people who stand or walk together."""
    for _ in range(int(site.random.choice((1, 1, 2, 2, 3, 5)))):
        dy, dx = site.random.normal(0, 0.8, 2)
        place = (at[0] + float(dy), at[1] + float(dx))
        site.add(people.person(place, site.any_angle(), site.random))


def lawn(site: Site, area: Area) -> None:
    """Lay a lawn, perhaps with molehills, slabs or trees."""
    shape = terrain.any_outline(site, area)
    site.lay(shape, site.ground("lawn"), ragged_m=site.random.uniform(0, 0.06))
    terrain.edge(site, shape)
    if site.chance(0.2):
        molehills(site, shape)
    if site.chance(0.25):
        stepping_stones(site, shape)
    if site.chance(0.5):
        terrain.trees(site, shape, int(site.random.integers(1, 3)))
    if site.chance(0.25):
        enclose(site, area)


def enclose(site: Site, area: Area) -> None:
    """Place a fence or a wall on some sides of an area."""
    maker = fences.fence if site.chance(0.6) else fences.wall
    for along, across, length, turned in (
        (0.0, 0.5, area.length, 0.0), (0.0, -0.5, area.length, 0.0), (0.5, 0.0, area.width, math.pi / 2),
    ):  # fmt: skip
        if site.chance(0.5):
            at = area.place(along * area.length, across * area.width)
            site.add(*maker(at, length, area.angle + turned, site.random))


def molehills(site: Site, shape: Shape) -> None:
    """Lay heaps of earth."""
    surface = site.ground("soil")
    radius = site.random.uniform(0.08, 0.3)
    for at in site.spots(shape, radius, int(site.random.integers(3, 30))):
        site.lay(blob(at, radius * site.random.uniform(0.6, 1.3), site.random, rough=0.12), surface, ragged_m=0.02)


def stepping_stones(site: Site, shape: Shape) -> None:
    """Lay slabs one after the other."""
    surface, angle = site.ground("pavers"), site.any_angle()
    size = site.random.uniform(0.25, 0.6)
    for at in site.spots(shape, size, int(site.random.integers(1, 6))):
        site.lay(box(at, size * 1.3, size, angle), surface)


def terrace(site: Site, area: Area) -> None:
    """Lay a terrace or a deck, with furniture."""
    shape = terrain.any_outline(site, area)
    site.lay(
        shape, site.ground(("pavers", "planks", "concrete")[site.random.choice(3, p=(0.6, 0.28, 0.12))], area.angle)
    )
    if site.chance(0.5):
        terrain.edge(site, shape)
    if site.chance(0.5) and min(area.length, area.width) > 2:
        site.add(*furniture.terrace(area.at, area.angle, site.random))
        site.take(area.at, 1.2)
    for at in site.spots(shape, 0.6, int(site.random.integers(0, 4))):
        site.add(furniture.obstacle(at, area.angle, site.random))


def bed(site: Site, area: Area) -> None:
    """Lay a bed, thinly or densely planted."""
    shape = terrain.any_outline(site, area)
    site.lay(shape, site.surface(terrain.BEDS), ragged_m=site.random.uniform(0, 0.04))
    terrain.edge(site, shape)
    if site.chance(0.35):
        cover = blob(area.at, 0.45 * min(area.length, area.width), site.random, rough=0.2)
        site.add(flora.thicket(both(cover, shape), 0.15, site.sun, site.random))
    largest = min(0.35 * min(area.length, area.width), 1.6)
    density = site.random.uniform(0.2, 1.6) / largest**2
    count = min(int(area.length * area.width * density), 60)
    terrain.plant(site, shape, count, sizes=(min(0.12, 0.5 * largest), largest))


def rockery(site: Site, area: Area) -> None:
    """Lay stones of all sizes."""
    shape = terrain.any_outline(site, area)
    site.lay(shape, site.surface({"stones": 0.2, "pebbles": 0.5, "soil": 0.3}), ragged_m=0.05)
    largest = min(0.3 * min(area.length, area.width), 1.2)
    terrain.plant(
        site, shape, int(site.random.integers(4, 20)), sizes=(0.4 * largest, largest), kinds=(0.25, 0.15, 0.6)
    )


def pond(site: Site, area: Area) -> None:
    """Lay a pond with its shore, stones, reeds and leaves that float."""
    random = site.random
    radius = 0.5 * min(area.length, area.width) * random.uniform(0.8, 1.3)
    water = blob(area.at, radius, random, rough=random.uniform(0.04, 0.2)) if site.chance(0.7) else area.outline()
    shore = random.uniform(0.1, 0.35) * radius
    site.lay(
        water.grown(shore), site.surface({"pebbles": 0.5, "stones": 0.3, "soil": 0.1, "pavers": 0.1}), ragged_m=0.04
    )
    site.lay(water, site.ground("water"), ragged_m=random.uniform(0, 0.05))
    ring = around(water, 1.6 * shore)
    terrain.plant(
        site, ring, int(random.integers(3, 24)), sizes=(0.15, max(0.4 * radius, 0.2)), kinds=(0.25, 0.3, 0.45)
    )
    if site.chance(0.4):
        leaves = blob(area.at, 0.5 * radius, random, rough=0.35)
        site.lay(both(leaves, water), site.ground("lily"), ragged_m=random.uniform(0.05, 0.2))
    site.take(area.at, 0.7 * radius)


def pool(site: Site, area: Area) -> None:
    """Lay a swimming pool with its rim."""
    random = site.random
    wide = min(area.width, 6.0)
    basin = area.part(0, 0, max(min(area.length, 11.0), wide), wide).outline(
        corner=random.choice((0.0, 0.4, 0.49)) * wide
    )
    site.lay(basin.grown(random.uniform(0.5, 2.0)), site.ground("pavers", area.angle))
    if site.chance(0.7):
        site.lay(basin.grown(random.uniform(0.1, 0.4)), (site.ground("concrete")[0], "pool"))
    inner = basin.grown(-random.uniform(0.0, 0.3))
    site.lay(inner, site.ground("pool"))
    if site.chance(0.3):  # nobody swims there: what rain and wind left on the cover or the floor
        site.lay(basin.grown(-random.uniform(0.3, 0.8)), site.ground("water"))
    site.take(area.at, 0.6 * wide)


def path(site: Site, area: Area) -> None:
    """Lay a path that winds through the area and beyond."""
    random = site.random
    line = wave(
        area.at, site.any_angle(), random, swing_m=random.uniform(0, 0.15) * area.length, reach_m=1.2 * area.length
    )
    width = random.uniform(0.6, 2.6)
    band = around(line, width)
    surface = site.surface({"pavers": 0.5, "asphalt": 0.2, "pebbles": 0.15, "planks": 0.07, "soil": 0.08})
    if site.chance(0.4):
        site.lay(around(line, width + random.uniform(0.1, 0.5)), site.ground("rim" if site.chance(0.6) else "pebbles"))
    site.lay(band, surface)


def drive(site: Site, area: Area) -> None:
    """Lay asphalt or pavers on which cars stand."""
    shape = area.outline()
    site.lay(shape, site.surface({"asphalt": 0.6, "pavers": 0.3, "pebbles": 0.1}))
    if site.chance(0.6):
        terrain.edge(site, shape)
    if min(area.length, area.width) > 3.2:
        for at in site.spots(shape, 1.8, int(site.random.integers(0, 3))):
            site.add(vehicles.car(at, area.angle + site.random.choice((0, math.pi)), site.random))


def building(site: Site, area: Area) -> None:
    """Place a house, seen whole or in part."""
    if min(site.shape_m) < 6:
        return
    turned = area.angle + site.random.choice((0, math.pi / 2, math.pi))
    kind = site.random.random()
    if kind < 0.2:
        site.add(*(houses.shed if kind < 0.12 else houses.greenhouse)(area.at, turned, site.random))
        site.take(area.at, 1.5)
        return
    most = 0.6 * min(site.shape_m)
    sides = min(float(np.clip(area.length, 5, 15)), most), min(float(np.clip(area.width, 4, 10)), most)
    site.add(*(houses.flat_roof if kind < 0.35 else houses.house)(area.at, sides, turned, site.random))
    site.take(area.at, 0.5 * max(sides))


def hedge(site: Site, area: Area) -> None:
    """Place a hedge, a fence or a wall."""
    random, turned = site.random, area.angle + site.random.choice((0, math.pi / 2))
    length = random.uniform(1, 2.5) * max(area.length, area.width)
    kind = random.random()
    if kind < 0.25:
        shape = box(area.at, length, random.uniform(0.4, 1.3), turned, corner=0.15)
        site.add(flora.thicket(shape, random.uniform(0.6, 2.0), site.sun, random))
    elif kind < 0.75:
        site.add(*fences.fence(area.at, length, turned, random))
    else:
        site.add(*fences.wall(area.at, length, turned, random))


def grove(site: Site, area: Area) -> None:
    """Place trees on what is there."""
    terrain.trees(site, area.outline(), int(site.random.integers(1, 4)), sizes=(0.6, min(0.5 * area.length + 0.6, 4.0)))


def court(site: Site, area: Area) -> None:
    """Lay a playing ground with lines."""
    shape = area.outline()
    site.lay(shape, site.surface({"asphalt": 0.5, "concrete": 0.2, "lawn": 0.2, "soil": 0.1}))
    site.add(marking(around(box(area.at, 0.85 * area.length, 0.85 * area.width, area.angle), 0.1)))
    site.add(marking(box(area.at, 0.1, 0.85 * area.width, area.angle)))


def planters(site: Site, area: Area) -> None:
    """Place tubs with plants."""
    for at in site.spots(area.outline(), 0.7, int(site.random.integers(1, 4))):
        site.add(*fences.planter(at, area.angle, site.random))


ZONES: tuple[tuple[Callable[[Site, Area], None], float], ...] = (
    (lawn, 0.19), (terrace, 0.19), (bed, 0.24), (rockery, 0.03), (pond, 0.05), (pool, 0.035), (path, 0.09),
    (drive, 0.08), (building, 0.15), (hedge, 0.12), (grove, 0.12), (court, 0.02),
    (planters, 0.05),
)  # fmt: skip
"""What a garden is made of, each with its weight."""
