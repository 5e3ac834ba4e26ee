"""Cut an image into the tiles of its grid, a strip at a time; notice one that shows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.source.image import ImageReader

_SHAPES = 64


def read_tiles(image: ImageReader, grid: Grid) -> Iterator[tuple[Tile, NDArray[np.uint8] | None]]:
    """Yield every tile of an image in row-major order.

    One strip of the model grid, a tile high, is in memory at a time. Beyond the bottom and right edge the
    image is reflected.

    Yields
    ------
    tile : Tile
        Where it lies.
    pixels : ndarray of uint8, shape (3, height, width) of the tile, or None
        Red, green, blue; None where no label of a valid pixel needs the tile.

    Raises
    ------
    RasterReadError
        If the pixels cannot be decoded.
    """
    height, width = grid.tile_shape[0], grid.model_shape[1]
    before = np.empty((3, 0, grid.padded_shape[1]), np.uint8)
    done = 0
    for row, row_off in enumerate(grid.row_offs):
        strip = np.empty((3, height, grid.padded_shape[1]), np.uint8)  # tiles of the one before may still be in use
        kept, stop = done - row_off, min(row_off + height, grid.model_shape[0])
        strip[:, :kept] = before[:, before.shape[1] - kept :]
        strip[:, kept : stop - row_off, :width] = image.model_rows(grid, done, stop)
        _reflect(strip, stop - row_off, width)
        before, done = strip, stop
        for tile, needed in _needed(image, grid, row):
            yield tile, strip[:, :, tile.window.slices[1]] if needed else None


def _reflect(strip: NDArray[np.uint8], height: int, width: int) -> None:
    """Fill a strip beyond its first `height` rows and `width` columns with what lies before them, mirrored."""
    strip[:, :height, width:] = strip[:, :height, _mirrored(width, strip.shape[2])]
    strip[:, height:] = strip[:, _mirrored(height, strip.shape[1])]


@lru_cache(_SHAPES)
def _mirrored(length: int, padded: int) -> NDArray[np.intp]:
    """Return the places whose values follow an axis of this length up to its padded length."""
    return np.pad(np.arange(length), (0, padded - length), mode="reflect")[length:]


def _needed(image: ImageReader, grid: Grid, row: int) -> Iterator[tuple[Tile, bool]]:
    """Say of each tile of a row whether a valid pixel lies in it or within reach of its logits.

    Bilinear upsampling reaches one cell, so a valid pixel one cell outside still needs the tile.
    """
    tiles = list(grid.row_tiles(row))
    if not image.maybe_invalid:
        yield from ((tile, True) for tile in tiles)
        return
    reached = [grid.source_window(tile.window, margin=LOGITS_STRIDE) for tile in tiles]
    valid = image.valid_columns(reached[0].row_off, reached[0].row_stop)
    yield from ((tile, bool(valid[w.slices[1]].any())) for tile, w in zip(tiles, reached, strict=True))


class OneColour:
    """Notice an image whose valid pixels all have one colour, from its tiles."""

    def __init__(self) -> None:
        self._first: NDArray[np.uint8] | None = None
        self._varied = False

    @property
    def colour(self) -> tuple[int, ...] | None:
        """Red, green and blue of all valid pixels in the tiles so far; None if two differ, or none is valid."""
        return None if self._varied or self._first is None else tuple(map(int, self._first.ravel()))

    def see(self, image: ImageReader, grid: Grid, tile: Tile, pixels: NDArray[np.uint8] | None) -> None:
        """Take in one of the tiles that `read_tiles` yields. It costs nothing once two pixels have differed."""
        if self._varied or pixels is None:
            return
        height, width = (
            min(tile.window.height, grid.model_shape[0] - tile.window.row_off),
            min(tile.window.width, grid.model_shape[1] - tile.window.col_off),
        )
        colours = pixels[:, :height, :width].reshape(3, -1)
        if image.maybe_invalid:
            colours = colours[:, _sampled(image.valid(grid.source_window(tile.window)), height, width).ravel()]
        if self._first is None and colours.size:
            self._first = colours[:, :1].copy()
        self._varied = self._first is not None and bool((colours != self._first).any())


def _sampled(valid: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return a mask in another size, by nearest neighbour."""
    rows = (np.arange(height) * 2 + 1) * valid.shape[0] // (2 * height)
    cols = (np.arange(width) * 2 + 1) * valid.shape[1] // (2 * width)
    return valid[np.ix_(rows, cols)]
