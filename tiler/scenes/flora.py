"""Trees, shrubs and what else grows, in leaf or bare, each with the light of the sun on it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tiler.scenes.canvas import Canvas, Material, Patch, moved
from tiler.scenes.noise import by_chance
from tiler.scenes.shapes import Metres, Point, Shape, blob, box, radial, turn
from tiler.scenes.thing import ID, Random, Thing
from tiler.scenes.tones import Colour, clipped, mixed, pick, ramp, toned

_LEAVES = (
    (62, 92, 30), (44, 70, 28), (84, 112, 40), (104, 130, 50), (36, 58, 30), (74, 88, 48), (120, 136, 60), (58, 78, 62),
    (70, 72, 44), (92, 88, 56), (50, 54, 42),
)  # fmt: skip
_AUTUMN = ((170, 120, 40), (150, 80, 34), (110, 44, 40), (186, 150, 60), (94, 40, 48))
_NEEDLES = ((30, 50, 34), (44, 66, 40), (58, 82, 70), (70, 92, 84), (48, 62, 34), (80, 88, 50))
_BARK = ((110, 94, 78), (84, 70, 58), (136, 124, 112), (66, 56, 50), (150, 142, 134), (96, 78, 56))
_TRUNK = np.array((80, 66, 54), np.float32)
_GRASSES = ((120, 128, 60), (150, 140, 90), (92, 112, 60), (164, 154, 110), (70, 96, 50), (140, 150, 130))
_BLOSSOMS = ((226, 200, 60), (200, 90, 150), (236, 232, 226), (160, 110, 190), (210, 80, 60), (230, 150, 60))


def leaf_colour(random: Random, *, autumn: float = 0.12) -> Metres:
    """Return the colour of leaves, now and then red or yellow."""
    return pick(_AUTUMN if random.random() < autumn else _LEAVES, random, spread=8)


def leaves(
    colour: Colour, at: Point, radius: float, sun: Point, random: Random, *, clump_m: float, leaf_m: float
) -> Material:
    """Return a crown: leaves in clumps that shade each other, on a dome that the sun lights from one side."""
    base = np.asarray(colour, np.float32)
    bright = np.minimum(base * random.uniform(1.4, 2.3) + (36, 38, 8), 250)
    table = ramp([base * 0.14, base * random.uniform(0.4, 0.65), base * random.uniform(1, 1.3), bright])
    turned = random.uniform(0, math.pi)
    sine, cosine = math.sin(turned), math.cos(turned)
    toward_y, toward_x = sun[0] * cosine - sun[1] * sine, sun[1] * cosine + sun[0] * sine
    dome, relief, gaps = random.uniform(0.25, 1.0), random.uniform(0.8, 2.0), random.uniform(0.4, 1.3)
    scatter, dots = random.uniform(0.6, 1.4), random.random() < 0.12
    petals = pick(_BLOSSOMS, random)

    def material(patch: Patch) -> Metres:
        side = (patch.y - at[0]) * np.float32(sun[0] / radius) + (patch.x - at[1]) * np.float32(sun[1] / radius)
        clumps = patch.cells(clump_m, turned)
        level: Metres = np.float32(-dome) * np.clip(side, -1.2, 1.2)
        level = level - (clumps.down * np.float32(toward_y) + clumps.right * np.float32(toward_x)) * np.float32(relief)
        level -= np.clip(1 - clumps.edge * 5, 0, 1) * np.float32(gaps)
        single = patch.cells(leaf_m, turned + 0.5)
        seen = np.float32(patch.sharpness(leaf_m))
        level += scatter * seen * (by_chance(single.index) - np.clip(1.2 - 5 * single.edge, 0, 1))
        level += 0.35 * patch.texture(0.6 * clump_m, salt=2) + 0.4
        colours = toned(table, level)
        if dots:
            colours = mixed(colours, petals, (by_chance(single.index, 2) > 1.3) * (level > 0) * seen)
        return colours

    return material


def _crown(at: Point, height_m: float, outline: Shape, material: Material, name: str, ragged_m: float) -> Thing:
    """Return a crown on a trunk: seen from near by, it leans away from the camera."""

    def paint(canvas: Canvas) -> None:
        seen = canvas.eye.lift((*at, 0.6 * height_m))
        dy, dx = seen[0] - at[0], seen[1] - at[1]
        if math.hypot(dy, dx) > 0.4 * outline.reach_m:
            canvas.paint(
                _stick(at, seen, 0.06 * outline.reach_m + 0.06), _bark(np.array((80, 66, 54), np.float32)), ID[name]
            )
        canvas.paint(outline.moved(dy, dx), moved(material, dy, dx), ID[name], ragged_m=ragged_m)

    return Thing(height_m, outline, paint, lift_m=0.35 * height_m)


def broadleaf(at: Point, radius: float, sun: Point, random: Random, *, name: str = "tree") -> Thing:
    """Return a tree in leaf: a crown of clumps, lit from one side."""
    outline = blob(at, 0.92 * radius, random, rough=random.uniform(0.06, 0.16))
    clump_m, leaf_m = 0.1 + random.uniform(0.12, 0.45) * min(radius, 2), random.uniform(0.04, 0.14)
    leafy = leaves(leaf_colour(random), at, radius, sun, random, clump_m=clump_m, leaf_m=leaf_m)
    ragged = min(random.uniform(0.04, 0.14), 0.06 * radius)
    return _crown(at, radius * random.uniform(1.2, 2.4), outline, leafy, name, ragged)


def conifer(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a spruce or a pine: branches like the spokes of a wheel, its tip the brightest."""
    outline = radial(at, _spokes(radius, random, count=int(random.integers(12, 26)), depth=random.uniform(0.15, 0.4)))
    base = pick(_NEEDLES, random, spread=6)
    table = ramp([base * 0.15, base * 0.6, base * 1.1, base * 1.8 + 20])
    spokes, needle = int(random.integers(14, 30)), random.uniform(0.03, 0.1)
    whorl, start = radius / random.uniform(3, 7), random.uniform(0, 6)

    def material(patch: Patch) -> Metres:
        dy, dx = patch.y - np.float32(at[0]), patch.x - np.float32(at[1])
        far, bearing = np.hypot(dy, dx), np.arctan2(dy, dx)
        side = (dy * np.float32(sun[0]) + dx * np.float32(sun[1])) / (far + np.float32(0.1))
        level = np.cos(bearing * spokes + 2 * patch.texture(0.5, salt=1)) * np.clip(
            far / np.float32(0.4 * radius), 0, 1
        )
        level = 0.6 * level - 0.8 * side + 0.6 * np.cos(far * np.float32(2 * math.pi / whorl) + start)
        level += 0.9 * patch.texture(needle, salt=2) + 0.7 - 1.1 * far / np.float32(radius)
        return toned(table, level)

    return _crown(at, radius * random.uniform(2.0, 4.0), outline, material, "tree", 0.04)


def _spokes(radius: float, random: Random, *, count: int, depth: float) -> Metres:
    """Return how far an outline of so many tips reaches in each direction, see `radial`."""
    bearings = np.linspace(0, 1, 2048, endpoint=False)
    tips = np.sort(random.uniform(0, 1, count))
    gap = np.abs((bearings[:, np.newaxis] - tips + 0.5) % 1 - 0.5)
    nearest, width = gap.argmin(1), random.uniform(0.3, 0.6) / count
    reach = random.uniform(0.75, 1.0, count)[nearest]
    return np.asarray(radius * (1 - depth + (reach - 1 + depth) * np.clip(1 - gap.min(1) / width, 0, 1)), np.float32)


def bare_tree(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a tree without leaves; its whole crown carries the label, the ground between the twigs too."""
    tips = int(random.integers(9, 24))
    outline = radial(at, _spokes(radius, random, count=tips, depth=random.uniform(0.1, 0.6)))
    bark, thick = pick(_BARK, random, spread=10), radius * random.uniform(0.02, 0.05)
    twigs = list(_branches(at, radius, thick, random, count=tips))
    haze, dense = ramp([bark * 0.3, bark * 0.8, bark * 1.5]), random.uniform(0.3, 0.95)
    twig_m = random.uniform(0.02, 0.05)
    angle = random.uniform(0, 3)

    def fine(patch: Patch) -> Metres:
        return toned(haze, 0.8 * patch.texture(0.05) + 0.8 * patch.texture(0.4, salt=1))

    height_m = radius * random.uniform(1.2, 2.2)

    def paint(canvas: Canvas) -> None:
        _shade_twigs(canvas, twigs, height_m)
        seen = canvas.eye.lift((*at, 0.6 * height_m))
        dy, dx = seen[0] - at[0], seen[1] - at[1]
        canvas.cover(outline.moved(dy, dx), fine, ID["bald-tree"], lambda patch: _tangle(patch, twig_m, angle) * dense)
        canvas.paint(_stick(at, seen, 1.5 * thick), _bark(bark), ID["bald-tree"])
        for branch, light in twigs:
            if 2 * branch.reach_m > 3 * canvas.gsd_m:
                canvas.paint(branch.moved(dy, dx), _bark(bark * light))

    return Thing(height_m, outline, paint, shadow=False)


def _shade_twigs(canvas: Canvas, twigs: list[tuple[Shape, float]], height_m: float) -> None:
    light = canvas.light
    way = 0.6 * height_m * light.length
    for branch, _ in twigs[::2]:
        if 2 * branch.reach_m > 6 * canvas.gsd_m:
            canvas.shade(
                branch.moved(canvas.light.sun[0] * way, canvas.light.sun[1] * way), 0.5 + 0.5 * canvas.light.shadow
            )


def _tangle(patch: Patch, size: float, angle: float) -> Metres:
    """Return how much thin twigs hide, 0 to 1: the edges of long cells in two directions."""
    wide = max(1.0, 0.7 * patch.gsd_m / size)
    first, second = (patch.cells(10 * size, angle + turned, long=3).edge for turned in (0.0, 1.3))
    return clipped(1.4 - np.minimum(first, second) * np.float32(14 / wide), 0.25, 1)


def _bark(colour: Metres) -> Material:
    table = ramp([colour * 0.5, colour, np.minimum(colour * 1.35, 250)])
    return lambda patch: toned(table, patch.texture(0.02))


def _branches(at: Point, radius: float, thick: float, random: Random, *, count: int) -> Iterator[tuple[Shape, float]]:
    """Yield the boughs of a crown and their branches, each with its light."""
    for bearing in random.uniform(0, 2 * math.pi, count):
        start, turned, width = at, bearing, thick
        for _ in range(int(random.integers(3, 5))):
            length = radius * random.uniform(0.2, 0.34)
            end = _step(start, turned, length)
            yield _stick(start, end, width), random.uniform(0.6, 1.3)
            for side in random.choice((-1, 1), int(random.integers(2, 6))):
                fork = _between(start, end, random.uniform(0.2, 1))
                branch = _step(fork, turned + side * random.uniform(0.4, 1.0), length * random.uniform(0.5, 1.1))
                yield _stick(fork, branch, 0.5 * width), random.uniform(0.6, 1.4)
            start, turned, width = end, turned + random.normal(0, 0.3), width * 0.72


def _step(start: Point, bearing: float, length: float) -> Point:
    dy, dx = turn((length, 0), bearing)
    return start[0] + dy, start[1] + dx


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _stick(start: Point, end: Point, width: float) -> Shape:
    dy, dx = end[0] - start[0], end[1] - start[1]
    return box(_between(start, end, 0.5), math.hypot(dy, dx) + width, width, math.atan2(dy, dx), corner=width / 2)


def shrub(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a shrub, a clipped ball or a cushion of flowers."""
    outline = blob(at, radius, random, rough=random.choice((0.03, 0.12, 0.22)))
    clump_m, leaf_m = 0.03 + random.uniform(0.12, 0.7) * min(radius, 1), random.uniform(0.015, 0.09)
    leafy = leaves(leaf_colour(random, autumn=0.18), at, radius, sun, random, clump_m=clump_m, leaf_m=leaf_m)
    ragged = random.uniform(0.02, 0.07) * min(radius, 1)
    return Thing(radius * random.uniform(0.6, 1.3), outline,
                 lambda canvas: canvas.paint(outline, leafy, ID["vegetation"], ragged_m=ragged))  # fmt: skip


def tuft(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return ornamental grass, a yucca or a fern: blades that radiate from the middle."""
    count = int(random.integers(14, 50))
    outline = radial(at, _spokes(radius, random, count=count, depth=random.uniform(0.25, 0.65)))
    base = pick(_GRASSES, random, spread=10)
    table = ramp([base * 0.25, base * 0.75, base * 1.15, np.minimum(base * 1.5 + 10, 250)])
    blades = int(count * random.uniform(1.5, 3))

    def material(patch: Patch) -> Metres:
        dy, dx = patch.y - np.float32(at[0]), patch.x - np.float32(at[1])
        far = np.hypot(dy, dx) / np.float32(radius)
        bearing = np.arctan2(dy, dx)
        blade = np.floor(bearing * np.float32(blades / (2 * math.pi)) + 0.25 * np.sin(far * 9)).astype(np.int32)
        side = (dy * np.float32(sun[0]) + dx * np.float32(sun[1])) / np.float32(radius)
        return toned(table, 1.1 * by_chance(blade) + 1.6 * far - 0.8 - 0.6 * side + 0.3 * patch.texture(0.03))

    return Thing(0.7 * radius, outline, lambda canvas: canvas.paint(outline, material, ID["vegetation"], ragged_m=0.01))


def thicket(outline: Shape, height_m: float, sun: Point, random: Random, *, name: str = "vegetation") -> Thing:
    """Return leaves that fill an outline: ivy, ground cover, a hedge or a wood."""
    radius = min(outline.reach_m, 60.0)
    leafy = leaves(leaf_colour(random), outline.centre, 4 * radius, sun, random, clump_m=random.uniform(0.15, 0.6),
                   leaf_m=random.uniform(0.02, 0.1))  # fmt: skip
    ragged = random.uniform(0.02, 0.08)
    return Thing(height_m, outline, lambda canvas: canvas.paint(outline, leafy, ID[name], ragged_m=ragged))


def boulder(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a rock: facets that the sun lights, with lichen."""
    outline = radial(at, _angular(radius, random))
    base = pick(((150, 146, 138), (112, 108, 104), (170, 158, 140), (86, 84, 84), (128, 110, 92)), random, spread=14)
    table = ramp([base * 0.25, base * 0.8, base * 1.15, np.minimum(base * 1.4 + 16, 252)])
    facet, turned = radius * random.uniform(0.25, 0.9), random.uniform(0, 3)
    rough, moss = random.uniform(0.3, 0.9), random.uniform(0.6, 3.0)
    green = pick(((86, 92, 50), (160, 160, 130), (60, 64, 44)), random)

    def material(patch: Patch) -> Metres:
        side = (patch.y - at[0]) * np.float32(sun[0] / radius) + (patch.x - at[1]) * np.float32(sun[1] / radius)
        facets = patch.cells(facet, turned)
        level = (
            0.7 * by_chance(facets.index) - 1.0 * side + rough * patch.texture(0.1, salt=1) + 0.4 * patch.texture(0.02)
        )
        return mixed(toned(table, level), green, np.clip(patch.texture(0.3, salt=2) - moss, 0, 0.7))

    return Thing(
        radius * random.uniform(0.4, 0.9), outline, lambda canvas: canvas.paint(outline, material, ID["rocks"])
    )


def _angular(radius: float, random: Random) -> Metres:
    """Return how far an outline of straight edges reaches in each direction, see `radial`."""
    count = int(random.integers(5, 11))
    corners = np.sort((np.arange(count) + random.uniform(0.1, 0.9, count)) / count) * 2 * math.pi
    reach = radius * random.uniform(0.6, 1.0, count)
    y, x = reach * np.sin(corners), reach * np.cos(corners)
    bearings = np.linspace(0, 2 * math.pi, 2048, endpoint=False)
    after = np.searchsorted(corners, bearings) % count
    before = after - 1
    across_y, across_x = y[after] - y[before], x[after] - x[before]
    far = (x[before] * across_y - y[before] * across_x) / (np.cos(bearings) * across_y - np.sin(bearings) * across_x)
    return np.clip(far, 0.3 * radius, 1.1 * radius).astype(np.float32)
