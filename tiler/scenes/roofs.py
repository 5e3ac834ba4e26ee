"""What covers roofs: tiles, slate, metal, bitumen; each lies in rows along the ridge."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tiler.scenes.canvas import Material, Patch
from tiler.scenes.noise import by_chance
from tiler.scenes.paving import courses
from tiler.scenes.shapes import Metres, Point, axes
from tiler.scenes.thing import Random
from tiler.scenes.tones import contrast, grey, mixed, pick, toned

Covering = Callable[[Point, float], Material]
"""What a roof looks like, once it is known where its middle is seen (y, x), and which way its ridge runs."""

_CLAY = ((168, 86, 62), (146, 70, 54), (186, 110, 78), (122, 66, 56), (150, 96, 84), (112, 60, 50), (176, 98, 74),
         (110, 86, 92), (124, 94, 94), (96, 76, 84))  # fmt: skip
_DULL = ((78, 78, 82), (58, 58, 62), (98, 92, 90), (70, 62, 60), (112, 108, 106), (46, 48, 52), (128, 120, 112))
_METAL = ((150, 154, 158), (84, 88, 94), (52, 56, 60), (96, 132, 120), (126, 60, 52), (176, 178, 178), (70, 90, 80))


def tiles(random: Random) -> Covering:
    """Return clay or concrete tiles: rows with a dark lower edge, each tile of a shade of its own, weathered."""
    colour = pick(_CLAY if random.random() < 0.65 else _DULL, random, spread=10)
    table = contrast(colour, random.uniform(0.35, 0.9))
    width, row = random.uniform(0.18, 0.34), random.uniform(0.22, 0.42)
    bulge, step, stray = random.uniform(0.1, 1.8), random.uniform(0.6, 2.6), random.uniform(0.15, 1.1)
    shift = random.choice((0.0, 0.5))
    rough, streak = random.uniform(0.2, 0.8), random.uniform(0.0, 0.6)
    worn, guards = _weather(random), _guards(random)

    def covering(at: Point, angle: float) -> Material:
        local = axes(at, angle)

        def material(patch: Patch) -> Metres:
            along, across = local(patch.y, patch.x)
            index, beside, down = courses(along, across, length=width, width=row, shift=shift)
            level = np.float32(stray * patch.sharpness(width)) * by_chance(index)
            wave = np.cos(beside * np.float32(2 * math.pi))
            level = level + np.float32(bulge * patch.sharpness(width / 2)) * wave
            level -= np.float32(step * patch.sharpness(row / 2)) * (down < 0.16)
            streaks = patch.cells(0.03, angle + math.pi / 2, long=12)
            level += np.float32(streak * patch.sharpness(0.06)) * by_chance(streaks.index, 5)
            level += rough * (0.6 * patch.texture(0.01, salt=10) + 0.6 * patch.texture(0.06, salt=11))
            return worn(toned(table, level + guards(patch, along, across)), patch)

        return material

    return covering


def slates(random: Random) -> Covering:
    """Return slate, shingles or sheets of bitumen: flat pieces with thin joints."""
    table = contrast(pick(_DULL, random, spread=8), random.uniform(0.25, 0.6))
    width = random.uniform(0.15, 1.1)
    row = width * random.uniform(0.4, 1.2)
    joint, stray, rough = random.uniform(0.006, 0.03), random.uniform(0.1, 0.7), random.uniform(0.2, 0.7)
    worn, guards = _weather(random), _guards(random)

    def covering(at: Point, angle: float) -> Material:
        local = axes(at, angle)

        def material(patch: Patch) -> Metres:
            along, across = local(patch.y, patch.x)
            index, beside, down = courses(along, across, length=width, width=row, shift=0.5)
            level = np.float32(stray * patch.sharpness(width)) * by_chance(index)
            wide = max(joint, 0.4 * patch.gsd_m)
            on_joint = (down * np.float32(row) < wide) | (beside * np.float32(width) < wide)
            level = (
                level
                - np.float32(1.4 * patch.sharpness(3 * joint)) * on_joint
                + rough * patch.texture(0.012)
                + 0.3 * patch.texture(0.2, salt=11)
            )
            return worn(toned(table, level + guards(patch, along, across)), patch)

        return material

    return covering


def sheets(random: Random) -> Covering:
    """Return metal with standing seams, or corrugated."""
    colour = pick(_METAL, random, spread=8)
    table = contrast(colour, random.uniform(0.3, 0.8))
    corrugated = random.random() < 0.45
    pitch = random.uniform(0.08, 0.3) if corrugated else random.uniform(0.3, 0.7)
    depth, glare = random.uniform(0.6, 2.0), random.uniform(0.1, 0.8)
    rust = _weather(random)

    def covering(at: Point, angle: float) -> Material:
        local = axes(at, angle)

        def material(patch: Patch) -> Metres:
            along, _ = local(patch.y, patch.x)
            place = np.mod(along, np.float32(pitch)) / np.float32(pitch)
            if corrugated:
                level = np.sin(place * np.float32(2 * math.pi)) * np.float32(depth * patch.sharpness(pitch / 2))
            else:
                seam = max(0.03, 0.5 * patch.gsd_m) / pitch
                level = ((place < seam) - 0.8 * ((place >= seam) & (place < 2 * seam))) * np.float32(
                    depth * patch.sharpness(0.1)
                )
            return rust(
                toned(table, level + glare * patch.texture(3.0, steep=3, salt=4) + 0.25 * patch.texture(0.05, salt=10)),
                patch,
            )

        return material

    return covering


def felt(random: Random) -> Covering:
    """Return bitumen or a membrane on a flat roof: one grey with the laps of sheets, puddles and dirt."""
    table = contrast(grey(random, 40, 215, hue=5), random.uniform(0.15, 0.45))
    pitch, grain = random.uniform(0.9, 1.6), random.uniform(0.1, 0.7)
    cloudy = random.uniform(0, 0.35)
    puddle, deep = random.uniform(0.4, 2.0), random.uniform(0.2, 1.2)
    worn = _weather(random)

    def covering(at: Point, angle: float) -> Material:
        local = axes(at, angle)

        def material(patch: Patch) -> Metres:
            along, _ = local(patch.y, patch.x)
            lap = np.mod(along, np.float32(pitch)) < max(0.05, patch.gsd_m)
            level = grain * patch.texture(0.012) - np.float32(0.7 * patch.sharpness(0.08)) * lap
            level -= deep * np.clip((patch.texture(1.8, steep=2.6, salt=3) - puddle) * 3, 0, 1)
            return worn(toned(table, level + cloudy * patch.texture(2.5, steep=2.4, salt=5)), patch)

        return material

    return covering


def pitched(random: Random) -> Covering:
    """Return what may cover a sloping roof."""
    maker = random.choice(4, p=(0.56, 0.18, 0.18, 0.08))
    return (tiles, slates, sheets, felt)[maker](random)


def _guards(random: Random) -> Callable[[Patch, Metres, Metres], Metres | float]:
    """Return the dots that guards against sliding snow make, in staggered rows, on some roofs."""
    if random.random() < 0.75:
        return lambda patch, along, across: 0.0
    pitch, row, size = random.uniform(0.5, 1.1), random.uniform(0.7, 1.6), random.uniform(0.05, 0.1)
    change = random.choice((-1.6, 1.6))

    def dots(patch: Patch, along: Metres, across: Metres) -> Metres:
        line = np.floor(across / np.float32(row))
        beside = np.mod(along + line * np.float32(pitch / 2), np.float32(pitch))
        here = (beside < size) & (across - line * np.float32(row) < size)
        found: Metres = here.astype(np.float32) * np.float32(change * patch.sharpness(size))
        return found

    return dots


def _weather(random: Random) -> Callable[[Metres, Patch], Metres]:
    """Return what dirt, moss and lichen do to colours."""
    cloud, size = random.uniform(0.0, 0.09), random.uniform(1.5, 5.0)
    lichen = random.uniform(1.4, 2.4) if random.random() < 0.4 else 9.0
    spot = random.uniform(0.02, 0.07)
    moss = random.uniform(0.5, 2.0) if random.random() < 0.4 else 9.0
    green = pick(((84, 92, 52), (60, 66, 40), (110, 108, 84), (140, 138, 126)), random)

    def worn(colours: Metres, patch: Patch) -> Metres:
        colours = colours * (1 + np.float32(cloud) * patch.texture(size, steep=2.6, salt=7))[..., np.newaxis]
        if lichen < 9:
            colours = mixed(colours, np.asarray((206, 204, 194)), (patch.texture(spot, salt=8) - lichen) * 4)
        if moss < 9:
            colours = mixed(
                colours, green, 0.8 * patch.texture(0.5, salt=9) + 0.5 * patch.texture(0.04, salt=12) - moss
            )
        return colours

    return worn
