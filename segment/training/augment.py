"""Vary a training crop: turns and mirrors, changes of its colours, and what cameras do."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segment.training.camera import weathered
from segment.training.variation import Variation

_BALANCE, _GAMMA = 1 / 4, 1 / 2
_HUE = math.radians(25)
_LUMA = np.array([0.299, 0.587, 0.114])
_GREY_AXIS = np.full(3, 1 / math.sqrt(3))

Pixels = NDArray[np.uint8]


def augment(
    pixels: Pixels, labels: Pixels, variation: Variation, generator: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Return a crop turned or mirrored, image and labels alike, with the colours of the image changed.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, side, side)
        Red, green, blue.
    labels : ndarray of uint8, shape (side, side)
        Class ids; only ever moved.
    variation : Variation
        By how much the image changes.
    generator : numpy.random.Generator
        The only source of chance.
    """
    symmetry = int(generator.integers(8))
    turned = turn(pixels, symmetry)
    recoloured = jitter(turned, variation.colour, generator) if variation.colour else turned
    return weathered(recoloured, variation, generator), turn(labels, symmetry)


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


def jitter(pixels: Pixels, reach: float, generator: np.random.Generator) -> Pixels:
    """Return an image with brightness, contrast, saturation, white balance, hue and gamma changed.

    Brightness, contrast and saturation change by at most `reach`; white balance by a quarter of it, hue by 25 degrees
    times it; gamma lies between exp(-reach / 2) and exp(reach / 2). Hue turns colours about the grey axis (Rodrigues'
    formula). Saturation moves them from or to their luma. White balance scales channels, and brightness scales all of
    them. These are linear in the colours, so they are one 3 x 3 matrix. Contrast then scales about the mean luma of the
    image. Gamma comes before all.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, height, width)
        Red, green, blue.
    reach : float
        From 0, no change, to below 1.
    generator : numpy.random.Generator
        The only source of chance.
    """
    brightness, contrast, saturation = generator.uniform(1 - reach, 1 + reach, 3)
    balance = generator.uniform(1 - reach * _BALANCE, 1 + reach * _BALANCE, 3)
    hue, gamma = generator.uniform(-reach, reach, 2) * (_HUE, _GAMMA)
    saturate = saturation * np.eye(3) + (1 - saturation) * _LUMA
    matrix = brightness * (balance[:, np.newaxis] * (saturate @ _rotation(hue)))
    levels = 255 * (np.arange(256) / 255) ** math.exp(gamma)
    colours = levels.astype(np.float32)[pixels.reshape(3, -1)]
    mean = matrix @ colours.mean(axis=1, dtype=np.float64)
    offset = (1 - contrast) * (_LUMA @ mean)
    # `@` would start threads, which wait for the cores that train.
    linear = np.einsum("ij,jk->ik", (contrast * matrix).astype(np.float32), colours)
    rounded: Pixels = np.clip(linear + np.float32(offset + 0.5), 0, 255).astype(np.uint8)
    return rounded.reshape(pixels.shape)


def _rotation(angle: float) -> NDArray[np.float64]:
    """Return the rotation of colours about the grey axis, shape (3, 3)."""
    x, y, z = _GREY_AXIS
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: NDArray[np.float64] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return rotation
