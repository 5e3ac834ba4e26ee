"""Open country: fields, woods, shores and railways."""

from __future__ import annotations

import math

import numpy as np

from tiler.scenes import flora, gardens, soils, terrain
from tiler.scenes.shapes import Point, around, blob, wave
from tiler.scenes.terrain import Area, Site


def fields(site: Site) -> None:
    """Plan farmland: strips of fields and meadows, tracks, hedges and rows of trees."""
    random = site.random
    site.lay(site.everything, site.ground("lawn"))
    area = terrain.whole(site)
    across = -area.width / 2
    while across < area.width / 2:
        wide = area.width * random.uniform(0.12, 0.7)
        strip = area.part(0, across + wide / 2, 2 * area.length, wide)
        surface = soils.field(random, area.angle) if site.chance(0.65) else site.surface({"lawn": 0.8, "soil": 0.2})
        site.lay(strip.outline(), surface, ragged_m=0.1)
        _lane(site, area, across)
        across += wide
    if site.chance(0.5):
        terrain.trees(site, site.everything, int(random.integers(1, 12)), sizes=(1.0, 5.0))
    gardens.visitors(site, area, random.uniform(0.0, 0.4))


def _lane(site: Site, area: Area, across: float) -> None:
    """Lay what parts two fields: a track, a hedge, a ditch, or nothing."""
    random, kind = site.random, site.random.random()
    line = area.part(0, across, 2 * area.length, random.uniform(0.8, 3.5)).outline()
    if kind < 0.3:
        site.lay(line, site.surface({"soil": 0.4, "pebbles": 0.3, "asphalt": 0.3}), ragged_m=0.08)
    elif kind < 0.5:
        site.add(flora.thicket(line, random.uniform(1, 2.5), site.sun, random))
    elif kind < 0.6:
        site.lay(line, site.ground("water"), ragged_m=0.1)
    elif kind < 0.75:
        for along in np.arange(-area.length / 2, area.length / 2, random.uniform(4, 12)):
            site.add(terrain.tree(site, area.place(along, across), random.uniform(1.0, 3.5)))


def wood(site: Site) -> None:
    """Plan a wood from above, with clearings and a track."""
    random = site.random
    site.lay(site.everything, site.surface({"soil": 0.3, "mulch": 0.25, "lawn": 0.45}))
    area = terrain.whole(site)
    gap = site.shape_m[0] * random.uniform(0.1, 0.35) if site.chance(0.7) else 0.0
    clearing = blob(area.place(*random.uniform(-0.3, 0.3, 2) * site.shape_m[0]), max(gap, 0.1), random, rough=0.2)
    site.lay(clearing, site.surface({"lawn": 0.6, "soil": 0.4}), ragged_m=0.2)
    track = around(wave(area.at, site.any_angle(), random, swing_m=2, reach_m=area.length), random.uniform(1.5, 4))
    if site.chance(0.5):
        site.lay(track, site.surface({"soil": 0.4, "pebbles": 0.3, "asphalt": 0.3}), ragged_m=0.08)
    mean = max(random.uniform(1.0, 3.2), math.sqrt(site.shape_m[0] * site.shape_m[1] / 700))
    needles, density = random.choice((0.05, 0.5, 0.95)), random.uniform(1.0, 1.9)
    for at in _grid(site, mean * density):
        if not terrain.inside(clearing, at, -mean) and not terrain.inside(track, at, -0.5 * mean):
            radius = mean * random.uniform(0.6, 1.3)
            if site.chance(site.bare):
                site.add(flora.bare_tree(at, radius, site.sun, random))
            else:
                site.add((flora.conifer if site.chance(needles) else flora.broadleaf)(at, radius, site.sun, random))
    terrain.plant(site, clearing, int(random.integers(0, 12)), sizes=(0.3, 1.2))
    gardens.visitors(site, area, 0.3)


def _grid(site: Site, pitch: float) -> list[Point]:
    """Return places about so far apart, over the scene and a little beyond."""
    rows, cols = (np.arange(-pitch, length + pitch, pitch) for length in site.shape_m)
    return [
        (float(y + site.random.uniform(-0.4, 0.4) * pitch), float(x + site.random.uniform(-0.4, 0.4) * pitch))
        for y in rows
        for x in cols
    ]


def shore(site: Site) -> None:
    """Plan a shore: a lake, a river or a canal, its banks with stones and reeds."""
    random = site.random
    size = site.size
    site.lay(site.everything, site.surface({"lawn": 0.6, "sand": 0.12, "pebbles": 0.28}))
    at = site.shape_m[0] * random.uniform(0.2, 0.8), site.shape_m[1] * random.uniform(0.2, 0.8)
    side = wave(at, site.any_angle(), random, swing_m=random.uniform(0, 0.06) * size, reach_m=size)
    water = side if site.chance(0.5) else around(side, random.uniform(0.15, 0.6) * size)
    for kind in random.permutation(["pebbles", "stones", "sand", "soil", "planks"])[: int(random.integers(0, 3))]:
        site.lay(water.grown(random.uniform(0.3, 0.1 * size + 0.5)), site.ground(str(kind)), ragged_m=0.08)
    site.lay(water, site.ground("water"), ragged_m=random.uniform(0, 0.08))
    bank = around(water, random.uniform(0.8, 3.0))
    terrain.plant(site, bank, int(random.integers(0, 40)), sizes=(0.2, 1.2), kinds=(0.3, 0.35, 0.35))
    gardens.visitors(site, terrain.whole(site), 0.4)


def railway(site: Site) -> None:
    """Plan tracks on ballast beside what lies there."""
    random = site.random
    site.lay(site.everything, site.surface({"lawn": 0.5, "soil": 0.3, "pebbles": 0.2}))
    area = terrain.whole(site)
    gardens.garden(site, area, count=int(random.integers(1, 5)), crowded=0.3)
    for track in range(int(random.integers(1, 4))):
        _track(site, area.part(0, 4.2 * track - 3, area.length, 4.0))


def _track(site: Site, area: Area) -> None:
    random = site.random
    site.lay(
        area.outline(), (soils.pebbles(random, site.sun, size_m=random.uniform(0.03, 0.07)), "gravel"), ragged_m=0.08
    )
    wood_of = site.ground("planks" if site.chance(0.5) else "concrete", area.angle)[0]
    for along in np.arange(-area.length / 2, area.length / 2, 0.62):
        site.lay(area.part(along, 0, 0.25, 2.5).outline(), (wood_of, "gravel"))
    for across in (-0.72, 0.72):
        site.lay(area.part(0, across, area.length, 0.08).outline(), (site.ground("concrete")[0], "gravel"))
