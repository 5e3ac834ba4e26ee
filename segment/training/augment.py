"""Vary a training crop: turns and mirrors, and mild changes of its colours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.2, 0.2
_BALANCE = 0.05
_HUE = math.radians(5)
_LUMA = np.array([0.299, 0.587, 0.114])
_GREY_AXIS = np.full(3, 1 / math.sqrt(3))

Pixels = NDArray[np.uint8]


def augment(pixels: Pixels, labels: Pixels, generator: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Return a crop turned or mirrored, image and labels alike, with the colours of the image changed.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, side, side)
        Red, green, blue.
    labels : ndarray of uint8, shape (side, side)
        Class ids; only ever moved.
    generator : numpy.random.Generator
        The only source of chance.
    """
    symmetry = int(generator.integers(8))
    return jitter(turn(pixels, symmetry), generator), turn(labels, symmetry)


def turn(array: Pixels, symmetry: int) -> Pixels:
    """Return an array under one of the 8 symmetries of the square, along its last two axes.

    An image taken straight down has no up, so each of the 8 is as likely as the one that was flown.

    Parameters
    ----------
    array : ndarray, shape (..., side, side)
        Pixels or labels.
    symmetry : int
        0 to 7. 0 to 3 are so many quarter turns; 4 to 7 are the same, then mirrored. 0 changes nothing.
    """
    turned = np.rot90(array, symmetry % 4, axes=(-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if symmetry >= 4 else turned)


def jitter(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with brightness, contrast, saturation, white balance and hue changed a little.

    White balance changes by at most 5 %, hue by 5 degrees, the others by 20 %. Hue turns colours about the grey axis
    (Rodrigues' formula). Saturation moves them from or to their luma. White balance scales channels, and brightness
    scales all of them. These are linear in the colours, so they are one 3 x 3 matrix. Contrast then scales about the
    mean luma of the image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, height, width)
        Red, green, blue.
    generator : numpy.random.Generator
        The only source of chance.
    """
    low_high = [(1 - reach, 1 + reach) for reach in (_BRIGHTNESS, _CONTRAST, _SATURATION)]
    brightness, contrast, saturation = (generator.uniform(low, high) for low, high in low_high)
    balance = generator.uniform(1 - _BALANCE, 1 + _BALANCE, 3)
    hue = generator.uniform(-_HUE, _HUE)
    saturate = saturation * np.eye(3) + (1 - saturation) * _LUMA
    matrix = brightness * (balance[:, np.newaxis] * (saturate @ _rotation(hue)))
    colours = pixels.reshape(3, -1).astype(np.float32)
    mean = matrix @ colours.mean(axis=1, dtype=np.float64)
    offset = (1 - contrast) * (_LUMA @ mean)
    changed = (contrast * matrix).astype(np.float32) @ colours + np.float32(offset + 0.5)
    levels: Pixels = np.clip(changed, 0, 255).astype(np.uint8)
    return levels.reshape(pixels.shape)


def _rotation(angle: float) -> NDArray[np.float64]:
    """Return the rotation of colours about the grey axis, shape (3, 3)."""
    x, y, z = _GREY_AXIS
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: NDArray[np.float64] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return rotation
