"""What weather, optics and file formats do to an image: shadows, blur, noise, JPEG; by Pillow and NumPy."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segment.training.variation import Variation

_SHADE = (0.3, 0.75)
"""What is left of the light."""
_SKY = np.array([0.92, 1.0, 1.12], np.float32).reshape(3, 1, 1)
"""A shadow is lit by the sky, so it is bluer."""
_CORNERS = (3, 6)
_SPREAD = (0.15, 0.5)
_BLUR_PX = (0.3, 1.2)
_NOISE = (2.0, 10.0)
_QUALITY = (25, 90)

Pixels = NDArray[np.uint8]


def shadowed(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with the shadow of something that is not seen: a polygon with a soft edge, bluish.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, height, width)
        Red, green, blue.
    generator : numpy.random.Generator
        The only source of chance.
    """
    height, width = pixels.shape[1:]
    corners = int(generator.integers(_CORNERS[0], _CORNERS[1] + 1))
    around = np.sort(generator.uniform(0, 2 * np.pi, corners))
    far = generator.uniform(*_SPREAD, corners) * max(height, width)
    centre = generator.uniform(0, (width, height))
    cover = Image.new("L", (width, height))
    outline = centre + far[:, np.newaxis] * np.stack([np.cos(around), np.sin(around)], axis=1)
    ImageDraw.Draw(cover).polygon([tuple(corner) for corner in outline.tolist()], fill=255)
    soft = cover.filter(ImageFilter.BoxBlur(float(generator.uniform(0.5, 3))))
    share = np.asarray(soft, np.float32) / 255
    light = np.float32(generator.uniform(*_SHADE)) * _SKY
    dark: Pixels = np.clip(pixels * (1 + share * (light - 1)) + 0.5, 0, 255).astype(np.uint8)
    return dark


def blurred(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image blurred by a Gauss of 0.3 to 1.2 model pixels."""
    soften = ImageFilter.GaussianBlur(float(generator.uniform(*_BLUR_PX)))
    return np.stack([np.asarray(Image.fromarray(plane).filter(soften)) for plane in pixels])


def noisy(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with Gaussian noise of 2 to 10 levels, of each channel by itself."""
    noise = generator.standard_normal(pixels.shape, np.float32) * np.float32(generator.uniform(*_NOISE))
    changed: Pixels = np.clip(pixels + noise + np.float32(0.5), 0, 255).astype(np.uint8)
    return changed


def compressed(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image as a JPEG of quality 25 to 90 gives it back."""
    file = io.BytesIO()
    quality = int(generator.integers(_QUALITY[0], _QUALITY[1] + 1))
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(file, "JPEG", quality=quality)
    return np.ascontiguousarray(np.asarray(Image.open(file)).transpose(2, 0, 1))


def weathered(pixels: Pixels, variation: Variation, generator: np.random.Generator) -> Pixels:
    """Return an image of which the shares that a variation names went through the above, in the order of a camera."""
    steps = (
        (variation.shadow, shadowed),
        (variation.blur, blurred),
        (variation.noise, noisy),
        (variation.jpeg, compressed),
    )
    for share, step in steps:
        if share and generator.random() < share:
            pixels = step(pixels, generator)
    return pixels
