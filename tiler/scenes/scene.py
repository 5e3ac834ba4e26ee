"""Paint a planned scene, and take its picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tiler.scenes import materials
from tiler.scenes.camera import draw_camera, photograph
from tiler.scenes.canvas import Canvas
from tiler.scenes.eye import Eye, Light, draw_eye, draw_light
from tiler.scenes.layout import plan_layout
from tiler.scenes.request import GSD_M, World
from tiler.scenes.shapes import box, union
from tiler.scenes.thing import ID, Random, Thing

_CHUNK_ROWS = 1024
_MEADOW, _THINGS = 0.25, 0.5
"""Shares of the time that the meadow takes, and what stands on it; the rest is the picture."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture from above and what is in it."""

    pixels: NDArray[np.uint8]
    """Red, green, blue, shape (height, width, 3)."""
    labels: NDArray[np.uint8]
    """Class ids of the drone table, shape (height, width)."""
    gsd_m: float
    """Ground sample distance, metres per pixel."""
    quality: int = 92
    """Quality of a JPEG file of it."""


def make_scene(
    height: int,
    width: int,
    *,
    seed: int | tuple[int, ...],
    gsd_m: float = GSD_M,
    world: World = "neighbourhood",
    mosaic: bool = False,
    advance: Callable[[float], None] = lambda share: None,
) -> Scene:
    """Return a scene.

    Parameters
    ----------
    height, width : int
        Size of the picture, pixels.
    seed : int or tuple of int
        The same seed, size and ground sample distance give the same bytes.
    gsd_m : float
        Ground sample distance, metres per pixel.
    world : str
        What kind of scene.
    mosaic : bool
        Whether the picture is put together of many, and shows everything from straight above.
    advance : callable
        Called now and then with the share of the work that is done, below 1.

    Returns
    -------
    Scene
        Every pixel has a label; `unlabeled` and `conflicting` do not occur.
    """
    random = np.random.default_rng(seed)
    shift = random.integers(0, 2**20, 2)
    canvas = Canvas((height, width), gsd_m=gsd_m, shift=(int(shift[0]), int(shift[1])))
    layout = plan_layout(canvas.shape_m, random, world)
    canvas.light = Light(layout.sun, layout.shadow)
    if world == "varied":
        canvas.shaded = np.zeros((height, width), np.uint8)
        canvas.light = draw_light(layout.sun, random)
        canvas.eye = Eye() if mosaic else draw_eye(canvas.shape_m, random)
    if layout.meadow:
        _paint_meadow(canvas, random, lambda share: advance(_MEADOW * share))
    for done, thing in enumerate(layout.things):
        advance(_MEADOW + _THINGS * done / len(layout.things))
        if thing.shadow:
            _cast_shadow(canvas, thing)
        thing.paint(canvas)
    rest = 1 - _MEADOW - _THINGS

    def tell(share: float) -> None:
        advance(1 - rest + 0.9 * rest * share)

    if world == "varied":
        camera = draw_camera(random)
        return Scene(photograph(canvas.pixels, camera, random, tell), canvas.labels, gsd_m, camera.quality)
    return Scene(_photograph(canvas.pixels, random, tell), canvas.labels, gsd_m)


def _paint_meadow(canvas: Canvas, random: Random, advance: Callable[[float], None]) -> None:
    height, width = canvas.shape_m
    everywhere = box((height / 2, width / 2), 2 * width, 2 * height)
    lush, dry = (np.asarray(shade) + random.normal(0, 6) for shade in ((90, 120, 56), (127, 130, 76)))
    meadow = materials.blended(
        materials.speckled(lush, grain=9, clumps=7, clouds=4), materials.speckled(dry, grain=9, clumps=6, clouds=4)
    )
    canvas.paint(everywhere, meadow, ID["grass"], advance=advance)


def _cast_shadow(canvas: Canvas, thing: Thing) -> None:
    """Darken where a thing hides the sun: its outline, swept along the ground."""
    light = canvas.light
    start, length = thing.lift_m * light.length, (thing.height_m - thing.lift_m) * light.length
    steps = max(math.ceil(length / max(0.5 * thing.outline.reach_m, 0.2)), 1)
    ways = [start + length * step / steps for step in range(1, steps + 1)]
    swept = [thing.outline.moved(light.sun[0] * way, light.sun[1] * way) for way in ways]
    canvas.shade(union(swept), light.shadow, soft_m=0.05 + light.blur * thing.height_m)


def _photograph(pixels: NDArray[np.uint8], random: Random, advance: Callable[[float], None]) -> NDArray[np.uint8]:
    """Return the picture as a camera would take it: lens blur, exposure, white balance, noise."""
    balance = random.normal(1, 0.025, 3) * random.normal(1, 0.07)
    curve = np.arange(256)[:, np.newaxis] * balance + random.normal(0, 4)
    table = np.clip(curve + 0.5, 0, 255).astype(np.uint8)
    taken = np.empty_like(pixels)
    for top in range(0, len(pixels), _CHUNK_ROWS):
        advance(top / len(pixels))
        first, last = max(top - 4, 0), min(top + _CHUNK_ROWS + 4, len(pixels))
        blurred = Image.fromarray(pixels[first:last]).filter(ImageFilter.GaussianBlur(0.6))
        rows = np.asarray(blurred)[top - first :][: min(_CHUNK_ROWS, len(pixels) - top)]
        noise = random.integers(-5, 6, rows.shape, np.int16) + random.integers(-4, 5, rows.shape, np.int16)
        for channel in range(3):
            lit = table[rows[..., channel], channel] + noise[..., channel]
            taken[top : top + len(rows), :, channel] = np.clip(lit, 0, 255)
    return taken
