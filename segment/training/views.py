"""A crop at a random scale, place and angle: what is seen of the ground around it, and how it is resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.training.ground import Ground, Piece
from segment.training.variation import Variation
from tiler.grid.window import Window

_TILT = math.pi / 4
"""With quarter turns, all angles."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """A square of ground."""

    window: Window
    """Source pixels that hold the square; may reach beyond the ground."""
    side: float
    """Side of the square, source pixels; its centre is that of the window."""
    angle: float
    """By how much it is turned, radians; 0: the square is the window."""


def draw_view(piece: Piece, ground: Ground, variation: Variation, generator: np.random.Generator) -> View:
    """Return a view whose centre is a random pixel of a crop, moved as little as it takes to stay on the ground.

    Scales are as likely as their logarithms: as much is shown at half the scale as at twice.

    Parameters
    ----------
    piece : Piece
        The crop.
    ground : Ground
        What the view may show.
    variation : Variation
        Between which scales, and whether at any angle.
    generator : numpy.random.Generator
        The only source of chance.
    """
    low, high = variation.zoom
    side = max(round(piece.side * math.exp(-generator.uniform(math.log(low), math.log(high)))), 1)
    angle = float(generator.uniform(-_TILT, _TILT)) if variation.tilt else 0.0
    reach = math.ceil(side * (abs(math.cos(angle)) + abs(math.sin(angle)))) + (2 if angle else 0)
    within = piece.window
    row = int(generator.integers(within.row_off, within.row_stop)) - reach // 2
    col = int(generator.integers(within.col_off, within.col_stop)) - reach // 2
    bounds = ground.bounds
    row = kept(row, reach, bounds.row_off, bounds.row_stop)
    col = kept(col, reach, bounds.col_off, bounds.col_stop)
    return View(Window(row, col, reach, reach), side, angle)


def kept(start: int, length: int, low: int, high: int) -> int:
    """Return the start of an interval that lies within `low` to `high`, or holds all of it."""
    return min(max(start, min(low, high - length)), max(low, high - length))


def show(view: View, pixels: Pixels, labels: Pixels, side: int) -> tuple[Pixels, Pixels]:
    """Return a view as the network takes it: the image by an anti-aliased bilinear filter, labels by nearest pixel.

    The filter is Pillow's: a triangle as wide as two pixels of the coarser grid, which is what GDAL applies to tiles.

    Parameters
    ----------
    view : View
        What is seen.
    pixels, labels : ndarray of uint8, shape (3, reach, reach) and (reach, reach)
        What its window holds.
    side : int
        Model pixels.

    Returns
    -------
    ndarray of uint8, shape (3, side, side)
        Red, green, blue.
    ndarray of uint8, shape (side, side)
        Class ids, 255 = no label.
    """
    if view.angle:
        return _turned(view, pixels, labels, side)
    return resized(pixels, (side, side)), nearest(labels, (side, side))


def resized(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    """Return an image, shape (3, h, w), at another size by the filter of `show`."""
    planes = [Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BILINEAR) for plane in pixels]
    return np.stack([np.asarray(plane) for plane in planes])


def nearest(labels: Pixels, shape: tuple[int, int]) -> Pixels:
    """Return the labels that are nearest to the middles of the pixels of another size."""
    rows, cols = ((2 * np.arange(to) + 1) * of // (2 * to) for of, to in zip(labels.shape, shape, strict=True))
    found: Pixels = labels[rows[:, np.newaxis], cols]
    return found


def _turned(view: View, pixels: Pixels, labels: Pixels, side: int) -> tuple[Pixels, Pixels]:
    """Resample to the scale of the model first, then turn: Pillow turns without an anti-aliasing filter."""
    side_px = math.ceil(labels.shape[0] * side / view.side)
    coarse = resized(pixels, (side_px, side_px))
    turned = [_turn(plane, view.angle, coarse.shape[1] / labels.shape[0] * view.side / side, side, smooth=True)
              for plane in coarse]  # fmt: skip
    return np.stack(turned), _turn(labels, view.angle, view.side / side, side, smooth=False)


def _turn(plane: Pixels, angle: float, step: float, side: int, *, smooth: bool) -> Pixels:
    """Return the square around the centre of a plane, whose pixels lie `step` pixels of the plane apart."""
    across, down = step * math.cos(angle), step * math.sin(angle)
    middle = plane.shape[0] / 2
    to_plane = (across, -down, middle - (across - down) * side / 2, down, across, middle - (across + down) * side / 2)
    filter_ = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(plane).transform((side, side), Image.Transform.AFFINE, to_plane, filter_))
