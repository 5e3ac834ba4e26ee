"""Where the tiles of an image lie: integers only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tiler.errors import GridError
from tiler.grid.window import Window

LATTICE_PX = 32
"""All four SegFormer stages sample one lattice when tile offsets are multiples of this."""
LOGITS_STRIDE = 4
"""Model pixels per cell of the logits grid, along each axis."""
MIN_TILE_PX = 64
"""Least tile side: the reflected edge (at most 31 px) must come from within the last tile."""


def overlap_pixels(overlap: float, side: int) -> int:
    """Return an overlap, given as a fraction of a tile's side, in whole pixels: rounded up."""
    return math.ceil(round(overlap * side, 6))  # 0.1 + 0.2 is a little more than 0.3


def axis_positions(length: int, tile: int, overlap: int, *, align: int = 1, shift: int = 0) -> tuple[int, ...]:
    """Return the offsets of the fewest evenly spread tiles that cover one axis, or of one more where they are shifted.

    Training crops and inference tiles both come from here. A shift is for measuring: what depends on where tiles lie
    differs between two shifts.

    Parameters
    ----------
    length : int
        Length of the axis, pixels. Where it exceeds the tile, `length - tile` is a multiple of `align`.
    tile : int
        Length of a tile, pixels.
    overlap : int
        Least number of pixels that neighbouring tiles share in total.
    align : int
        Every offset is a multiple of this, pixels.
    shift : int
        The tiles between the first and the last lie so many pixels nearer to the start; a multiple of `align`. What
        exceeds the first gap is taken modulo that gap.

    Returns
    -------
    tuple of int
        Strictly increasing `p` with `p[0] == 0`, `p[-1] == max(length - tile, 0)` (so an axis shorter
        than the tile has the one position 0, whatever the shift) and `p[i + 1] - p[i] <= tile - overlap`. Without a
        shift, gaps differ by at most `align`. With one there is a further tile before the last.

    Raises
    ------
    GridError
        If a length is not positive, the overlap leaves no stride of at least `align`, `length - tile` is off the
        lattice, or the shift is negative or off the lattice.
    """
    if length < 1 or tile < 1 or align < 1:
        raise GridError(f"length, tile and align must be positive, got {length}, {tile}, {align}")
    longest = (tile - overlap) // align
    if overlap < 0 or longest < 1:
        raise GridError(
            f"overlap {overlap} of tile {tile} leaves no stride of at least {align}: expected 0 to {tile - align}"
        )
    if shift < 0 or shift % align:
        raise GridError(f"a shift must be a multiple of {align}, 0 or more, got {shift}")
    if length <= tile:
        return (0,)
    if (length - tile) % align:
        raise GridError(f"length {length} minus tile {tile} is not a multiple of {align}")
    last = (length - tile) // align
    gaps = math.ceil(last / longest)
    even = [align * (i * last // gaps) for i in range(gaps + 1)]
    moved = shift % even[1]
    return (0, *(offset - moved for offset in even[1:]), *even[-1:] * (moved > 0))


@dataclass(frozen=True, slots=True)
class Tile:
    """One pass through the network: a window of the model grid."""

    row: int
    """Row of the tile among the tiles."""
    col: int
    """Column of the tile among the tiles."""
    window: Window
    """Where it lies, model pixels of the padded model grid."""

    @property
    def cells(self) -> Window:
        """Where it lies on the logits grid, cells."""
        w = self.window
        return Window(
            w.row_off // LOGITS_STRIDE, w.col_off // LOGITS_STRIDE, w.height // LOGITS_STRIDE, w.width // LOGITS_STRIDE
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """The model grid of one image and the tiles on it."""

    source_shape: tuple[int, int]
    """(height, width) of the file, source pixels."""
    model_shape: tuple[int, int]
    """(height, width) after resampling, model pixels."""
    tile_shape: tuple[int, int]
    """(height, width) of every tile, model pixels."""
    row_offs: tuple[int, ...]
    """First model row of each row of tiles."""
    col_offs: tuple[int, ...]
    """First model column of each column of tiles."""

    @property
    def padded_shape(self) -> tuple[int, int]:
        """(height, width) that the tiles cover exactly, model pixels; reflected beyond `model_shape`."""
        return self.row_offs[-1] + self.tile_shape[0], self.col_offs[-1] + self.tile_shape[1]

    @property
    def cells_shape(self) -> tuple[int, int]:
        """(height, width) of the logits grid, cells."""
        height, width = self.padded_shape
        return height // LOGITS_STRIDE, width // LOGITS_STRIDE

    def __len__(self) -> int:
        return len(self.row_offs) * len(self.col_offs)

    def row_tiles(self, row: int) -> Iterator[Tile]:
        """Yield the tiles of one row of tiles, left to right."""
        for col, col_off in enumerate(self.col_offs):
            yield Tile(row, col, Window(self.row_offs[row], col_off, *self.tile_shape))

    def tiles(self) -> Iterator[Tile]:
        """Yield every tile once, in row-major order."""
        for row in range(len(self.row_offs)):
            yield from self.row_tiles(row)

    def source_window(self, window: Window, *, margin: int = 0) -> Window:
        """Return the source pixels under a model window.

        Parameters
        ----------
        window : Window
            Model pixels; may reach into the padding.
        margin : int
            Model pixels to grow it by on every side first.

        Returns
        -------
        Window
            The least window of whole source pixels, cut to the image, that holds the grown window.
        """
        rows, cols = (
            _source_span(start - margin, stop + margin, source=source, model=model)
            for start, stop, source, model in (
                (window.row_off, window.row_stop, self.source_shape[0], self.model_shape[0]),
                (window.col_off, window.col_stop, self.source_shape[1], self.model_shape[1]),
            )
        )
        return Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0])


def _source_span(start: int, stop: int, *, source: int, model: int) -> tuple[int, int]:
    """Return the whole source pixels under the model span `start <= m < stop`, integers throughout."""
    first = min(max(start * source // model, 0), source - 1)
    last = min(max(-(-stop * source // model), first + 1), source)
    return first, last


def model_shape_of(source_shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (height, width) of an image after resampling, model pixels, for `scale` model pixels per source pixel.

    Raises
    ------
    GridError
        If the image has no pixel, or the scale is not a positive number.
    """
    if not 0 < scale < math.inf:
        raise GridError(f"the scale must be a positive number, got {scale}")
    height, width = source_shape
    if height < 1 or width < 1:
        raise GridError(f"an image needs at least one pixel, got {height} x {width}")
    return max(round(height * scale), 1), max(round(width * scale), 1)


def on_lattice(length: int) -> int:
    """Return a length in model pixels, padded to the lattice that all tiles lie on."""
    return -(-length // LATTICE_PX) * LATTICE_PX


def plan_grid(
    source_shape: tuple[int, int],
    *,
    scale: float,
    tile: tuple[int, int],
    overlap: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
) -> Grid:
    """Return the model grid of an image and its tiles.

    Parameters
    ----------
    source_shape : tuple of int
        (height, width) of the file, source pixels.
    scale : float
        Model pixels per source pixel.
    tile : tuple of int
        (height, width) of a tile, model pixels; multiples of 32, at least 64.
    overlap : tuple of int
        Least total overlap of neighbouring tiles, along rows and columns, model pixels.
    shift : tuple of int
        How far the tiles between the first and the last are moved, along rows and columns, model pixels; multiples
        of 32, see `axis_positions`.

    Returns
    -------
    Grid
        Tiles that cover the model grid, padded at the bottom and right to a multiple of 32 and to
        one whole tile at least; every offset is a multiple of 32.

    Raises
    ------
    GridError
        If a size, the scale, the tile, the overlap or the shift cannot make a grid.
    """
    model_shape = model_shape_of(source_shape, scale)
    for side in tile:
        if side % LATTICE_PX or side < MIN_TILE_PX:
            raise GridError(f"the tile must be a multiple of {LATTICE_PX} px and at least {MIN_TILE_PX} px, got {side}")
    row_offs, col_offs = (
        axis_positions(on_lattice(length), side, shared, align=LATTICE_PX, shift=moved)
        for length, side, shared, moved in zip(model_shape, tile, overlap, shift, strict=True)
    )
    return Grid(source_shape, model_shape, tile, row_offs, col_offs)
