"""What made things look like: paint, cloth, boards and slabs, sharp from near by and even from afar."""

from __future__ import annotations

import math

import numpy as np

from tiler.scenes.canvas import Material, Patch
from tiler.scenes.materials import Colour
from tiler.scenes.shapes import Metres, Point, axes

_SIZES = {"grain": 0.008, "clumps": 0.04, "clouds": 0.9}
"""Sizes of the features of the noise, metres."""


def plain(colour: Colour, *, grain: float = 3.0) -> Material:
    """Return one colour with a little grain."""
    return speckled(colour, grain=grain, clumps=0.5 * grain, clouds=grain)


def speckled(colour: Colour, *, grain: float = 6.0, clumps: float = 6.0, clouds: float = 6.0) -> Material:
    """Return one colour with noise of three sizes, brighter and darker; amounts are grey values."""
    base = np.asarray(colour, np.float32)
    layers = [(size, amount) for size, amount in zip(_SIZES.values(), (grain, clumps, clouds), strict=True) if amount]

    def material(patch: Patch) -> Metres:
        level = np.zeros((1, 1), np.float32)
        for salt, (size, amount) in enumerate(layers):
            level = level + np.float32(amount) * patch.texture(size, salt=salt + 20)
        colours: Metres = base + level[..., np.newaxis]
        return colours

    return material


def striped(base: Material, centre: Point, angle: float, *, pitch_m: float, line_m: float, change: float) -> Material:
    """Return a material with lines across the direction of `angle`, each `pitch_m` apart and `change` brighter."""
    local = axes(centre, angle)

    def material(patch: Patch) -> Metres:
        along, _ = local(patch.y, patch.x)
        colours: Metres = (
            base(patch) + np.float32(change) * _lines(along, pitch_m, line_m, patch.gsd_m)[..., np.newaxis]
        )
        return colours

    return material


def slabs(base: Material, centre: Point, angle: float, *, pitch_m: float, line_m: float, change: float) -> Material:
    """Return a material of square slabs with joints."""
    once = striped(base, centre, angle, pitch_m=pitch_m, line_m=line_m, change=change)
    return striped(once, centre, angle + math.pi / 2, pitch_m=pitch_m, line_m=line_m, change=change)


def _lines(along: Metres, pitch: float, line: float, gsd: float) -> Metres:
    """Return the share of each pixel that lies on a line."""
    if pitch < 2 * gsd:
        return np.full((1, 1), line / pitch, np.float32)
    wide = max(line, gsd)
    apart = np.abs(np.mod(along, np.float32(pitch)) - np.float32(pitch / 2))
    covered: Metres = np.clip((np.float32(wide / 2) - apart) / np.float32(gsd) + np.float32(0.5), 0, 1)
    return covered * np.float32(line / wide)
