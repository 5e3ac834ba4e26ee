"""Where the tiles of a mask meet: stored in its tags, and as bands of source pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tiler.errors import GridError
from tiler.grid.tiles import Grid
from tiler.grid.window import Window

_MOST_DIGITS = 10
MODEL_SHAPE_KEY = "NOSEAM_MODEL_SHAPE"
"""Tag: height and width of the model grid, as `h x w`."""
SHAPE_KEY = "NOSEAM_SHAPE"
"""Tag: height and width of the mask, as `h x w`; where it is another, the mask was cut or resampled since."""
TILE_KEY = "NOSEAM_TILE"
"""Tag: height and width of a tile, model pixels, as `h x w`; earlier versions wrote the side of a square."""
ROWS_KEY = "NOSEAM_TILE_ROWS"
"""Tag: first model row of each row of tiles, separated by spaces."""
COLS_KEY = "NOSEAM_TILE_COLS"
"""Tag: first model column of each column of tiles, separated by spaces."""


def grid_tags(grid: Grid) -> dict[str, str]:
    """Return the tags that tell where the tiles of a mask lay; `read_grid` is the inverse."""
    return {
        SHAPE_KEY: "{} x {}".format(*grid.source_shape),
        MODEL_SHAPE_KEY: "{} x {}".format(*grid.model_shape),
        TILE_KEY: "{} x {}".format(*grid.tile_shape),
        ROWS_KEY: " ".join(map(str, grid.row_offs)),
        COLS_KEY: " ".join(map(str, grid.col_offs)),
    }


def read_model_shape(tags: Mapping[str, str]) -> tuple[int, int]:
    """Return (height, width) of the model grid that a mask's tags tell of.

    Raises
    ------
    GridError
        If the tag is missing or malformed.
    """
    height, width = _numbers(tags, MODEL_SHAPE_KEY, count=2, separator="x")
    return height, width


def read_grid(tags: Mapping[str, str], source_shape: tuple[int, int]) -> Grid | None:
    """Return the grid that a mask's tags tell of.

    Parameters
    ----------
    tags : mapping of str to str
        Tags of the mask.
    source_shape : tuple of int
        (height, width) of the mask, source pixels.

    Returns
    -------
    Grid or None
        None where the tags do not say where tiles lay, or belong to a mask of another size.

    Raises
    ------
    GridError
        If a tag is missing beside others, is malformed, or tells of tiles that do not cover the image.
    """
    if not tags.keys() & {SHAPE_KEY, ROWS_KEY, COLS_KEY}:
        return None
    if _numbers(tags, SHAPE_KEY, count=2, separator="x") != source_shape:
        return None
    height, width = _numbers(tags, MODEL_SHAPE_KEY, count=2, separator="x")
    tile = _tile_shape(tags)
    row_offs, col_offs = _numbers(tags, ROWS_KEY), _numbers(tags, COLS_KEY)
    _check_cover(ROWS_KEY, row_offs, tile[0], height)
    _check_cover(COLS_KEY, col_offs, tile[1], width)
    return Grid(source_shape, (height, width), tile, row_offs, col_offs)


def _tile_shape(tags: Mapping[str, str]) -> tuple[int, int]:
    if "x" not in tags.get(TILE_KEY, ""):
        (side,) = _numbers(tags, TILE_KEY, count=1)
        return side, side
    height, width = _numbers(tags, TILE_KEY, count=2, separator="x")
    return height, width


def _numbers(
    tags: Mapping[str, str], key: str, *, count: int | None = None, separator: str | None = None
) -> tuple[int, ...]:
    text = tags.get(key, "")
    words = [word.strip() for word in text.split(separator)]
    if not words or (count or len(words)) != len(words) or not all(map(_is_number, words)):
        wanted = "whole numbers" if count is None else f"{count} whole number{'s' if count > 1 else ''}"
        raise GridError(f"tag {key}: {wanted} expected, {text[:80]!r} found")
    return tuple(map(int, words))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < _MOST_DIGITS


def _check_cover(key: str, offsets: Sequence[int], tile_px: int, length: int) -> None:
    """Raise unless the tiles start at 0, follow one another without a gap and reach the end of the axis."""
    steps = [after - before for before, after in pairwise(offsets)]
    if tile_px < 1 or length < 1 or offsets[0] or not all(0 < step <= tile_px for step in steps):
        raise GridError(f"tag {key}: tiles of {tile_px} px without gaps from 0 expected, {list(offsets)[:12]} found")
    if offsets[-1] + tile_px < length:
        raise GridError(f"tag {key}: the tiles end at {offsets[-1] + tile_px} of {length} model px")


def seam_bands(
    offsets: Sequence[int], tile_px: int, model_length: int, source_length: int, width_px: int
) -> NDArray[np.bool_]:
    """Return which source rows (or columns) lie where two neighbouring tiles meet.

    Parameters
    ----------
    offsets : sequence of int
        First model row (or column) of each tile.
    tile_px : int
        Length of a tile along the axis, model pixels.
    model_length : int
        Length of the axis, model pixels; the last tile may reach beyond it.
    source_length : int
        Length of the axis, source pixels.
    width_px : int
        Width of each band, model pixels: the same for tiles that are blended and for those that are cut hard.

    Returns
    -------
    ndarray of bool, shape (source_length,)
        True where a band `start <= m < stop` holds the pixel's centre, which for source row `r` is
        `m = (r + 0.5) * model_length / source_length`. Bands are centred on the middle of the overlap, where both
        tiles weigh the same, or on the line where the two tiles meet if they share nothing.

    Raises
    ------
    GridError
        If `width_px` is not positive.
    """
    if width_px < 1:
        raise GridError(f"a seam band must be at least 1 px wide, got {width_px}")
    bands = np.zeros(source_length, np.bool_)
    # Everything times 2 * source_length, so that halves and centres are whole numbers and no edge is rounded.
    centres = (2 * np.arange(source_length, dtype=np.int64) + 1) * model_length
    for before, after in pairwise(offsets):
        middle = before + tile_px + after
        bands |= (centres >= (middle - width_px) * source_length) & (centres < (middle + width_px) * source_length)
    return bands


@dataclass(frozen=True, slots=True)
class SeamBands:
    """The rows and the columns of an image in which its tiles meet."""

    rows: NDArray[np.bool_]
    """Source rows, see `seam_bands`."""
    cols: NDArray[np.bool_]
    """Source columns."""

    def zone(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of full-width rows lie in the seam zone: in such a row, or in such a column."""
        inside: NDArray[np.bool_] = self.rows[window.slices[0], np.newaxis] | self.cols
        return inside


def bands_of(grid: Grid, width_px: int) -> SeamBands:
    """Return the bands of so many model pixels in which the tiles of a grid meet, see `seam_bands`."""
    offsets = grid.row_offs, grid.col_offs
    axes = zip(offsets, grid.tile_shape, grid.model_shape, grid.source_shape, strict=True)
    return SeamBands(*(seam_bands(*axis, width_px) for axis in axes))
