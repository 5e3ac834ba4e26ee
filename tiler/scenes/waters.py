"""Water: ponds, rivers and pools, still or rippled, with what they mirror."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes.canvas import Material, Patch
from tiler.scenes.noise import by_chance
from tiler.scenes.shapes import Metres
from tiler.scenes.thing import Random
from tiler.scenes.tones import clipped, contrast, mixed, pick, ramp, toned

_WATERS = (
    (38, 36, 24), (58, 54, 34), (24, 26, 24), (64, 72, 52), (52, 66, 74), (82, 92, 88), (40, 62, 58), (96, 86, 60),
    (34, 52, 80), (60, 96, 110), (44, 42, 20), (30, 33, 18), (54, 50, 26),
)  # fmt: skip
_SKIES = ((150, 170, 196), (196, 204, 212), (110, 130, 160), (90, 116, 150))
_LEAVES = ((74, 58, 50), (96, 74, 56), (58, 44, 38), (110, 96, 60), (60, 62, 36))
_BED = ((110, 96, 66), (88, 84, 62), (70, 60, 40))
_GLINT = np.full(3, 250, np.float32)
_POOLS = ((110, 196, 226), (70, 160, 206), (150, 214, 236), (190, 224, 240), (60, 130, 180), (130, 206, 200))


def water(random: Random) -> Material:
    """Return natural water: calm or rippled, of any colour, mirroring the sky, with stones and leaves in it."""
    deep = pick(_WATERS, random, spread=8)
    table = contrast(deep, random.uniform(0.25, 0.9))
    calm = random.uniform(0.05, 0.4) if random.random() < 0.4 else 1.0
    sky, mirrors = pick(_SKIES, random), random.uniform(0, 0.5) * random.choice((0.2, 1)) * calm
    clouds, grain, shore = (calm * random.uniform(*bounds) for bounds in ((0.3, 0.9), (0.1, 0.6), (0.2, 1.4)))
    ripple, size = calm * random.uniform(0.0, 0.8), random.uniform(0.08, 0.6)
    angle, long = random.uniform(0, math.pi), random.uniform(1, 4)
    glitter = random.choice((9.0, random.uniform(1.2, 2.6)))
    bed, litter = _bed(random), _litter(random)

    def material(patch: Patch) -> Metres:
        waves = patch.cells(size, angle, long=long)
        crest = (waves.edge - np.float32(0.25)) * 3 + patch.texture(size, steep=2.2, salt=1)
        level = np.float32(ripple) * crest + clouds * patch.texture(2.5, salt=2) + grain * patch.texture(0.02, salt=7)
        level += shore * patch.texture(0.4, steep=2.2, salt=9)  # what stands around, mirrored
        colour = litter(bed(toned(table, level), patch), patch)
        colour = mixed(
            colour,
            sky,
            mirrors * (1 + 0.6 * patch.texture(6, steep=3, salt=5) + 0.4 * ripple * crest)
            + 0.3 * mirrors * patch.texture(0.9, steep=2.4, salt=10),
        )
        sparks = crest + 1.2 * patch.texture(3, steep=3, salt=6) + 0.8 * patch.texture(0.05, salt=8) > 2 * glitter
        return mixed(colour, _GLINT, sparks * np.float32(0.9))

    return material


Look = Callable[[Metres, Patch], Metres]
"""What something in the water does to its colours."""


def _bed(random: Random) -> Look:
    """Return the bed that is seen where the water is shallow: mud, or stones."""
    table = contrast(pick(_BED, random) * 0.7, 0.8)
    clear, size = random.uniform(-1.5, 0.4), random.uniform(0.1, 0.5)
    stones = random.uniform(0.8, 1.8) * (random.random() < 0.5)

    def look(colours: Metres, patch: Patch) -> Metres:
        found = patch.cells(size)
        stone = stones * (by_chance(found.index) - np.clip(1 - found.edge / np.float32(0.12), 0, 1))
        level = patch.texture(0.2, salt=3) * (1.0 if stones == 0 else 0.4) + stone
        return mixed(colours, toned(table, level), 0.5 * patch.texture(4, salt=4) + clear)

    return look


def _litter(random: Random) -> Look:
    """Return leaves that have fallen in, on some waters, and the pale scum between them."""
    if random.random() < 0.6:
        return lambda colours, patch: colours
    colour, size, few = pick(_LEAVES, random), random.uniform(0.03, 0.09), random.uniform(0.7, 1.7)
    pale, scum = np.asarray((176, 184, 194), np.float32), random.uniform(0, 0.5)

    def look(colours: Metres, patch: Patch) -> Metres:
        fine = patch.texture(size / 2, steep=1.8, salt=13)
        drift = patch.texture(1.2, salt=12)  # the wind drives them together
        colours = mixed(colours, pale, scum * (0.4 + 0.6 * drift + 0.3 * fine))
        return mixed(colours, colour, 2 * (patch.texture(size, steep=2.2, salt=11) + 0.4 * drift - few))

    return look


def pool(random: Random) -> Material:
    """Return the water or the dry basin of a swimming pool."""
    base = pick(_POOLS, random, spread=10)
    dry = random.random() < 0.4
    if dry:
        base = np.clip(base * 0.4 + random.uniform(120, 160), 0, 246)
    table = ramp([base * 0.72, base, np.minimum(base * 1.12 + 24, 252)])
    size, net = random.uniform(0.15, 0.5), 0.0 if dry else random.uniform(0, 1.0)
    tile, lines = random.uniform(0.1, 0.4), random.uniform(0, 0.4) * (random.random() < 0.4)
    dirt = random.uniform(0, 1) * (1.0 if dry else 0.3)

    def material(patch: Patch) -> Metres:
        caustics = np.clip(1 - 6 * np.abs(patch.texture(size, steep=2.2, salt=1)), -0.3, 1)
        level = net * caustics + 0.5 * patch.texture(2.5, steep=2.5, salt=2) + 0.08 * patch.texture(0.01)
        grid = (np.mod(patch.y, tile) < 0.012) | (np.mod(patch.x, tile) < 0.012)
        level = (
            level
            - grid * np.float32(lines * 2 * patch.sharpness(0.03))
            - dirt * np.clip(patch.texture(0.5, salt=3) - 1, 0, 2)
        )
        return toned(table, level)

    return material


def lily(random: Random) -> Material:
    """Return leaves that float: round, green, close to each other."""
    size = random.uniform(0.1, 0.3)
    table = contrast(pick(((70, 104, 40), (96, 116, 60), (52, 78, 36), (150, 170, 130)), random), 0.7)

    def material(patch: Patch) -> Metres:
        found = patch.cells(size, 0.2)
        gap = clipped(8 * np.hypot(found.down, found.right) - 2.6, 0, 1)
        level = 0.8 * by_chance(found.index) + 0.4 * patch.texture(0.03) - gap * 2.5
        return toned(table, level)

    return material
