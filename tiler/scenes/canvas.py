"""A picture and its labels, painted shape by shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiler.scenes.eye import Eye, Light
from tiler.scenes.noise import Cells, cells, texture
from tiler.scenes.shapes import Metres, Shape

_BLOCK_PX = 256
_BANK_PX = 2048
_GRAIN_M = 0.015
"""Size of a cell of the noise; also the finest ground sample distance that it was made for."""
_EXPONENTS = {"grain": 0.0, "clumps": 1.0, "clouds": 1.7}

Roughness = Literal["grain", "clumps", "clouds"]


@dataclass(frozen=True, slots=True)
class Patch:
    """A small piece of ground that is being painted."""

    y: Metres
    """Pixel centres downwards, metres, shape (n, 1)."""
    x: Metres
    """Pixel centres to the right, metres, shape (1, m)."""
    shift: tuple[int, int]
    """Where the scene's noise starts, cells; another scene starts elsewhere."""
    gsd_m: float = _GRAIN_M
    """Ground sample distance, metres per pixel."""

    def texture(self, size_m: float, *, steep: float = 1.6, salt: int = 0) -> Metres:
        """Return noise of mean 0 whose features are so large, shape (n, m).

        Its deviation is 1, and less where features are smaller than a pixel, as in a photo. The steeper, the fewer
        details lie within a feature. Another salt gives other noise.
        """
        rows, cols = (
            axis.ravel().astype(np.float64) / size_m + (start / 8 + 65536)
            for axis, start in zip((self.y, self.x), self.shift, strict=True)
        )
        fine = 16 * self.gsd_m >= size_m
        return texture(rows, cols, steep=steep, salt=salt, fine=fine) * np.float32(self.sharpness(size_m))

    def sharpness(self, size_m: float) -> float:
        """Return how much of the contrast of so small details the camera sees, 0 to 1."""
        return min(1.0, size_m / (1.5 * self.gsd_m))

    def cells(self, size_m: float, angle: float = 0.0, *, long: float = 1.0) -> Cells:
        """Return cells of such a size; `long` times as long along the angle, radians."""
        sine, cosine = math.sin(angle), math.cos(angle)
        start = np.float32(self.shift[0] % 997), np.float32(self.shift[1] % 991)
        along = self.x * np.float32(cosine / size_m / long) + self.y * np.float32(sine / size_m / long) + start[0]
        across = self.y * np.float32(cosine / size_m) - self.x * np.float32(sine / size_m) + start[1]
        return cells(across, along)

    def noise(self, roughness: Roughness, zoom: float = 1.0) -> Metres:
        """Return noise of mean 0 and deviation 1, shape (n, m, 1); features are `zoom` times as large."""
        rows, cols = (
            (axis.ravel() / (_GRAIN_M * zoom)).astype(np.int64) + start
            for axis, start in zip((self.y, self.x), self.shift, strict=True)
        )
        return _bank(roughness)[np.ix_(rows % _BANK_PX, cols % _BANK_PX)][..., np.newaxis]


Material = Callable[[Patch], Metres]
"""Colour of every pixel of a patch, 0 to 255, shape (n, m, 3) or what broadcasts to it."""


@cache
def _bank(roughness: Roughness) -> Metres:
    """Return noise that tiles without a joint: white noise whose spectrum falls with frequency."""
    white = np.fft.rfft2(np.random.default_rng(len(roughness)).standard_normal((_BANK_PX, _BANK_PX)))
    frequency = np.hypot(np.fft.fftfreq(_BANK_PX)[:, np.newaxis], np.fft.rfftfreq(_BANK_PX))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(white * frequency ** -_EXPONENTS[roughness], s=(_BANK_PX, _BANK_PX))
    scaled: Metres = (noise / noise.std()).astype(np.float32)
    return scaled


@dataclass(frozen=True, slots=True)
class Block:
    """Some pixels of a canvas, and how far they are from the edge of a shape."""

    rows: slice
    """Pixels downwards."""
    cols: slice
    """Pixels to the right."""
    patch: Patch
    """The ground there."""
    distance: Metres
    """Metres to the edge, negative inside, shape (n, m)."""

    def moved(self, way_m: Metres) -> Block:
        """Return the block with an edge that lies so much farther in."""
        return replace(self, distance=self.distance + way_m)

    def trimmed(self, bound_m: float) -> Block | None:
        """Return what holds all pixels nearer to the shape than the bound; None if there are none."""
        near = self.distance < bound_m
        down, right = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if not len(down):
            return None
        rows, cols = slice(int(down[0]), int(down[-1]) + 1), slice(int(right[0]), int(right[-1]) + 1)
        patch = replace(self.patch, y=self.patch.y[rows], x=self.patch.x[:, cols])
        return Block(_within(self.rows, rows), _within(self.cols, cols), patch, self.distance[rows, cols])


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def moved(material: Material, dy: float, dx: float) -> Material:
    """Return the same material elsewhere, metres."""
    return lambda patch: material(replace(patch, y=patch.y - np.float32(dy), x=patch.x - np.float32(dx)))


class Canvas:
    """A picture and its labels.

    Parameters
    ----------
    shape : tuple of int
        (height, width), pixels.
    gsd_m : float
        Ground sample distance, metres per pixel.
    shift : tuple of int
        Start of the noise, see `Patch`.
    """

    def __init__(self, shape: tuple[int, int], *, gsd_m: float, shift: tuple[int, int]) -> None:
        self.pixels: NDArray[np.uint8] = np.zeros((*shape, 3), np.uint8)
        self.labels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self.gsd_m = gsd_m
        self.eye = Eye()
        """The camera; things that know its place lean away from it."""
        self.light = Light()
        """Sun and sky."""
        self.shaded: NDArray[np.uint8] | None = None
        """How far each pixel lies in a shadow, 0 to 255, where shadows that overlap must not darken twice."""
        self._shift = shift

    @property
    def shape_m(self) -> tuple[float, float]:
        """(height, width) on the ground, metres."""
        return self.labels.shape[0] * self.gsd_m, self.labels.shape[1] * self.gsd_m

    def paint(
        self,
        shape: Shape,
        material: Material,
        label: int | None = None,
        *,
        opacity: float = 1.0,
        ragged_m: float = 0.0,
        advance: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Cover a shape with a material; its label stands wherever the shape covers half a pixel.

        Parameters
        ----------
        shape : Shape
            Where.
        material : callable
            What it looks like.
        label : int or None
            Class id; None leaves the labels as they are, for what is only a change of colour.
        opacity : float
            How much of what is below is hidden, 0 to 1.
        ragged_m : float
            Deviation by which noise moves the edge, metres.
        advance : callable
            Called with the share of the picture's rows that lie above what is painted next.
        """
        for block in self._blocks(shape, 3 * ragged_m):
            advance(block.rows.start / len(self.labels))
            if ragged_m:
                block = block.moved(np.float32(ragged_m) * self._ragged(block.patch, ragged_m))
            if part := block.trimmed(self.gsd_m / 2):
                self._mix(part, material, label, np.float32(opacity))

    def cover(self, shape: Shape, material: Material, label: int, opacity: Callable[[Patch], Metres]) -> None:
        """Label a shape whole, and hide what is below as much as `opacity` says, shape (n, m), such as by twigs."""
        for block in self._blocks(shape, 0.0):
            if part := block.trimmed(self.gsd_m / 2):
                self._mix(part, material, label, opacity(part.patch)[..., np.newaxis])

    def _mix(self, block: Block, material: Material, label: int | None, opacity: Metres | np.float32) -> None:
        share = np.clip(0.5 - block.distance / self.gsd_m, 0, 1)[..., np.newaxis] * opacity
        below = self.pixels[block.rows, block.cols].astype(np.float32)
        mixed = below + (material(block.patch) - below) * share
        self.pixels[block.rows, block.cols] = np.clip(mixed + 0.5, 0, 255)
        if label is not None:
            self.labels[block.rows, block.cols][block.distance < 0] = label
            self._light_again(block, share)

    def shade(self, shape: Shape, factor: float, *, soft_m: float = 0.08) -> None:
        """Darken a shape, such as a shadow on the ground, and shift it to blue, because the sky lights shadows."""
        tint = np.array([factor * 0.96, factor, factor * 1.1], np.float32)
        soft_m = max(soft_m, self.gsd_m)
        for block in self._blocks(shape, soft_m):
            part = block.trimmed(soft_m / 2)
            if part is None:
                continue
            rows, cols = part.rows, part.cols
            cover = np.clip(0.5 - part.distance / soft_m, 0, 1)[..., np.newaxis]
            below = self.pixels[rows, cols].astype(np.float32)
            if self.shaded is None:
                self.pixels[rows, cols] = below * (1 - cover * (1 - tint)) + np.float32(0.5)
                continue
            before = self.shaded[rows, cols]
            lit = 1 - before[..., np.newaxis] * ((1 - tint) / np.float32(255))
            after = np.maximum(cover, before[..., np.newaxis] / np.float32(255))
            self.pixels[rows, cols] = np.minimum(below * ((1 - after * (1 - tint)) / lit) + np.float32(0.5), 255)
            self.shaded[rows, cols] = after[..., 0] * 255

    def _ragged(self, patch: Patch, ragged_m: float) -> Metres:
        if self.shaded is None:
            return patch.noise("clumps", 2)[..., 0]
        return patch.texture(6 * ragged_m, steep=1.5, salt=31)

    def _light_again(self, block: Block, cover: Metres) -> None:
        """Note that what was just painted lies in no shadow yet."""
        if self.shaded is not None and (before := self.shaded[block.rows, block.cols]).any():
            self.shaded[block.rows, block.cols] = before * (1 - cover[..., 0])

    def _blocks(self, shape: Shape, margin_m: float) -> Iterator[Block]:
        """Yield the blocks that a shape may touch, small enough for the processor's cache."""
        reach = shape.reach_m + margin_m + self.gsd_m
        tops, lefts = (
            range(max(math.floor((middle - reach) / self.gsd_m), 0),
                  min(math.ceil((middle + reach) / self.gsd_m), length), _BLOCK_PX)
            for middle, length in zip(shape.centre, self.labels.shape, strict=True)
        )  # fmt: skip
        for top in tops:
            for left in lefts:
                rows, cols = slice(top, min(top + _BLOCK_PX, tops.stop)), slice(left, min(left + _BLOCK_PX, lefts.stop))
                y, x = self._centres(rows)[:, np.newaxis], self._centres(cols)[np.newaxis]
                middle = shape.distance(y[len(y) // 2 :][:1], x[:, x.shape[1] // 2 :][:, :1])
                if float(middle.max()) > _BLOCK_PX * self.gsd_m + margin_m:
                    continue
                yield Block(rows, cols, Patch(y, x, self._shift, self.gsd_m), shape.distance(y, x))

    def _centres(self, pixels: slice) -> Metres:
        return ((np.arange(pixels.start, pixels.stop) + 0.5) * self.gsd_m).astype(np.float32)
