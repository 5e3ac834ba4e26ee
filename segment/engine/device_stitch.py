"""Blend, upsample and label on the device that made the logits, so that only uint8 comes back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.device_blend import Band, DeviceBlender, on_device
from tiler.classes import NO_LABEL
from tiler.errors import LogitsError
from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import Grid, Tile
from tiler.stitch.confidence import CERTAIN
from tiler.stitch.upsample import MaskRows, sample_points

_BAND_BYTES = 192 * 2**20
"""Most bytes of device memory that one band of rows takes while it is computed, beside the blended logits."""
_LARGEST_BAND_BYTES = 3 * 2**29
_OF_FREE = 64
"""A band takes at most this part of the free memory, because every image in flight may compute one."""
_PIXEL_BYTES = 48
"""Bytes of a pixel beside its logits: winners so far, winners among the next classes, and their merging."""
_CLASSES_AT_ONCE = 32
_AXES = 16
"""Axes whose points stay on the device, because the images of a survey mostly have one size."""


class DeviceStitcher:
    """Turn the logits of tiles into full-width rows of the masks, on the device of the logits.

    It does what `tiler.stitch.blend.Blender` and `tiler.stitch.upsample.Upsampler` do. The results are equal, except
    for the rounding of float32. The work is queued on the device's current stream, behind the network that made the
    logits. Adding a tile never waits for the device.

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
    span : Span or None
        The source rows that are wanted; None: all. Tiles come from the first of `rows_of_tiles` on.
    band_bytes : int, optional
        Most bytes that a band of rows takes while it is computed, see `band_bytes`; None: 192 MiB.
    """

    def __init__(
        self,
        grid: Grid,
        classes: int,
        device: torch.device,
        *,
        confidence: bool = False,
        span: Span | None = None,
        band_bytes: int | None = None,
    ) -> None:
        self._blender = DeviceBlender(grid, classes, device, rows_of_tiles(grid, span).start if span else 0)
        self._upsampler = _DeviceUpsampler(grid, classes, device, confidence, span, band_bytes or _BAND_BYTES)

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


def band_bytes(device: torch.device) -> int:
    """Return the bytes that a band of rows may take on a device, by its free memory.

    Each band is a few dozen calls of PyTorch, however many rows it has, and they hold the interpreter lock. So bands
    are large where there is memory.
    """
    if device.type == "cpu":
        return _BAND_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return min(max(free // _OF_FREE, _BAND_BYTES), _LARGEST_BAND_BYTES)


@lru_cache(_AXES)
def _points(source: int, model: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what `sample_points` returns, copied to the device once for all images of this length."""
    lower, fraction = sample_points(source=source, model=model, cells=cells)
    return on_device(device, lower), on_device(device, fraction)


class _DeviceUpsampler:
    """Turn bands of blended logits into full-width rows of the masks, a bounded number at a time."""

    def __init__(
        self, grid: Grid, classes: int, device: torch.device, confidence: bool, span: Span | None, band_bytes: int
    ) -> None:
        (height, width), (rows, cols) = grid.source_shape, grid.cells_shape
        self._span = span or Span(0, height)
        self._confidence = confidence
        self._row_lower, _ = sample_points(source=height, model=grid.model_shape[0], cells=rows)
        lower, fraction = _points(height, grid.model_shape[0], rows, device)
        self._rows = lower, fraction.unsqueeze(1)
        self._cols = _points(width, grid.model_shape[1], cols, device)
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        pixels, logits = _PIXEL_BYTES * width, 8 * (width + cols)  # bytes of a row: left cells and steps, on both axes
        fitting = (band_bytes - pixels) // logits
        self._classes_at_once = max(min(classes, _CLASSES_AT_ONCE, fitting), 1)
        self._rows_at_once = max(band_bytes // (pixels + logits * self._classes_at_once), 1)

    def rows(self, band: Band) -> Iterator[MaskRows]:
        """Yield the source rows whose cells lie within one band, each while the next are computed."""
        checks = self._launch_checks(band)
        start, stop = np.searchsorted(self._row_lower, (band.row_off, band.row_stop - 1)).tolist()
        start, stop = max(start, self._span.start), min(stop, self._span.stop)
        flying: _Flight | None = None
        for first in range(start, stop, self._rows_at_once):
            launched = self._launch_rows(band, slice(first, min(first + self._rows_at_once, stop)))
            if flying is None:
                _refuse_unusable(band, checks)
            else:
                yield _landed(flying)
            flying = launched
        if flying is None:
            _refuse_unusable(band, checks)
        else:
            yield _landed(flying)

    @torch.inference_mode()
    def _launch_checks(self, band: Band) -> _Flight:
        counts = [check.unusable for check in band.checks]
        return _Flight([torch.stack(counts)] if counts else [], self._copies)

    @torch.inference_mode()
    def _launch_rows(self, band: Band, rows: slice) -> _Flight:
        lower, fraction = self._rows
        top, bottom = self._row_lower[rows.start], self._row_lower[rows.stop - 1] + 2
        cells = band.values[:, top - band.row_off : bottom - band.row_off]
        axis = lower[rows] - top, fraction[rows]
        chunks = range(0, len(cells), self._classes_at_once)
        best = reduce(_merged, (self._best(cells, first, axis) for first in chunks))
        return _Flight(_masks(best), self._copies)

    def _best(self, cells: Tensor, first: int, rows: tuple[Tensor, Tensor]) -> _Best:
        """Return the winners among a few classes from `first`."""
        lines = _interpolated(cells[first : first + self._classes_at_once], 1, *rows)
        return _best_of(_interpolated(lines, 2, *self._cols), first=first, runner_up=self._confidence)


def _interpolated(values: Tensor, axis: int, lower: Tensor, fraction: Tensor) -> Tensor:
    """Sample an axis linearly between the cells `lower` and `lower + 1`."""
    sampled = values.index_select(axis, lower)
    # Differences are taken where there are fewer values: before the axis grows.
    return sampled.addcmul_(values.diff(dim=axis).index_select(axis, lower), fraction)


@dataclass(frozen=True, slots=True)
class _Best:
    """The winners among some classes; every array of shape (rows, width)."""

    value: Tensor
    """Largest logit; NaN where there is none."""
    label: Tensor
    """Its class, uint8; the lowest of those that tie."""
    second: Tensor | None
    """Largest logit of another class, minus infinity where there is no other; None unless asked for."""


def _best_of(logits: Tensor, *, first: int, runner_up: bool) -> _Best:
    """Return the winners among consecutive classes from `first`; overwrites the logits, (classes, rows, width)."""
    value, index = logits.max(dim=0)
    second = logits.scatter_(0, index.unsqueeze(0), -math.inf).amax(dim=0) if runner_up else None
    return _Best(value, (index + first if first else index).to(torch.uint8), second)


def _merged(low: _Best, high: _Best) -> _Best:
    """Return the winners among two sets of classes, the lower ids in `low`."""
    label = torch.where(high.value > low.value, high.label, low.label)
    second = None
    if low.second is not None and high.second is not None:
        second = torch.maximum(torch.minimum(low.value, high.value), torch.maximum(low.second, high.second))
    return _Best(torch.maximum(low.value, high.value), label, second)


def _masks(best: _Best) -> list[Tensor]:
    """Return the labels and, where the runners-up are known, the confidence `254 tanh(margin / 2)`."""
    missing = best.value.isnan()
    masks = [best.label.masked_fill(missing, NO_LABEL)]
    if best.second is not None:
        level = torch.tanh((best.value - best.second) / 2) * CERTAIN
        masks.append(level.round_().masked_fill_(missing, NO_LABEL).to(torch.uint8))
    return masks


class _Flight:
    """Arrays on their way to the host.

    On CUDA the copy runs on a stream of its own. It waits for the work that the computing stream holds by now.
    Work that is queued there later does not wait for the copy.

    Parameters
    ----------
    arrays : list of Tensor
        What to copy.
    stream : torch.cuda.Stream or None
        Where to copy; None: the arrays are on the host already.
    """

    def __init__(self, arrays: list[Tensor], stream: torch.cuda.Stream | None) -> None:
        self._arrays = arrays
        self._event: torch.cuda.Event | None = None
        if stream is not None:
            stream.wait_stream(torch.cuda.current_stream(stream.device))
            with torch.cuda.stream(stream):
                self._arrays = [_pinned(array, stream) for array in arrays]
                # blocking: a thread that waits sleeps, because the cores have other work
                self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                self._event.record(stream)

    def land(self) -> list[NDArray[np.uint8]]:
        """Wait for the copies; return them."""
        if self._event is not None:
            self._event.synchronize()
        return [array.numpy() for array in self._arrays]


def _pinned(array: Tensor, stream: torch.cuda.Stream) -> Tensor:
    array.record_stream(stream)  # else its memory is given away once Python drops it
    host = torch.empty(array.shape, dtype=array.dtype, pin_memory=True)
    return host.copy_(array, non_blocking=True)


def _landed(flight: _Flight) -> MaskRows:
    labels, *confidence = flight.land()
    return MaskRows(labels, confidence[0] if confidence else None)


def _refuse_unusable(band: Band, flight: _Flight) -> None:
    for counts in flight.land():
        for check, count in zip(band.checks, counts.tolist(), strict=True):
            if count:
                raise LogitsError(f"{check.name}: {count} of {check.total} logits are NaN or infinite")
