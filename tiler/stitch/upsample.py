"""Rows of labels from the blended logits grid, with their confidence where asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tiler.grid.parts import Span
from tiler.grid.tiles import LOGITS_STRIDE, Grid
from tiler.stitch.blend import LogitsBand
from tiler.stitch.confidence import STEPS, confidence_levels, rate_rows
from tiler.stitch.disagreement import spread_rows
from tiler.stitch.labelling import Columns, columns, label_rows

_PIECE_BYTES = 2 * 2**20
_PIECES = 2
"""As many come at once."""
_AXES = 8
"""Axes whose points stay known, because the images of a survey mostly have one size."""


@dataclass(frozen=True, slots=True)
class MaskRows:
    """Consecutive full-width source rows of the masks."""

    labels: NDArray[np.uint8]
    """Class ids, shape (rows, width); 255 where a cell that the pixel needs has no logits."""
    confidence: NDArray[np.uint8] | None
    """Shape (rows, width): 0 a tie with the second-best class, 254 certain, 255 no label. None unless asked for."""
    disagreement: NDArray[np.uint8] | None = None
    """Shape (rows, width): 0 all tiles that overlap say the same, 254 they exclude each other, 255 one tile alone. None
    unless asked for."""

    @property
    def planes(self) -> tuple[NDArray[np.uint8], ...]:
        """All that there is, the labels first."""
        return tuple(plane for plane in (self.labels, self.confidence, self.disagreement) if plane is not None)

    def part(self, rows: slice) -> MaskRows:
        """Return some of these rows."""
        sure, apart = (plane if plane is None else plane[rows] for plane in (self.confidence, self.disagreement))
        return MaskRows(self.labels[rows], sure, apart)


def piece_rows(width: int) -> int:
    """Return the rows of a piece of a mask.

    Masks are encoded and areas are summed piece by piece, so that files do not depend on how many rows come at once.
    """
    return max(_PIECE_BYTES // width, 1)


@lru_cache(_AXES)
def sample_points(*, source: int, model: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return where the pixels of one source axis fall on the logits grid.

    The centre of source pixel `p` lies at `v = (p + 1/2) * model / source / 4 - 1/2` cells: the
    half-pixel-centre ("align_corners=False") convention of `torch.nn.functional.interpolate`, with
    `v` clamped to the first and last cell centre.

    Parameters
    ----------
    source, model, cells : int
        Length of the axis in source pixels, model pixels and logits cells (at least 2).

    Returns
    -------
    lower : ndarray of int64, shape (source,)
        Cell at or before the pixel, `0 <= lower <= cells - 2`, non-decreasing.
    fraction : ndarray of float32, shape (source,)
        Share of cell `lower + 1` in [0, 1]; cell `lower` has the rest. Nobody may change either array, because all
        images of these lengths share them.
    """
    position = (np.arange(source) + 0.5) * (model / source / LOGITS_STRIDE) - 0.5
    position = np.clip(position, 0, cells - 1)
    lower = np.minimum(position.astype(np.int64), cells - 2)
    return lower, (position - lower).astype(np.float32)


@lru_cache(_AXES)
def _columns(source: int, model: int, cells: int) -> Columns:
    return columns(*sample_points(source=source, model=model, cells=cells), cells)


class Upsampler:
    """Turn bands of blended logits into full-width rows of masks.

    Parameters
    ----------
    grid : Grid
        The grid of the image.
    confidence : bool
        Whether to say how sure each label is too.
    span : Span or None
        The source rows that are wanted; None: all.
    temperature : float
        What logits are divided by before they say how sure a label is.
    """

    def __init__(
        self, grid: Grid, confidence: bool = False, span: Span | None = None, *, temperature: float = 1.0
    ) -> None:
        (height, width), (rows, cols) = grid.source_shape, grid.cells_shape
        self._width = width
        self._span = span or Span(0, height)
        self._rows = sample_points(source=height, model=grid.model_shape[0], cells=rows)
        self._col_points = sample_points(source=width, model=grid.model_shape[1], cells=cols)
        self._cols = _columns(width, grid.model_shape[1], cols)
        self._levels = confidence_levels() if confidence else None
        self._steps = np.float32(STEPS / temperature)

    def rows(self, band: LogitsBand) -> Iterator[MaskRows]:
        """Yield the masks of the source rows whose cells lie within one band.

        Over the consecutive bands of a `Blender` the arrays hold every wanted source row once, in order.
        What a pixel gets depends on its four cells alone, and not on where bands end.

        Parameters
        ----------
        band : LogitsBand
            Blended logits; a cell holds numbers for all classes or NaN for all.

        Yields
        ------
        MaskRows
            The lower id wins a tie of the sampled logits.
        """
        lower = self._rows[0]
        start, stop = np.searchsorted(lower, (band.row_off, band.row_stop - 1))
        start, stop = max(start, self._span.start), min(stop, self._span.stop)
        step = _PIECES * piece_rows(self._width)
        for first in range(start, stop, step):
            rows = slice(first, min(first + step, stop))
            yield self._with_disagreement(self._mask_rows(band, rows), band, rows)

    def _with_disagreement(self, masks: MaskRows, band: LogitsBand, rows: slice) -> MaskRows:
        if band.disagreement is None:
            return masks
        levels = np.empty_like(masks.labels)
        lower, fraction = (axis[rows] for axis in self._rows)
        spread_rows(band.disagreement, lower - band.row_off, fraction, *self._col_points, levels)
        return replace(masks, disagreement=levels)

    def _mask_rows(self, band: LogitsBand, rows: slice) -> MaskRows:
        lower, fraction = (axis[rows] for axis in self._rows)
        labels = np.empty((len(lower), self._width), np.uint8)
        if self._levels is None:
            label_rows(band.values, lower - band.row_off, fraction, *self._cols, labels)
            return MaskRows(labels, None)
        confidence = np.empty_like(labels)
        rate_rows(
            band.values, lower - band.row_off, fraction, *self._cols, self._levels, self._steps, labels, confidence
        )
        return MaskRows(labels, confidence)
