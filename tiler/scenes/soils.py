"""Soft ground: lawns, meadows, bare soil, mulch, gravel, sand and fields."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes.canvas import Material, Patch
from tiler.scenes.noise import by_chance
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.thing import Random
from tiler.scenes.tones import Colour, contrast, mixed, pick, ramp, toned

Extra = Callable[[Patch, Metres], Metres]
"""Changes the colours of a patch, shape (n, m, 3)."""
_LUSH = ((58, 96, 26), (84, 124, 36), (44, 74, 24), (104, 136, 52), (70, 92, 40))
_DRY = ((150, 138, 92), (128, 118, 78), (168, 154, 112), (112, 106, 84), (120, 122, 66))
_EARTH = (
    (98, 76, 56), (70, 54, 42), (128, 100, 72), (132, 108, 82), (110, 66, 46), (84, 70, 60), (146, 122, 96),
    (60, 44, 34),
)  # fmt: skip
_MULCH = ((124, 62, 44), (92, 56, 38), (66, 44, 32), (140, 84, 56), (108, 80, 58))
_PEBBLES = (
    (216, 214, 208), (160, 156, 150), (120, 118, 118), (178, 162, 140), (150, 120, 104), (198, 184, 160), (96, 96, 100),
    (140, 132, 120), (188, 186, 184),
)  # fmt: skip
_SANDS = ((214, 196, 158), (196, 174, 134), (226, 216, 190), (176, 158, 124))
_FIELDS: dict[str, tuple[str, tuple[Colour, ...] | None, tuple[float, float], float]] = {
    "ploughed": ("dirt", None, (0.3, 0.8), 0.0), "stubble": ("grass", _DRY, (0.12, 0.3), 0.3),
    "crop": ("vegetation", _LUSH, (0.2, 0.8), 0.8), "young": ("dirt", _LUSH, (0.3, 0.9), -0.5),
}  # fmt: skip
"""Class of each kind of field, colours of its rows (None: the earth's), metres from row to row, and their share."""
_PETALS = ((236, 214, 60), (240, 240, 232), (170, 120, 190), (150, 90, 50), (196, 150, 60))


def lawn(random: Random) -> Material:
    """Return grass: mown or rough, lush, dry or dull, in patches, with clover, petals, leaves or bare spots."""
    dry = random.beta(0.8, 0.8)
    shades = [pick(_LUSH, random) * (1 - share) + pick(_DRY, random) * share for share in (dry, random.uniform())]
    dull = random.uniform(0.3, 0.75) if random.random() < 0.35 else 0.0
    shades = [shade + np.float32(dull) * (shade.mean() - shade) for shade in shades]
    first, second = (contrast(shade, random.uniform(0.45, 1.0)) for shade in shades)
    blade, clump, patchy = random.uniform(0.008, 0.03), random.uniform(0.06, 0.3), random.uniform(0.8, 4.0)
    sharp = random.uniform(0.5, 1.3), random.uniform(0.2, 1.0), random.uniform(0.1, 0.6)
    bias, steep = random.normal(0.2, 0.5), random.uniform(1.2, 2.0)
    kinds = ((_stripes, 0.15), (_worn, 0.35), (_dots, 0.4))
    extras = [each(random) for each, chance in kinds if random.random() < chance]

    def material(patch: Patch) -> Metres:
        level = sharp[0] * patch.texture(blade, steep=1.2) + sharp[1] * patch.texture(clump, salt=1)
        level += sharp[2] * patch.texture(1.0, salt=2)
        share = 0.5 * patch.texture(patchy, steep=steep, salt=3) + 0.25 * patch.texture(clump, salt=4) + bias
        colour = mixed(toned(first, level), toned(second, level), share)
        for extra in extras:
            colour = extra(patch, colour)
        return colour

    return material


def _stripes(random: Random) -> Extra:
    """Return the bands of a mower: lighter and darker by turns."""
    width, angle, change = random.uniform(0.35, 1.2), random.uniform(0, math.pi), random.uniform(0.04, 0.12)

    def apply(patch: Patch, colour: Metres) -> Metres:
        across = patch.y * np.float32(math.cos(angle) / width) - patch.x * np.float32(math.sin(angle) / width)
        across = across + np.float32(0.15) * patch.texture(1.5, salt=12)
        bands = np.clip(8 * np.sin(across * np.float32(math.pi)), -1, 1)[..., np.newaxis]
        striped: Metres = colour * (1 + np.float32(change) * bands)
        return striped

    return apply


def _worn(random: Random) -> Extra:
    """Return spots where the soil shows through."""
    table, size = contrast(pick(_EARTH + _DRY, random), 0.5), random.uniform(0.15, 1.5)
    bound = random.uniform(0.8, 2.2)

    def apply(patch: Patch, colour: Metres) -> Metres:
        share = np.clip((patch.texture(size, salt=13) - bound) * 1.5, 0, 0.85)
        return mixed(colour, toned(table, patch.texture(0.03, salt=14)), share)

    return apply


def _dots(random: Random) -> Extra:
    """Return petals or fallen leaves, thick in some places."""
    colour_of_dots = pick(_PETALS, random)
    size, share = random.uniform(0.03, 0.1), random.uniform(1.2, 2.6)

    def apply(patch: Patch, colour: Metres) -> Metres:
        found = patch.cells(size, 0.7)
        there = by_chance(found.index) + 0.7 * patch.texture(2.5, salt=15) > share
        near = np.hypot(found.down, found.right) < 0.3
        return mixed(colour, colour_of_dots, there * near * np.float32(0.9 * patch.sharpness(size)))

    return apply


def soil(random: Random) -> Material:
    """Return bare earth: sandy, clayey or humous, smooth or in clods, with stones."""
    shade = pick(_EARTH, random, spread=12)
    table, other = contrast(shade, random.uniform(0.4, 0.9)), contrast(pick(_EARTH, random) * 0.4 + shade * 0.6, 0.5)
    fine, clods = random.uniform(0.01, 0.03), random.uniform(0.05, 0.25)
    weights = random.uniform(0.4, 1.0), random.uniform(0.2, 0.9), random.uniform(0.2, 0.6)
    stones, stone = random.uniform(1.2, 3.2), pick(_PEBBLES, random)
    green = pick(_LUSH, random) if random.random() < 0.3 else None

    def material(patch: Patch) -> Metres:
        level = weights[0] * patch.texture(fine, steep=1.2) + weights[1] * patch.texture(clods, salt=1)
        level += weights[2] * patch.texture(0.9, salt=2)
        colour = mixed(toned(table, level), toned(other, level), 0.5 + 0.4 * patch.texture(2.0, salt=3))
        found = patch.cells(0.05, 0.3)
        there = (by_chance(found.index) > stones) & (found.edge > 0.15)
        colour = mixed(colour, stone * (1 - 0.5 * (found.down + found.right))[..., np.newaxis], there * np.float32(0.8))
        if green is not None:
            colour = mixed(colour, green, np.clip(patch.texture(0.5, salt=4) - 1.3, 0, 0.6))
        return colour

    return material


def mulch(random: Random, sun: Point) -> Material:
    """Return chips of bark, or leaves that have fallen."""
    return _pieces([pick(_MULCH, random, spread=12) for _ in range(5)], random.uniform(0.012, 0.045), random, sun,
                   long=random.uniform(1.3, 2.6), gap=(30, 22, 16))  # fmt: skip


def pebbles(random: Random, sun: Point, *, size_m: float | None = None) -> Material:
    """Return gravel, from grit to cobbles, white, grey or of all colours."""
    kind = random.random()
    family = [pick(_PEBBLES, random, spread=16) for _ in range(6)]
    if kind < 0.35:  # white marble
        family = [np.clip(np.float32(random.uniform(190, 240)) + random.normal(0, 5, 3), 0, 252) for _ in range(5)]
    elif kind < 0.6:  # one rock
        shade = pick(_PEBBLES, random, spread=16)
        family = [np.clip(shade * random.uniform(0.75, 1.25), 0, 250) for _ in range(5)]
    size = size_m or float(np.exp(random.uniform(math.log(0.01), math.log(0.12))))
    gap = np.asarray(family[0]) * random.uniform(0.05, 0.45)
    return _pieces(family, size, random, sun, long=random.uniform(1, 1.5), gap=gap)


def _pieces(family: list[Metres], size: float, random: Random, sun: Point, *, long: float, gap: Colour) -> Material:
    """Return a ground of pieces that lie side by side, each lit from the side of the sun, dark between them."""
    table = ramp(sorted(family, key=lambda each: float(np.sum(each))))
    angle, dome, dirty = random.uniform(0, math.pi), random.uniform(0.2, 1.0), random.uniform(0, 0.5)
    mean, depth = np.mean(family, axis=0).astype(np.float32) * 0.85, random.uniform(0.05, 0.26)
    round_share, stray = random.uniform(0, 1), random.uniform(0.9, 2.2)
    gap = np.asarray(gap, np.float32)
    sine, cosine = math.sin(angle), math.cos(angle)
    light_y, light_x = (
        np.float32(dome * (sun[1] * sine - sun[0] * cosine)),
        np.float32(-dome * (sun[1] * cosine + sun[0] * sine)),
    )
    tufts = pick(_LUSH, random) if random.random() < 0.3 else None

    def material(patch: Patch) -> Metres:
        found = patch.cells(size, angle, long=long)
        round_off = 0.66 - np.hypot(found.down, found.right)
        edge = np.minimum(found.edge, round_off * np.float32(round_share) + found.edge * np.float32(1 - round_share))
        seen = np.float32(patch.sharpness(size * 1.5))
        light = 1 + found.down * light_y + found.right * light_x + np.float32(0.06) * patch.texture(0.02, salt=2)
        colour: Metres = toned(table, stray * by_chance(found.index) + 0.3) * light[..., np.newaxis]
        colour = mixed(colour, gap, np.clip(1 - edge / np.float32(depth), 0, 0.9))
        clouds = np.float32(dirty * 0.3) * patch.texture(1.2, salt=3)
        clouds += np.float32(0.25) * (1 - seen) * patch.texture(0.05, salt=5)
        colour = (mean + (colour - mean) * seen) * (1 + clouds)[..., np.newaxis]
        if tufts is not None:
            colour = mixed(colour, tufts, np.clip(1.5 * patch.texture(0.4, salt=4) - 2.6, 0, 0.8))
        return colour

    return material


def sand(random: Random) -> Material:
    """Return sand, smooth or trodden, dry or wet in places."""
    shade = pick(_SANDS, random, spread=9)
    table, wet = contrast(shade, random.uniform(0.2, 0.45)), contrast(shade * 0.72, 0.3)
    trodden, ripple, angle = random.uniform(0.1, 0.8), random.uniform(0, 0.5), random.uniform(0, math.pi)

    def material(patch: Patch) -> Metres:
        wave = patch.y * np.float32(math.cos(angle) * 50) + patch.x * np.float32(math.sin(angle) * 50)
        wave = np.sin(wave + 5 * patch.texture(0.8, salt=5)) * np.float32(ripple * patch.sharpness(0.12))
        level = 0.35 * patch.texture(0.01) + trodden * patch.texture(0.25, steep=2.2, salt=1) + wave
        level += 0.4 * patch.texture(3, salt=2)
        return mixed(toned(table, level), toned(wet, level), patch.texture(5, salt=3) - 0.8)

    return material


def field(random: Random, angle: float) -> tuple[Material, str]:
    """Return a field and its class: ploughed earth, stubble, or a crop in rows."""
    kind = random.choice(list(_FIELDS), p=(0.2, 0.35, 0.25, 0.2))
    name, family, pitches, bias = _FIELDS[kind]
    pitch, bias = random.uniform(*pitches), bias + random.normal(0, 0.15)
    earth = pick(_EARTH, random, spread=10)
    ground, rows = contrast(earth, 0.6), contrast(earth * 0.72 if family is None else pick(family, random), 0.7)

    def material(patch: Patch) -> Metres:
        across = patch.y * np.float32(math.cos(angle) / pitch) - patch.x * np.float32(math.sin(angle) / pitch)
        wave = np.sin((across + 0.12 * patch.texture(1.5, salt=1)) * np.float32(2 * math.pi))
        level = (
            0.8 * patch.texture(0.03, steep=1.2) + 0.5 * patch.texture(0.15, salt=2) + 0.4 * patch.texture(3, salt=3)
        )
        share = (
            wave * np.float32(patch.sharpness(pitch))
            + bias
            + 0.35 * patch.texture(0.1, salt=4)
            + 0.3 * patch.texture(6, salt=5)
        )
        tracks = np.clip(20 * np.abs(np.mod(across * np.float32(pitch / 18), 1) - 0.5) - 9.6, 0, 0.8)
        return mixed(mixed(toned(ground, level), toned(rows, level), share), earth * 0.8, tracks)

    return material, name
