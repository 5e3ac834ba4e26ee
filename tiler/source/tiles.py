"""Cut an image into the tiles of its grid, a strip at a time; notice one that shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.source.image import ImageReader
from tiler.stopwatch import watch

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
_SHAPES = 64


def read_tiles(
    image: ImageReader,
    grid: Grid,
    span: Span | None = None,
    seen: Callable[[int, NDArray[np.uint8]], None] | None = None,
) -> Iterator[tuple[Tile, NDArray[np.uint8] | None]]:
    """Yield the tiles of an image in row-major order.

    One strip of the model grid, a tile high, is in memory at a time. Beyond the bottom and right edge the
    image is reflected. Where no tile of a row of tiles is needed, its pixels are not read.

    Parameters
    ----------
    image : ImageReader
        The image.
    grid : Grid
        Its grid.
    span : Span or None
        The tiles that these source rows need, see `rows_of_tiles`; None: every tile.
    seen : callable or None
        Called with rows of the model grid as they are read, each once: the first, and uint8 of shape (3, n, width).

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
    rows = rows_of_tiles(grid, span) if span else range(len(grid.row_offs))
    height, width = grid.tile_shape[0], grid.model_shape[1]
    before = np.empty((3, 0, grid.padded_shape[1]), np.uint8)
    done = grid.row_offs[rows.start]
    for row in rows:
        with watch("read"):
            needed = list(_needed(image, grid, row))
        if not any(wanted for _, wanted in needed):
            yield from ((tile, None) for tile, _ in needed)
            continue
        with watch("read"):
            row_off = grid.row_offs[row]
            strip = np.empty((3, height, grid.padded_shape[1]), np.uint8)  # tiles of the one before may still be in use
            kept, stop = max(done - row_off, 0), min(row_off + height, grid.model_shape[0])
            strip[:, :kept] = before[:, before.shape[1] - kept :]
            strip[:, kept : stop - row_off, :width] = image.model_rows(grid, row_off + kept, stop)
        if seen is not None:
            seen(row_off + kept, strip[:, kept : stop - row_off, :width])
        with watch("read"):
            _reflect(strip, stop - row_off, width)
        before, done = strip, stop
        for tile, wanted in needed:
            yield tile, strip[:, :, tile.window.slices[1]] if wanted else None


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


def shape_inside(grid: Grid, tile: Tile) -> tuple[int, int]:
    """Return height and width of the part of a tile that lies on the image, model pixels; the rest is a reflection."""
    (rows, cols), window = grid.model_shape, tile.window
    return min(window.height, rows - window.row_off), min(window.width, cols - window.col_off)


class OneColour:
    """Notice an image whose valid pixels all have one colour, from its tiles."""

    def __init__(self) -> None:
        self.colours: list[Colour] = []
        """Red, green and blue of valid pixels in the tiles so far: the first, and one that differs if there is any."""

    def see(self, image: ImageReader, grid: Grid, tile: Tile, pixels: NDArray[np.uint8] | None) -> None:
        """Take in one of the tiles that `read_tiles` yields. It costs nothing once two pixels have differed."""
        if len(self.colours) > 1 or pixels is None:
            return
        height, width = shape_inside(grid, tile)
        colours = pixels[:, :height, :width].reshape(3, -1)
        if image.maybe_invalid:
            colours = colours[:, sampled(image.valid(grid.source_window(tile.window)), height, width).ravel()]
        if not self.colours and colours.size:
            self.colours.append(_colour(colours, 0))
        if self.colours and (differs := (colours != np.array(self.colours[0])[:, np.newaxis]).any(axis=0)).any():
            self.colours.append(_colour(colours, int(differs.argmax())))


def _colour(colours: NDArray[np.uint8], at: int) -> Colour:
    red, green, blue = colours[:, at].tolist()
    return red, green, blue


def sampled(valid: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return a mask in another size, by nearest neighbour."""
    rows = (np.arange(height) * 2 + 1) * valid.shape[0] // (2 * height)
    cols = (np.arange(width) * 2 + 1) * valid.shape[1] // (2 * width)
    return valid[np.ix_(rows, cols)]
