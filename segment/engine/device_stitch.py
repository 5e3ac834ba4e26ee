"""Blend, upsample and label on the device that made the logits, so that only uint8 comes back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from segment.engine.device import current
from segment.engine.device_arithmetic import Arithmetic, Axis, on_device
from segment.engine.device_blend import Band, DeviceBlender, refuse_unusable
from segment.engine.device_choice import arithmetic
from segment.engine.device_return import BUFFER_BYTES, Flight, returns
from segment.engine.device_votes import disagreement, spread
from segment.engine.device_watch import device_stage
from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import Grid, Tile
from tiler.stitch.upsample import MaskRows, sample_points

_COUNT_BYTES = 8
_AXES = 16
"""Axes whose points stay on the device, because the images of a survey mostly have one size."""


class DeviceStitcher:
    """Turn the logits of tiles into full-width rows of the masks, on the device of the logits.

    It does what `tiler.stitch.blend.Blender` and `tiler.stitch.upsample.Upsampler` do. The results are equal, except
    for the rounding of float32. The work is queued on the device's current stream, behind the network that made the
    logits. Adding a tile never waits for the device, but for the first use of a kernel, see `Judged`.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    classes : int
        Number of classes C, at most 255.
    device : torch.device
        Where the logits are and the work is done.
    confidence : bool
        Whether to say also how sure each label is.
    disagreement : bool
        Whether to say also how far the tiles disagree.
    span : Span or None
        The source rows that are wanted; None: all. Tiles come from the first of `rows_of_tiles` on.
    temperature : float
        What logits are divided by before they say how sure a label is; labels do not depend on it.
    work : Arithmetic or None
        What blends and labels; None: what suits the device, see `arithmetic`.
    """

    def __init__(
        self,
        grid: Grid,
        classes: int,
        device: torch.device,
        *,
        confidence: bool = False,
        disagreement: bool = False,
        span: Span | None = None,
        temperature: float = 1.0,
        work: Arithmetic | None = None,
    ) -> None:
        work = work or arithmetic(device)
        first_row = rows_of_tiles(grid, span).start if span else 0
        self._blender = DeviceBlender(grid, classes, device, work, first_row, disagreement=disagreement)
        self._upsampler = _DeviceUpsampler(
            grid, device, work, 1 + confidence, span, disagreement=disagreement, temperature=temperature
        )

    def add(self, tile: Tile, logits: Tensor) -> Iterator[MaskRows]:
        """Blend one tile in; return the rows that it finished.

        Parameters
        ----------
        tile : Tile
            Rows of tiles come top to bottom; within a row the order does not matter for the cover.
        logits : Tensor of any float type, shape (C, height / 4, width / 4) of the tile
            The network's output for the tile, on the device; blended in float32. Work that is queued after this
            call may use its memory again.

        Returns
        -------
        iterator of MaskRows
            It is empty except for the last tile of a row of tiles. It may be read after later tiles came.
            The arrays are the caller's own.

        Raises
        ------
        LogitsError
            If the logits have another shape. The iterator raises it before its first rows, if the logits of any tile
            of the row hold NaN or infinity.
        CoverError
            If the tile came before, or belongs to another row of tiles.
        """
        return self._rows(self._blender.add(tile, logits))

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        """Leave one tile out, because no valid pixel needs it; returns and raises as `add`."""
        return self._rows(self._blender.skip(tile))

    def _rows(self, band: Band | None) -> Iterator[MaskRows]:
        return iter(()) if band is None else self._upsampler.rows(band)


@lru_cache(_AXES)
def _points(source: int, model: int, cells: int, device: torch.device) -> Axis:
    """Return what `sample_points` returns, copied to the device once for all images of this length."""
    lower, fraction = sample_points(source=source, model=model, cells=cells)
    return on_device(device, lower), on_device(device, fraction)


class _DeviceUpsampler:
    """Turn bands of sums into full-width rows of the masks, as many at a time as a buffer of the host holds."""

    def __init__(
        self,
        grid: Grid,
        device: torch.device,
        work: Arithmetic,
        planes: int,
        span: Span | None,
        *,
        disagreement: bool,
        temperature: float,
    ) -> None:
        (height, width), (rows, cols) = grid.source_shape, grid.cells_shape
        self._grid, self._device, self._work = grid, device, work
        self._span = span or Span(0, height)
        self._planes, self._temperature = planes, temperature
        self._row_lower, _ = sample_points(source=height, model=grid.model_shape[0], cells=rows)
        self._rows = _points(height, grid.model_shape[0], rows, device)
        self._cols = _points(width, grid.model_shape[1], cols, device)
        self._returns = returns(device)
        counts = _COUNT_BYTES * len(grid.col_offs)
        self._rows_at_once = max((BUFFER_BYTES - counts) // ((planes + disagreement) * width), 1)

    def rows(self, band: Band) -> Iterator[MaskRows]:
        """Yield the source rows whose cells lie within one band, each while the next are computed."""
        start, stop = np.searchsorted(self._row_lower, (band.row_off, band.row_stop - 1)).tolist()
        start, stop = max(start, self._span.start), min(stop, self._span.stop)
        step = self._rows_at_once
        flying = self._launch(band, slice(start, max(start, min(start + step, stop))), [band.unusable])
        for first in range(start + step, stop, step):
            launched = self._launch(band, slice(first, min(first + step, stop)), [])
            yield self._landed(band, flying)
            flying = launched
        last = self._landed(band, flying)
        if stop > start:
            yield last

    def _launch(self, band: Band, rows: slice, counts: list[Tensor]) -> Flight:
        """Label some rows; bring them to the host, and with the first rows the counts of unusable logits."""
        shape = self._planes, rows.stop - rows.start, self._grid.source_shape[1]
        with current(self._device), torch.inference_mode():
            masks = torch.empty(shape, dtype=torch.uint8, device=self._device)
            apart = [] if band.votes is None else [masks.new_empty(shape[1:])]
            if rows.stop > rows.start:
                top, bottom = self._row_lower[rows.start].item(), self._row_lower[rows.stop - 1].item() + 2
                sums = band.sums[:, top - band.row_off : bottom - band.row_off]
                with device_stage("stitch", self._device):  # blending, little work in many pieces, is not timed
                    self._work.label(
                        sums, self._rows, self._cols, masks, top=top, first=rows.start, temperature=self._temperature
                    )
                    if band.votes is not None:
                        votes = band.votes[:, top - band.row_off : bottom - band.row_off]
                        points = self._rows[0][rows] - top, self._rows[1][rows]
                        apart = [spread(disagreement(sums, votes), points, self._cols)]
            return self._returns.send([*counts, masks, *apart])

    def _landed(self, band: Band, flight: Flight) -> MaskRows:
        *counts, masks = (found := flight.land())[: None if band.votes is None else -1]
        for each in counts:
            refuse_unusable(self._grid, band, each.tolist())
        return MaskRows(masks[0], masks[1] if self._planes == 2 else None, None if band.votes is None else found[-1])
