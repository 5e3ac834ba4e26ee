"""Hard ground: asphalt, concrete, slabs, cobbles and planks, each new or worn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tiler.scenes.canvas import Material, Patch
from tiler.scenes.noise import Whole, by_chance
from tiler.scenes.shapes import Metres
from tiler.scenes.thing import Random
from tiler.scenes.tones import clipped, contrast, grey, mixed, pick, toned

_STONES = (
    (150, 146, 140), (186, 182, 174), (206, 200, 188), (118, 118, 120), (92, 92, 96), (172, 150, 124),
    (150, 104, 88), (128, 92, 84), (196, 176, 146), (218, 216, 210), (160, 158, 164), (140, 112, 96),
)  # fmt: skip
_WOODS = ((150, 112, 76), (120, 86, 60), (176, 142, 98), (132, 126, 120), (104, 98, 94), (168, 160, 150), (92, 62, 44))
_MOSS = ((60, 66, 36), (84, 88, 52), (44, 46, 34))
_FADE = 0.6


def asphalt(random: Random) -> Material:
    """Return asphalt from nearly black to nearly white, often stained, cracked or mended with tar."""
    base = grey(random, *((44, 100), (90, 150), (140, 214))[random.choice(3, p=(0.3, 0.35, 0.35))], hue=4)
    table = contrast(base, random.uniform(0.14, 0.5))
    stone, coarse = random.uniform(0.006, 0.022), random.uniform(0.03, 0.12)
    weights = random.uniform(0.35, 1.0), random.uniform(0.1, 0.4), random.uniform(0.1, 0.5), random.uniform(0.0, 0.4)
    cracks = _cracks(random) if random.random() < 0.5 else None
    stains = _stains(random) if random.random() < 0.6 else None
    chips = _chips(random) if random.random() < 0.5 else None

    def material(patch: Patch) -> Metres:
        level = weights[0] * patch.texture(stone) + weights[1] * patch.texture(coarse, salt=1)
        level += weights[2] * patch.texture(1.1, salt=2) + weights[3] * patch.texture(7.0, salt=3)
        if stains:
            level = level - stains(patch)
        if cracks:
            level = level - cracks(patch)
        if chips:
            level = level + chips(patch)
        return toned(table, level)

    return material


def concrete(random: Random) -> Material:
    """Return smooth concrete, clouded and stained."""
    table = contrast(grey(random, 110, 225, hue=6), random.uniform(0.1, 0.35))
    stains, fine = _stains(random), random.uniform(0.1, 0.5)

    def material(patch: Patch) -> Metres:
        level = fine * patch.texture(0.012) + 0.5 * patch.texture(0.6, salt=1) + 0.5 * patch.texture(4.0, salt=2)
        return toned(table, level - stains(patch))

    return material


def _chips(random: Random) -> Callable[[Patch], Metres]:
    """Return stones that are brighter than the tar around them."""
    size, bound, bright = random.uniform(0.012, 0.035), random.uniform(0.7, 2.2), random.uniform(1.0, 3.5)

    def stones(patch: Patch) -> Metres:
        found = patch.cells(size)
        return (by_chance(found.index) > bound) * (found.edge > 0.1) * np.float32(bright * patch.sharpness(size))

    return stones


def _cracks(random: Random) -> Callable[[Patch], Metres]:
    """Return dark lines that wander: the level lines of noise, where other noise lets them be."""
    size, width = random.uniform(0.8, 4.0), random.uniform(0.006, 0.03)
    depth, rare, steep = random.uniform(0.8, 2.6), random.uniform(-0.5, 1.3), random.uniform(1.7, 2.6)

    def lines(patch: Patch) -> Metres:
        height = np.abs(patch.texture(size, steep=steep, salt=5))
        wide = max(width, 0.4 * patch.gsd_m) / size * 4
        here = patch.texture(size * 2.3, steep=3, salt=6) > rare
        return np.clip(2 - height / np.float32(wide), 0, 1) * here * np.float32(depth * patch.sharpness(3 * width))

    return lines


def _stains(random: Random) -> Callable[[Patch], Metres]:
    """Return dark spots with soft edges."""
    size, bound, depth = random.uniform(0.15, 1.5), random.uniform(0.8, 2.0), random.uniform(0.3, 1.4)

    def spots(patch: Patch) -> Metres:
        return depth * clipped((patch.texture(size, steep=2.4, salt=8) - bound) * 2, 0, 1)

    return spots


@dataclass(frozen=True, slots=True)
class Bond:
    """Where the stones of a paving lie; arrays of shape (n, m)."""

    index: Whole
    """Number of the stone."""
    joint: Metres
    """Metres to the nearest joint."""


def _local(patch: Patch, angle: float) -> tuple[Metres, Metres]:
    sine, cosine = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    return patch.x * cosine + patch.y * sine, patch.y * cosine - patch.x * sine


def _running(patch: Patch, length: float, width: float, angle: float, shift: float) -> Bond:
    """Return rows of stones, each row shifted by a share of a stone."""
    index, along, across = courses(*_local(patch, angle), length=length, width=width, shift=shift)
    joint = np.minimum(
        np.minimum(along, 1 - along) * np.float32(length), np.minimum(across, 1 - across) * np.float32(width)
    )
    return Bond(index, joint)


def courses(
    along: Metres, across: Metres, *, length: float, width: float, shift: float
) -> tuple[Whole, Metres, Metres]:
    """Return which piece of a row lies at each place, and how far into it the place is, along and across.

    Parameters
    ----------
    along, across : ndarray of float32
        Places, metres: along the rows and across them.
    length, width : float
        Size of a piece along and across the rows, metres.
    shift : float
        By which part of a piece each row is shifted against the one before.

    Returns
    -------
    tuple of ndarray
        A number for each piece, and the two parts of it, 0 to 1.
    """
    across = across / np.float32(width)
    row = np.floor(across)
    along = along / np.float32(length) + row * np.float32(shift)
    column = np.floor(along)
    return (row * 131 + column * 37).astype(np.int32), along - column, across - row


def _herringbone(patch: Patch, length: float, width: float, angle: float) -> Bond:
    """Return stones twice as long as wide that stand at right angles to each other."""
    along, across = (axis / np.float32(width) for axis in _local(patch, angle))
    column, row = np.floor(along), np.floor(across)
    turn = np.mod(column - row, 4)
    lying = turn < 2
    start_u = np.where(lying, column - turn, column)
    start_v = np.where(lying, row, row - (3 - turn))
    beside_u, beside_v = along - start_u, across - start_v
    far_u, far_v = np.where(lying, 2, 1) - beside_u, np.where(lying, 1, 2) - beside_v
    joint = np.minimum(np.minimum(beside_u, far_u), np.minimum(beside_v, far_v)) * np.float32(width)
    return Bond((start_v * 131 + start_u * 37 + 17 * lying).astype(np.int32), joint.astype(np.float32))


def _basket(patch: Patch, width: float, angle: float) -> Bond:
    """Return squares of two stones each, lying and standing by turns."""
    along, across = (axis / np.float32(2 * width) for axis in _local(patch, angle))
    column, row = np.floor(along), np.floor(across)
    u, v = along - column, across - row
    lying = np.mod(column + row, 2) < 1
    cut = np.where(lying, v, u)
    half = np.floor(cut * 2)
    within = cut * 2 - half
    joint = np.minimum(
        np.minimum(within, 1 - within) * width, np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) * 2 * width
    )
    return Bond((row * 131 + column * 37 + half * 7).astype(np.int32), joint.astype(np.float32))


def _broken(patch: Patch, size: float, angle: float) -> Bond:
    """Return stones of irregular outlines, such as flagstones or cobbles."""
    found = patch.cells(size, angle)
    return Bond(found.index, found.edge * np.float32(size))


def pavers(random: Random, angle: float) -> Material:
    """Return slabs, bricks, flagstones or cobbles: stones of several colours with joints, moss and stains."""
    bond, joint_m = _any_bond(random, angle)
    stone = pick(_STONES, random, spread=14)
    table = contrast(stone, random.uniform(0.25, 0.7))
    other = contrast(pick(_STONES, random, spread=10) * 0.5 + stone * 0.5, random.uniform(0.25, 0.6))
    colours, stray = random.random() < 0.35, random.uniform(0.05, 0.9)
    filling = pick((stone * 0.5, stone * 0.72, (188, 180, 160), *_MOSS), random, spread=6)
    fine, clouds, mossy = random.uniform(0.15, 0.6), random.uniform(0.1, 0.6), random.uniform(-0.6, 2.5)
    moss = pick(_MOSS, random)
    stains = _stains(random)
    deep = random.uniform(0.35, 1.0)

    def material(patch: Patch) -> Metres:
        laid = bond(patch)
        level = np.float32(stray) * by_chance(laid.index) - stains(patch)
        level += (
            fine * patch.texture(0.025, salt=1) + clouds * patch.texture(0.35, salt=2) + 0.3 * patch.texture(4, salt=3)
        )
        colour = toned(table, level)
        if colours:
            colour = mixed(colour, toned(other, level), (by_chance(laid.index, 3) > 0.4).astype(np.float32))
        wide = max(joint_m, 0.3 * patch.gsd_m)
        joint = np.clip(1.2 - laid.joint / np.float32(wide), 0, 1) * np.float32(deep * patch.sharpness(3 * joint_m))
        colour = mixed(colour, filling, joint)
        green = np.clip(patch.texture(1.2, salt=4) + 1.2 * joint - mossy, 0, 0.8)
        return mixed(colour, moss, green * (0.35 + 0.65 * joint))

    return material


def _any_bond(random: Random, angle: float) -> tuple[Callable[[Patch], Bond], float]:
    """Return a bond, and half the width of its joints in metres."""
    kind = random.choice(("slabs", "rows", "bricks", "herring", "basket", "flags", "cobbles"),
                         p=(0.27, 0.2, 0.12, 0.1, 0.06, 0.13, 0.12))  # fmt: skip
    turned = angle + random.choice((0.0, math.pi / 4, math.pi / 2, random.uniform(0, 3)), p=(0.5, 0.2, 0.15, 0.15))
    joint = random.uniform(0.002, 0.008)
    if kind == "slabs":
        length = random.uniform(0.3, 1.0)
        width = length * random.choice((1.0, 0.5, 0.66))
        shift = random.choice((0.0, 0.5))
        return lambda patch: _running(patch, length, width, turned, shift), joint
    if kind == "rows":
        width = random.uniform(0.1, 0.3)
        length, shift = width * random.uniform(1.2, 3.0), random.choice((0.5, 0.33, 0.37))
        return lambda patch: _running(patch, length, width, turned, shift), joint
    if kind == "bricks":
        return lambda patch: _running(patch, 0.2, 0.1, turned, 0.5), joint
    if kind == "herring":
        width = random.uniform(0.08, 0.16)
        return lambda patch: _herringbone(patch, 2 * width, width, turned), joint
    if kind == "basket":
        width = random.uniform(0.1, 0.2)
        return lambda patch: _basket(patch, width, turned), joint
    size = random.uniform(0.3, 0.8) if kind == "flags" else random.uniform(0.06, 0.16)
    return lambda patch: _broken(patch, size, turned), size * random.uniform(0.03, 0.09)


def planks(random: Random, angle: float) -> Material:
    """Return a deck of boards with grain, some bleached, with dark gaps."""
    width, length = random.uniform(0.08, 0.2), random.uniform(1.5, 4.0)
    wood = pick(_WOODS, random, spread=12)
    table = contrast(wood, random.uniform(0.25, 0.6))
    gap, stray = random.uniform(0.003, 0.012), random.uniform(0.2, 0.9)
    dark = wood * random.uniform(0.15, 0.5)

    def material(patch: Patch) -> Metres:
        laid = _running(patch, length, width, angle, 0.37)
        grain = patch.cells(0.012, angle, long=30).edge - np.float32(0.25)
        level = np.float32(stray) * by_chance(laid.index) + grain * np.float32(2.5 * patch.sharpness(0.012))
        level += 0.4 * patch.texture(0.5, salt=1) + 0.3 * patch.texture(3, salt=2)
        wide = max(gap, 0.3 * patch.gsd_m)
        joint = np.clip(1.3 - laid.joint / np.float32(wide), 0, 1) * np.float32(patch.sharpness(4 * gap))
        return mixed(toned(table, level), dark, joint)

    return material
