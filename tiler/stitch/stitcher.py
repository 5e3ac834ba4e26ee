"""From the logits of tiles to rows of masks: blend, upsample, label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import Grid, Tile
from tiler.stitch.blend import Blender, LogitsBand
from tiler.stitch.upsample import MaskRows, Upsampler
from tiler.stopwatch import watch


class Stitcher:
    """Make the masks of one image from its tiles, in rows as they are finished.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    classes : int
        Number of classes C.
    confidence : bool
        Whether to say how sure each label is too.
    disagreement : bool
        Whether to say how far the tiles disagree too.
    span : Span or None
        The source rows that are wanted; None: all. Tiles come from the first of `rows_of_tiles` on.
    temperature : float
        What logits are divided by before they say how sure a label is; labels do not depend on it.
    """

    def __init__(
        self,
        grid: Grid,
        classes: int,
        *,
        confidence: bool = False,
        disagreement: bool = False,
        span: Span | None = None,
        temperature: float = 1.0,
    ) -> None:
        first_row = rows_of_tiles(grid, span).start if span else 0
        self._blender = Blender(grid, classes, first_row, disagreement=disagreement)
        self._upsampler = Upsampler(grid, confidence, span, temperature=temperature)

    def add(self, tile: Tile, logits: NDArray[np.float32]) -> Iterator[MaskRows]:
        """Blend one tile in, at once, and return the rows that it finished.

        Parameters
        ----------
        tile, logits
            As for `Blender.add`, which also says what is raised.

        Returns
        -------
        iterator of MaskRows
            Empty unless the tile was the last of its row of tiles. The rows are labelled only when they are
            asked for. Over all tiles every wanted source row comes once, in order.
        """
        with watch("stitch"):
            band = self._blender.add(tile, logits)
        return self._rows(band)

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        """Leave one tile out, because no valid pixel needs it; returns and raises as `add`."""
        return self._rows(self._blender.skip(tile))

    def _rows(self, band: LogitsBand | None) -> Iterator[MaskRows]:
        return iter(()) if band is None else _watched(self._upsampler.rows(band))


def _watched(rows: Iterator[MaskRows]) -> Iterator[MaskRows]:
    while True:
        with watch("stitch"):
            found = next(rows, None)
        if found is None:
            return
        yield found
