"""Ways to lay tiles over an image and to blend their logits, slow and plain: what noseam does, and what it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiler.grid.fit import Quality
from tiler.grid.tiles import LATTICE_PX, LOGITS_STRIDE, MIN_TILE_PX, Grid, Tile, on_lattice, overlap_pixels, plan_grid
from tiler.grid.tiling import Tiling
from tiler.grid.window import Window
from tiler.stitch.blend import Blender

Logits = NDArray[np.float32]
"""Shape (C, rows, columns), a number for each class and cell."""
Network = Callable[[NDArray[np.uint8]], Logits]
"""Takes a tile, uint8 (3, h, w)."""
Shift = tuple[float, float]
"""How far the inner tiles move, along rows and columns, as a share of the gap between two tiles."""

NO_SHIFT = (0.0, 0.0)
_LEAST = 1e-6
"""Weight where a taper has none, so that the image is covered whatever the taper."""
_SIGMA_CELLS = 8


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to segment an image in tiles."""

    name: str
    """What the table says."""
    quality: Quality | None = None
    """Tiles as noseam chooses them; None: as the next three fields say."""
    times: tuple[float, float] = (1, 1)
    """(height, width) of a tile, in sides of the crops that the network was trained on."""
    across: tuple[int, int] | None = None
    """How many tiles cover the image along rows and columns: the smallest that do so. Stands in for `times`."""
    overlap: float = 0.25
    """Least overlap, in sides of the crops that the network was trained on."""
    taper: str = "straight"
    """`straight` or `cosine` ramps over the overlap; `cosine:N`: N px at the tile's edge count for nothing; `hann` or
    `gauss:S` over the whole tile, S in sides of a tile."""
    blend: str = "logits"
    """What is averaged: `logits`, `log` (of probabilities) or `probabilities`."""
    low: float = 0.0
    """Low frequencies come from one pass over the whole image at this scale; 0: from the tiles."""
    offsets: tuple[Shift, ...] = (NO_SHIFT,)
    """Grids whose logits are averaged."""

    @property
    def shipped(self) -> bool:
        """Whether noseam's own blending does it."""
        return self.taper == "straight" and self.blend == "logits"

    def grids(self, shape: tuple[int, int], tiling: Tiling, balance_px: float, shift: Shift) -> list[Grid]:
        """Return the grids of an image of so many model pixels."""
        moved = [((shift[0] + row) % 1, (shift[1] + col) % 1) for row, col in self.offsets]
        return [self._grid(shape, tiling, balance_px, each) for each in moved]

    def _grid(self, shape: tuple[int, int], tiling: Tiling, balance_px: float, shift: Shift) -> Grid:
        if self.quality is not None:
            chosen = Tiling(tiling.input_px, tiling.input_px, tiling.overlap, quality=self.quality)
            tile = chosen.tile_for(shape, balance_px)
            overlap = chosen.overlaps(tile)
        else:
            sides = [self._side(axis, shape[axis], tiling.input_px) for axis in (0, 1)]
            tile = sides[0], sides[1]
            overlap = self._overlap(tile[0], tiling.input_px), self._overlap(tile[1], tiling.input_px)
        even = plan_grid(shape, scale=1, tile=tile, overlap=overlap)
        by = _part_of_gap(even.row_offs, shift[0]), _part_of_gap(even.col_offs, shift[1])
        return plan_grid(shape, scale=1, tile=tile, overlap=overlap, shift=by)

    def _side(self, axis: int, length: int, trained_px: int) -> int:
        whole = max(on_lattice(length), MIN_TILE_PX)
        if self.across is None:
            return min(on_lattice(round(trained_px * self.times[axis])), max(whole, trained_px))
        count = self.across[axis]
        side = (whole + (count - 1) * self.overlap * trained_px) / count
        return min(on_lattice(math.ceil(side)), whole)

    def _overlap(self, side: int, trained_px: int) -> int:
        return min(overlap_pixels(self.overlap, trained_px), side - LATTICE_PX)


_HALF = (0.5, 0.5)
_QUARTERS = (NO_SHIFT, (0, 0.5), (0.5, 0), _HALF)

REMEDIES: tuple[Remedy, ...] = (
    Remedy("squares as trained, overlap 0.25, cosine ramps (before)", taper="cosine"),
    Remedy("straight ramps"),
    Remedy("cosine over all of the tile", taper="hann"),
    Remedy("Gaussian over all of the tile, 0.25", taper="gauss:0.25"),
    Remedy("Gaussian over all of the tile, 0.125", taper="gauss:0.125"),
    Remedy("outer 16 px thrown away", taper="cosine:16"),
    Remedy("outer 32 px thrown away", taper="cosine:32"),
    Remedy("log-probabilities", taper="cosine", blend="log"),
    Remedy("probabilities", taper="cosine", blend="probabilities"),
    Remedy("low frequencies at 0.5", low=0.5),
    Remedy("low frequencies at 0.75", low=0.75),
    Remedy("two offsets averaged", offsets=(NO_SHIFT, _HALF)),
    Remedy("four offsets averaged", offsets=_QUARTERS),
    Remedy("overlap 0.375, straight ramps", overlap=0.375),
    Remedy("overlap 0.5, cosine ramps", overlap=0.5, taper="cosine"),
    Remedy("overlap 0.5, straight ramps", overlap=0.5),
    Remedy("overlap 0.5, Gaussian 0.25", overlap=0.5, taper="gauss:0.25"),
    Remedy("overlap 0.5, outer 32 px thrown away", overlap=0.5, taper="cosine:32"),
    *(Remedy(f"sides x {side}, overlap {overlap}", times=(side, side), overlap=overlap)
      for side in (1.5, 2, 3) for overlap in (0.25, 0.5, 1) if overlap < side / 1.5),
    *(Remedy(f"{rows} x {cols} tiles, overlap {overlap}", across=(rows, cols), overlap=overlap)
      for rows, cols in ((1, 2), (2, 1), (1, 3), (3, 1), (4, 1), (5, 1), (2, 2), (3, 2), (2, 3), (3, 3), (3, 4))
      for overlap in (0.125, 0.25, 0.5, 0.75)),
    *(Remedy(f"{rows} x {cols} tiles, overlap 0.5, {name}", across=(rows, cols), overlap=0.5, taper=taper)
      for name, taper in (("cosine ramps", "cosine"), ("Gaussian 0.25", "gauss:0.25"))
      for rows, cols in ((1, 2), (2, 1), (2, 2))),
    Remedy("the whole image in one tile", across=(1, 1)),
    Remedy("noseam, fast", quality="fast"),
    Remedy("noseam, balanced", quality="balanced"),
    Remedy("noseam, best", quality="best"),
)  # fmt: skip
"""Each by itself, then pairs, then what noseam does."""


def _part_of_gap(offs: tuple[int, ...], share: float) -> int:
    return round(share * (offs[1] - offs[0]) / LATTICE_PX) * LATTICE_PX if len(offs) > 1 else 0


class Photo:
    """An image at the model's scale, whose tiles go through the network once each.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (3, height, width)
        The image.
    network : callable
        Gives the logits of a tile.
    """

    def __init__(self, pixels: NDArray[np.uint8], network: Network) -> None:
        self._pixels, self._network = pixels, network
        self.shape = pixels.shape[1], pixels.shape[2]
        self._tiles: dict[Window, Logits] = {}
        self._side = (0, 0)
        self._low: dict[float, Logits] = {}

    @property
    def cells_shape(self) -> tuple[int, int]:
        """(height, width) of the logits grid without its padding."""
        return -(-self.shape[0] // LOGITS_STRIDE), -(-self.shape[1] // LOGITS_STRIDE)

    def tile(self, window: Window) -> Logits:
        """Return the logits of a tile; those of the last shape of tiles are kept."""
        if self._side != (side := (window.height, window.width)):
            self._tiles, self._side = {}, side
        if window not in self._tiles:
            rows, cols = slice(window.row_off, window.row_stop), slice(window.col_off, window.col_stop)
            self._tiles[window] = self._network(self._padded[:, rows, cols])
        return self._tiles[window]

    def blended(self, remedy: Remedy, grids: list[Grid]) -> Logits:
        """Return the logits of the image, without padding."""
        height, width = self.cells_shape
        total = sum(_blend(self, remedy, grid)[:, :height, :width] for grid in grids) / len(grids)
        if remedy.low:
            total = total + _smooth(self._from_afar(remedy.low) - total)
        return np.asarray(total, np.float32)

    def _from_afar(self, scale: float) -> Logits:
        """Return the logits of the image, made smaller, in one tile, enlarged to the logits grid."""
        if scale not in self._low:
            small = shape_from_afar(self.shape, scale)
            pixels = _resize(self._pixels, small).astype(np.uint8)
            self._low[scale] = _resize(self._network(pixels), self.cells_shape)
        return self._low[scale]

    @cached_property
    def _padded(self) -> NDArray[np.uint8]:
        beyond = [(0, 2 * on_lattice(length) - length) for length in self.shape]  # more than any tile asks for
        return np.pad(self._pixels, ((0, 0), *beyond), mode="reflect")


def shape_from_afar(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (height, width) of the tile that shows a whole image at a lower scale, model pixels."""
    return on_lattice(round(shape[0] * scale)), on_lattice(round(shape[1] * scale))


def _blend(photo: Photo, remedy: Remedy, grid: Grid) -> Logits:
    if remedy.shipped:
        return _blend_as_shipped(photo, grid)
    total, weight = np.zeros(1), np.zeros(grid.cells_shape)
    for tile in grid.tiles():
        values = _TAKEN[remedy.blend](photo.tile(tile.window))
        if total.ndim == 1:
            total = np.zeros((len(values), *grid.cells_shape))
        cells = tile.cells
        area = slice(cells.row_off, cells.row_stop), slice(cells.col_off, cells.col_stop)
        weights = np.outer(*_weights(remedy.taper, grid, tile))
        total[:, area[0], area[1]] += weights * values
        weight[area] += weights
    mean = total / weight
    return np.asarray(np.log(np.maximum(mean, 1e-30)) if remedy.blend == "probabilities" else mean, np.float32)


def _blend_as_shipped(photo: Photo, grid: Grid) -> Logits:
    """Return what noseam's own blending gives: bands share a row, which counts once."""
    parts = list(_bands(photo, grid))
    return np.concatenate([parts[0], *(part[:, 1:] for part in parts[1:])], axis=1)


def _bands(photo: Photo, grid: Grid) -> Iterator[Logits]:
    blender = None
    for tile in grid.tiles():
        logits = photo.tile(tile.window)
        blender = blender or Blender(grid, len(logits))
        if (band := blender.add(tile, logits)) is not None:
            yield band.values


def _log(logits: Logits) -> Logits:
    above = logits - logits.max(axis=0)
    return np.asarray(above - np.log(np.exp(above).sum(axis=0)), np.float32)


_TAKEN: dict[str, Callable[[Logits], Logits]] = {
    "logits": lambda logits: logits,
    "log": _log,
    "probabilities": lambda logits: np.exp(_log(logits)),
}


def _weights(taper: str, grid: Grid, tile: Tile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = _axis_weights(taper, grid.row_offs, tile.row, grid.tile_shape[0])
    return rows, _axis_weights(taper, grid.col_offs, tile.col, grid.tile_shape[1])


def _axis_weights(taper: str, offs: tuple[int, ...], index: int, side: int) -> NDArray[np.float64]:
    """Return a tile's weights along an axis; 1 up to the border of the image where it has no neighbour."""
    weights = np.ones(side // LOGITS_STRIDE)
    for neighbour, view in ((index - 1, weights), (index + 1, weights[::-1])):
        if 0 <= neighbour < len(offs):
            shared = (side - abs(offs[neighbour] - offs[index])) / LOGITS_STRIDE
            view *= _ramp(taper, len(weights), shared)
    return np.maximum(weights, _LEAST)


def _ramp(taper: str, cells: int, shared: float) -> NDArray[np.float64]:
    """Return how a tile's weights rise from an edge, where it shares so many of its cells with a neighbour."""
    kind, _, number = taper.partition(":")
    place = np.arange(cells) + 0.5
    nearer = np.minimum(place, cells / 2)
    if kind == "hann":
        return np.asarray(np.sin(np.pi * nearer / cells) ** 2)
    if kind == "gauss":
        return np.asarray(np.exp(-0.5 * ((nearer / cells - 0.5) / float(number)) ** 2))
    unused = min(float(number or 0) / LOGITS_STRIDE, shared / 2)
    into = np.clip((place - unused) / max(shared - 2 * unused, _LEAST), 0, 1)
    return np.asarray(into if kind == "straight" else np.sin(np.pi / 2 * into) ** 2)


def _smooth(logits: Logits) -> NDArray[np.float64]:
    rows, cols = (_gaussian(length) for length in logits.shape[1:])
    return np.asarray(rows @ logits @ cols.T, np.float64)


def _gaussian(length: int) -> NDArray[np.float64]:
    """Return the matrix that smooths an axis; its rows sum to 1 at the ends too."""
    apart = np.arange(length)[:, np.newaxis] - np.arange(length)
    matrix = np.exp(-0.5 * (apart / _SIGMA_CELLS) ** 2)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _resize(channels: NDArray[np.generic], shape: tuple[int, int]) -> Logits:
    size = shape[1], shape[0]
    pictures = (Image.fromarray(channel.astype(np.float32)) for channel in channels)
    return np.stack([np.asarray(picture.resize(size, Image.Resampling.BILINEAR)) for picture in pictures])
