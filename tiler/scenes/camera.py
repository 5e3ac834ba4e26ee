"""Take the picture of a painted scene as cameras do: light, lens, sensor; labels stay where they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

Random = np.random.Generator
Pixels = NDArray[np.uint8]

_CHUNK_ROWS = 1024
_MARGIN_ROWS = 24
"""Rows beyond a chunk that blur and motion may look at."""
_NOISE_PX = 512


@dataclass(frozen=True, slots=True)
class Camera:
    """How a photo is taken; every photo has a camera of its own."""

    brightness: float | None
    """Mean grey value that the exposure aims at; None leaves the light as it is."""
    balance: tuple[float, float, float]
    """Red, green and blue are brighter by these factors."""
    gamma: float
    """Middle tones are darker above 1, brighter below."""
    contrast: float
    """Weight of an S-curve, 0 to 1."""
    haze: float
    """Share of white light that lies over all, 0 to 1."""
    colour: float
    """Saturation, 1 as painted."""
    vignette: float
    """How much darker the corners are, 0 to 1."""
    blur: float
    """Radius of the lens's blur, pixels."""
    motion: tuple[float, float]
    """(rows, cols) that the ground moves during the exposure, pixels."""
    fringe: tuple[int, int]
    """(rows, cols) by which red lies beside green, and blue on the other side, pixels."""
    noise: float
    """Deviation of the sensor's noise, grey values."""
    coarse: float
    """Share of the noise that spans several pixels, as in photos that were enlarged or cleaned."""
    sharpen: float
    """Strength of the sharpening, 0 for none."""
    quality: int
    """Quality of the JPEG file."""


def draw_camera(random: Random) -> Camera:
    """Return a random camera, from a careful one in good light to a shaken one in bad light."""
    warmth, tint = random.normal(-0.01, 0.04), random.normal(0, 0.012)
    shaken, soft = random.random() < 0.2, random.random() < 0.25
    bearing, way = random.uniform(0, 2 * math.pi), random.uniform(1, 6) if shaken else 0.0
    fringe = random.integers(-1, 2, 2) if random.random() < 0.25 else (0, 0)
    return Camera(
        brightness=float(np.clip(random.normal(110, 17), 60, 165)),
        balance=(1 + warmth + tint, 1 - tint, 1 - warmth + tint),
        gamma=math.exp(random.normal(0, 0.2)),
        contrast=float(random.uniform(0, 0.35)),
        haze=float(random.exponential(0.04)) if random.random() < 0.5 else 0.0,
        colour=float(random.uniform(0.4, 1.35)),
        vignette=float(random.uniform(0, 0.45)) if random.random() < 0.6 else 0.0,
        blur=float(random.uniform(0.75, 1.6)) if soft else float(random.uniform(0.3, 0.75)),
        motion=(way * math.sin(bearing), way * math.cos(bearing)),
        fringe=(int(fringe[0]), int(fringe[1])),
        noise=float(random.gamma(1.6, 1.4)),
        coarse=float(random.uniform(0, 0.8)),
        sharpen=float(random.uniform(0.2, 1.1)) if random.random() < 0.6 else 0.0,
        quality=int(random.integers(55, 80) if random.random() < 0.2 else random.integers(80, 98)),
    )


def photograph(
    pixels: Pixels, camera: Camera, random: Random, advance: Callable[[float], None] = lambda share: None
) -> Pixels:
    """Return the picture that a camera takes, shape (height, width, 3); `advance` gets the share that is done."""
    taken = np.empty_like(pixels)
    curves = _curves(camera, _exposure(pixels, camera))
    starts = random.integers(0, _NOISE_PX, (len(pixels) // _CHUNK_ROWS + 1, 2))
    for index, top in enumerate(range(0, len(pixels), _CHUNK_ROWS)):
        advance(top / len(pixels))
        first, last = max(top - _MARGIN_ROWS, 0), min(top + _CHUNK_ROWS + _MARGIN_ROWS, len(pixels))
        rows = _optics(pixels[first:last], camera, curves)[top - first :][: min(_CHUNK_ROWS, len(pixels) - top)]
        light = _falloff(rows.shape[:2], top, len(pixels), camera.vignette) * rows
        light += _noise(rows.shape, camera, starts[index])
        taken[top : top + len(rows)] = _sharpened(np.clip(light + np.float32(0.5), 0, 255).astype(np.uint8), camera)
    return taken


def _optics(pixels: Pixels, camera: Camera, curves: Pixels) -> Pixels:
    """Return pixels after haze, exposure, curve, saturation and blur."""
    picture = Image.fromarray(pixels).point([int(value) for value in curves.T.ravel()])
    if camera.blur > 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(camera.blur))
    toned = np.asarray(ImageEnhance.Color(picture).enhance(camera.colour))
    return _fringed(_shaken(toned, camera.motion), camera.fringe)


def _exposure(pixels: Pixels, camera: Camera) -> float:
    """Return the factor of light with which the picture becomes as bright as the camera aims at."""
    if camera.brightness is None:
        return 1.0
    share = np.bincount(pixels[::8, ::8].ravel(), minlength=256) / pixels[::8, ::8].size
    least, most = 0.2, 5.0
    for _ in range(10):
        middle = math.sqrt(least * most)
        dark = share @ _curves(camera, middle).mean(axis=1) < camera.brightness
        least, most = (middle, most) if dark else (least, middle)
    return math.sqrt(least * most)


def _curves(camera: Camera, exposure: float) -> Pixels:
    """Return the table from painted to taken values, shape (256, 3)."""
    light = np.arange(256)[:, np.newaxis] / 255 * (1 - camera.haze) + 0.8 * camera.haze
    light = np.clip(light * np.multiply(camera.balance, exposure), 0, None) ** camera.gamma
    light = np.minimum(light, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2))  # bright things clip softly
    curved = np.clip(light, 0, 1)
    curved = curved * curved * (3 - 2 * curved)
    mixed = light * (1 - camera.contrast) + curved * camera.contrast
    table: Pixels = np.clip(mixed * 255 + 0.5, 0, 255).astype(np.uint8)
    return table


def _shaken(pixels: Pixels, motion: tuple[float, float]) -> Pixels:
    """Return the mean of pixels along a way, for it is what a moving camera sees."""
    steps = math.ceil(max(abs(motion[0]), abs(motion[1])))
    if steps < 1:
        return pixels
    total = np.zeros(pixels.shape, np.uint16)
    for step in range(steps + 1):
        share = step / steps - 0.5
        total += _shifted(pixels, round(share * motion[0]), round(share * motion[1]))
    mean: Pixels = (total // (steps + 1)).astype(np.uint8)
    return mean


def _fringed(pixels: Pixels, fringe: tuple[int, int]) -> Pixels:
    if fringe == (0, 0):
        return pixels
    fringed = pixels.copy()
    for channel, way in ((0, 1), (2, -1)):
        fringed[..., channel] = _shifted(pixels[..., channel], way * fringe[0], way * fringe[1])
    return fringed


def _shifted(pixels: Pixels, rows: int, cols: int) -> Pixels:
    """Return pixels moved by so many rows and columns; the edge repeats."""
    height, width = pixels.shape[:2]
    if rows:
        pixels = pixels[np.clip(np.arange(height) - rows, 0, height - 1)]
    return pixels[:, np.clip(np.arange(width) - cols, 0, width - 1)] if cols else pixels


def _falloff(shape: tuple[int, ...], top: int, height: int, vignette: float) -> NDArray[np.float32]:
    """Return the share of light that reaches each pixel, shape (rows, cols, 1) or what broadcasts to it."""
    if not vignette:
        return np.ones((1, 1, 1), np.float32)
    rows = ((np.arange(top, top + shape[0]) + 0.5) / height * 2 - 1).astype(np.float32)
    cols = ((np.arange(shape[1]) + 0.5) / shape[1] * 2 - 1).astype(np.float32)
    return 1 - np.float32(vignette / 2) * (rows[:, np.newaxis] ** 2 + cols**2)[..., np.newaxis]


@cache
def _noise_bank() -> NDArray[np.float32]:
    """Return noise that tiles without a joint, fine and coarse, each of deviation 1, shape (2, side, side, 3)."""
    fine = np.random.default_rng(5).standard_normal((_NOISE_PX, _NOISE_PX, 3)).astype(np.float32)
    fine = 0.75 * fine + 0.66 * fine.mean(axis=2, keepdims=True) * math.sqrt(3)  # most of it is brightness
    coarse = sum(np.roll(fine, shift, (0, 1)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2)))
    return np.stack([fine / fine.std(), coarse / np.std(coarse)])


def _noise(shape: tuple[int, ...], camera: Camera, start: NDArray[np.int64]) -> NDArray[np.float32]:
    fine, coarse = _noise_bank()
    mixed = camera.noise * ((1 - camera.coarse) * fine + camera.coarse * coarse)
    repeats = shape[0] // _NOISE_PX + 2, shape[1] // _NOISE_PX + 2, 1
    tiled: NDArray[np.float32] = np.tile(mixed.astype(np.float32), repeats)[start[0] :, start[1] :][
        : shape[0], : shape[1]
    ]
    return tiled


def _sharpened(pixels: Pixels, camera: Camera) -> Pixels:
    if not camera.sharpen:
        return pixels
    sharp = Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(1.2, round(100 * camera.sharpen), 0))
    return np.asarray(sharp)
