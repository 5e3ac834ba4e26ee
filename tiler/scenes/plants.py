"""Trees, bushes and hedges of a neighbourhood, and boulders between them."""

from __future__ import annotations

import math

from tiler.scenes import materials
from tiler.scenes.canvas import Canvas
from tiler.scenes.shapes import Point, blob, box, ellipse, turn, union
from tiler.scenes.thing import ID, Random, Thing, shade_between


def tree(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a leafy tree: a crown of several lobes."""
    lobes = [blob(at, 0.8 * radius, random)]
    for bearing in random.uniform(0, 2 * math.pi, 7):
        dy, dx = turn((0.52 * radius, 0), bearing)
        lobes.append(blob((at[0] + dy, at[1] + dx), radius * random.uniform(0.38, 0.55), random))
    outline = union(lobes)
    green = shade_between((40, 70, 26), (66, 98, 44), random)

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.leafy(green * 0.78, at, radius, sun), ID["tree"], ragged_m=0.06)
        for lobe in lobes[1:]:
            canvas.paint(lobe.grown(-0.12 * radius), materials.leafy(green * 1.06, lobe.centre, radius / 2, sun),
                         ragged_m=0.08, opacity=0.8)  # fmt: skip

    return Thing(random.uniform(4, 9), outline, paint)


def bald_tree(at: Point, radius: float, random: Random) -> Thing:
    """Return a tree without leaves; its whole crown carries the label, ground between the twigs too."""
    outline = blob(at, radius, random, rough=0.1)
    bark = shade_between((104, 88, 72), (136, 122, 108), random)
    branches = []
    for bearing in random.uniform(0, 2 * math.pi, 46):
        start, length = random.uniform(0, 0.55) * radius, random.uniform(0.3, 0.45) * radius
        dy, dx = turn((start + length / 2, 0), bearing)
        bend = bearing + random.normal(0, 0.35)
        branch = box((at[0] + dy, at[1] + dx), length, 0.12 - 0.05 * start / radius, bend)
        branches.append((branch, random.uniform(0.75, 1.5)))

    def paint(canvas: Canvas) -> None:
        canvas.paint(outline, materials.speckled(bark * 0.62, grain=14, clumps=14, clouds=0), ID["bald-tree"],
                     opacity=0.62, ragged_m=0.1)  # fmt: skip
        for branch, light in branches:
            canvas.paint(branch, materials.plain(bark * light, grain=8))
        canvas.paint(ellipse(at, 0.45, 0.45), materials.plain(bark * 0.6))

    return Thing(random.uniform(4, 7), outline, paint)


def bush(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a bush or a bed of shrubs."""
    outline = blob(at, radius, random, rough=0.15)
    green = shade_between((84, 112, 40), (112, 136, 62), random)
    leaves = materials.leafy(green, at, radius, sun, depth=26)
    return Thing(0.9, outline, lambda canvas: canvas.paint(outline, leaves, ID["vegetation"], ragged_m=0.05))


def hedge(at: Point, length: float, angle: float, sun: Point, random: Random) -> Thing:
    """Return a clipped hedge."""
    outline = box(at, length, random.uniform(0.8, 1.2), angle, corner=0.3)
    leaves = materials.leafy(shade_between((76, 104, 38), (98, 124, 52), random), at, length, sun, depth=22)
    return Thing(1.3, outline, lambda canvas: canvas.paint(outline, leaves, ID["vegetation"], ragged_m=0.05))


def rock(at: Point, radius: float, sun: Point, random: Random) -> Thing:
    """Return a boulder, bright on the side of the sun."""
    outline = blob(at, radius, random, rough=0.16)
    grey = shade_between((116, 110, 102), (150, 144, 136), random)
    lit = materials.leafy(grey, at, 0.55 * radius, sun, depth=5)
    return Thing(0.5 * radius + 0.2, outline, lambda canvas: canvas.paint(outline, lit, ID["rocks"]))
