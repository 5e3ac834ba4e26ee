"""What things look like from above."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tiler.scenes.canvas import Material, Patch, Roughness
from tiler.scenes.shapes import Metres, Point, axes

Colour = Sequence[float] | Metres


def _rgb(colour: Colour) -> Metres:
    return np.asarray(colour, np.float32)


def plain(colour: Colour, *, grain: float = 3.0) -> Material:
    """Return one colour with a little grain."""
    return speckled(colour, grain=grain, clumps=0, clouds=0)


def speckled(colour: Colour, *, grain: float = 6.0, clumps: float = 6.0, clouds: float = 6.0) -> Material:
    """Return one colour with noise of three sizes, brighter and darker."""
    layers: tuple[tuple[Roughness, float, float], ...] = (
        ("grain", 1, grain), ("clumps", 2, clumps), ("clouds", 3, clouds),
    )  # fmt: skip

    def material(patch: Patch) -> Metres:
        colours = _rgb(colour)
        for roughness, zoom, amount in layers:
            if amount:
                colours = colours + np.float32(amount) * patch.noise(roughness, zoom)
        return colours

    return material


def blended(first: Material, second: Material, *, by: Roughness = "clouds", zoom: float = 3.0) -> Material:
    """Return a material that changes between two, such as a meadow between lush and dry."""

    def material(patch: Patch) -> Metres:
        share = np.clip(0.5 + 0.4 * patch.noise(by, zoom), 0, 1)
        colours: Metres = first(patch) * (1 - share) + second(patch) * share
        return colours

    return material


def striped(base: Material, centre: Point, angle: float, *, pitch_m: float, line_m: float, change: float) -> Material:
    """Return a material with lines across the direction of `angle`, each `pitch_m` apart and `change` brighter."""
    local = axes(centre, angle)

    def material(patch: Patch) -> Metres:
        along, _ = local(patch.y, patch.x)
        on_line = np.mod(along, np.float32(pitch_m)) < line_m
        colours: Metres = base(patch) + change * on_line[..., np.newaxis].astype(np.float32)
        return colours

    return material


def slabs(base: Material, centre: Point, angle: float, *, pitch_m: float, line_m: float, change: float) -> Material:
    """Return a material of square slabs with joints."""
    once = striped(base, centre, angle, pitch_m=pitch_m, line_m=line_m, change=change)
    return striped(once, centre, angle + math.pi / 2, pitch_m=pitch_m, line_m=line_m, change=change)


def rippled(colour: Colour, *, light: float, zoom: float) -> Material:
    """Return water: a colour with bright crests."""

    def material(patch: Patch) -> Metres:
        crests = np.maximum(1 - np.abs(patch.noise("clouds", zoom)) * 3, 0)
        colours: Metres = _rgb(colour) + light * crests + 3 * patch.noise("clouds", 4) + 1.5 * patch.noise("grain")
        return colours

    return material


def leafy(colour: Colour, centre: Point, radius: float, sun: Point, *, depth: float = 20.0) -> Material:
    """Return a crown: leaves in clumps, lit from the side of the sun."""

    def material(patch: Patch) -> Metres:
        side = ((patch.y - centre[0]) * sun[0] + (patch.x - centre[1]) * sun[1])[..., np.newaxis] / max(radius, 0.1)
        leaves = depth * patch.noise("clumps", 2) + 0.5 * depth * patch.noise("grain", 3)
        colours: Metres = _rgb(colour) * (1 - 0.22 * np.clip(side, -1.2, 1.2)) + leaves * np.asarray(
            [0.9, 1.0, 0.6], np.float32
        )
        return colours

    return material
