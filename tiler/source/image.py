"""Read the pixels and the valid mask of an image, on its model grid or as they are stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from tiler.doubt import Doubt
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid
from tiler.grid.window import Window
from tiler.source.channels import Channels, choose_channels
from tiler.source.damage import Damage
from tiler.source.options import DEFAULT_LIMITS, FileLimits
from tiler.source.palette import palette_rows, palette_table
from tiler.source.part import part_of
from tiler.source.raster import RasterInfo, describe, open_raster, reading
from tiler.source.remarks import Findings, reading_doubts, reading_notes
from tiler.source.stretch import Stretch, choose_stretch
from tiler.source.truncation import refuse_truncated

_SAMPLE_SIDE = 1024
_VALID_CHUNK_BYTES = 16 * 2**20


@contextmanager
def open_image(
    path: Path,
    *,
    channels: tuple[int, ...] = (),
    value_range: tuple[float, float] | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    strict: bool = False,
    within: Window | None = None,
    known: Findings | None = None,
) -> Iterator[ImageReader]:
    """Open an image, and yield what reads its pixels.

    Parameters
    ----------
    path : Path
        A JPEG, PNG or TIFF.
    channels : tuple of int
        The user's choice of channels, see `choose_channels`.
    value_range : tuple of float, optional
        Values that become 0 and 255 in files that are not 8-bit; by default each file's 2nd and 98th percentile.
    limits : FileLimits
        What the file may claim to be.
    strict : bool
        Whether pixels that GDAL decodes with a complaint are an error.
    within : Window, optional
        The part that counts as the image; by default all of it.
    known : Findings, optional
        What another reader found in the image. Its stretch is taken, so that no pixel is read for it.

    Raises
    ------
    RasterReadError
        If the file is not an accepted image, is damaged, or claims more than the limits.
    ChannelError
        If the header does not say which channels are red, green and blue, or `channels` does not fit the file.
    """
    damage = Damage(path, strict=strict, found=known.damage if known else ())
    with ExitStack() as stack:
        with damage.opening():
            dataset = stack.enter_context(open_raster(path, limits))
        refuse_truncated(path, dataset)
        dataset, info = part_of(dataset, describe(path, dataset), within)
        yield ImageReader(dataset, info, choose_channels(info, channels), value_range, damage, known)


class ImageReader:
    """Pixels and valid mask of one open image; several threads may share it, and one reads at a time.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The open file.
    info : RasterInfo
        Its header.
    channels : Channels
        What to read.
    value_range : tuple of float or None
        See `open_image`.
    damage : Damage
        Takes what GDAL complains of.
    known : Findings or None
        See `open_image`.
    """

    def __init__(
        self,
        dataset: Any,
        info: RasterInfo,
        channels: Channels,
        value_range: tuple[float, float] | None,
        damage: Damage,
        known: Findings | None = None,
    ) -> None:
        self.info = info
        self.channels = channels
        self._dataset = dataset
        self._damage = damage
        self._empty = Span(0, 0)  # the rows without a valid pixel that `valid_columns` came upon last
        self._lock = threading.Lock()  # a handle of GDAL serves one thread at a time
        self._palette = self._read_palette() if channels.palette else None
        self._float = info.dtype.startswith("float")
        self.stretch = known.stretch if known else self._choose_stretch(value_range)
        self._guessed = value_range is None and info.dtype != "uint8" and not channels.palette

    @property
    def maybe_invalid(self) -> bool:
        """Whether any pixel can be invalid at all; in ordinary photos none can."""
        transparent = self._palette is not None and not self._palette[:, 3].all()
        marked = self.channels.valid is not None or self.channels.nodata is not None
        return self.channels.dataset_mask or marked or self._float or transparent

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the image is read."""
        return reading_notes(self.info, self.channels, self.stretch, guessed=self._guessed)

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """What makes its pixels doubtful; complete once all are read."""
        return reading_doubts(self.info, self.stretch, self._damage.found, guessed=self._guessed)

    @property
    def findings(self) -> Findings:
        """What was found in its pixels so far, for another reader of the image."""
        return Findings(self.stretch, self._damage.found)

    def model_rows(self, grid: Grid, start: int, stop: int) -> NDArray[np.uint8]:
        """Return full-width rows of the model grid, resampled with an anti-aliased bilinear filter.

        GDAL resamples while it decodes, from overviews or JPEG's own reduced sizes where they serve.
        What it returns for a row does not depend on `start` and `stop`. Palette images are expanded
        first and resampled by Pillow, in bands that always begin at multiples of 32 rows.

        Parameters
        ----------
        grid : Grid
            The grid of this image.
        start, stop : int
            Model rows, `0 <= start < stop <= grid.model_shape[0]`.

        Returns
        -------
        ndarray of uint8, shape (3, stop - start, model width)
            Red, green, blue.

        Raises
        ------
        RasterReadError
            If the pixels cannot be decoded.
        """
        if self._palette is not None:
            return palette_rows(self._indices, self._palette, grid, start, stop)
        per_model = self.info.height / grid.model_shape[0]
        window = RasterioWindow(0, start * per_model, self.info.width, (stop - start) * per_model)
        shape = (len(self.channels.colour), stop - start, grid.model_shape[1])
        dtype = "uint8" if self.stretch is None else "float32"
        pixels = self._read(self.channels.colour, window, shape, dtype, Resampling.bilinear)
        if self.stretch is not None:
            pixels = self.stretch.apply(pixels)
        return pixels if len(pixels) == 3 else np.broadcast_to(pixels, (3, *shape[1:]))

    def pixels(self, window: Window) -> NDArray[np.uint8]:
        """Return a window at full resolution, by the same channels, scaling and palette as `model_rows`.

        Parameters
        ----------
        window : Window
            Source pixels, within the image.

        Returns
        -------
        ndarray of uint8, shape (3, height, width)
            Red, green, blue.

        Raises
        ------
        RasterReadError
            If the pixels cannot be decoded.
        """
        area = _area(window)
        if self._palette is not None:
            return np.moveaxis(self._palette[self._indices(area), :3], -1, 0)
        pixels = self._read(self.channels.colour, area, dtype="uint8" if self.stretch is None else "float32")
        if self.stretch is not None:
            pixels = self.stretch.apply(pixels)
        return np.broadcast_to(pixels, (3, window.height, window.width))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Return the valid mask of a window of source pixels.

        Returns
        -------
        ndarray of bool, shape (height, width)
            True = a real measurement. A pixel is invalid where nodata, alpha, the internal mask or the valid
            channel says so, where a colour channel is NaN or infinite, and where its palette entry is transparent.
        """
        return self._valid(_area(window), (window.height, window.width))

    def valid_rows(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return `valid` of full-width source rows, shape (stop - start, width)."""
        empty = self._empty
        if empty.start <= start and stop <= empty.stop:
            return np.zeros((stop - start, self.info.width), np.bool_)
        return self.valid(Window(start, 0, stop - start, self.info.width))

    def valid_columns(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which columns hold a valid pixel in any of the source rows, shape (width,)."""
        step = max(_VALID_CHUNK_BYTES // self.info.width, 1)
        columns = np.zeros(self.info.width, np.bool_)
        for first in range(start, stop, step):
            columns |= self.valid_rows(first, min(first + step, stop)).any(axis=0)
        if not columns.any():
            self._empty = Span(self._empty.start if self._empty.stop >= start else start, stop)
        return columns

    def _valid(self, area: RasterioWindow, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return `valid` of an area, sampled to a shape by nearest neighbour; no other code decides what is valid."""
        valid = np.ones(shape, np.bool_)
        if not self.maybe_invalid:
            return valid
        if self.channels.dataset_mask:
            with self._decoding(f"the valid mask of {_rows(area)}"):
                valid &= self._dataset.dataset_mask(window=area, out_shape=shape) > 0
        if self.channels.valid is not None:
            valid &= self._read((self.channels.valid,), area, (1, *shape))[0] > 0
        if self.channels.nodata is not None or self._float or self._palette is not None:
            valid &= self._measured(self._read(self.channels.colour, area, (len(self.channels.colour), *shape)))
        return valid

    def _measured(self, samples: NDArray[Any]) -> NDArray[np.bool_]:
        """Say which pixels are measurements by the samples of their colour channels (channel, row, col)."""
        measured = np.ones(samples.shape[1:], np.bool_)
        if self.channels.nodata is not None:
            measured &= (samples != self.channels.nodata).any(axis=0)
        if self._float:
            measured &= np.isfinite(samples).all(axis=0)
        if self._palette is not None:
            measured &= self._palette[samples[0], 3] > 0
        return measured

    def _read(
        self,
        channels: tuple[int, ...],
        window: RasterioWindow,
        shape: tuple[int, int, int] | None = None,
        dtype: str | None = None,
        resampling: Resampling = Resampling.nearest,
    ) -> NDArray[Any]:
        with self._decoding(f"the pixels of {_rows(window)}"):
            pixels: NDArray[Any] = self._dataset.read(
                list(channels), window=window, out_shape=shape, out_dtype=dtype, resampling=resampling
            )
        return pixels

    @contextmanager
    def _decoding(self, what: str) -> Iterator[None]:
        with self._lock, self._damage.decoding(), reading(self.info.path, what):
            yield

    def _choose_stretch(self, value_range: tuple[float, float] | None) -> Stretch | None:
        return None if self.channels.palette else choose_stretch(self.info, value_range, self._sample)

    def _sample(self) -> NDArray[np.float64]:
        """Return valid samples of the colour channels from an even sampling of the whole image."""
        height, width = (min(side, _SAMPLE_SIDE) for side in self.info.shape)
        whole = RasterioWindow(0, 0, self.info.width, self.info.height)
        shape = (len(self.channels.colour), height, width)
        pixels = self._read(self.channels.colour, whole, shape).astype(np.float64)
        return pixels[:, self._valid(whole, (height, width))].ravel()

    def _read_palette(self) -> NDArray[np.uint8]:
        with reading(self.info.path, "the palette"):
            return palette_table(self._dataset, self.channels.colour[0], self.info.dtype)

    def _indices(self, window: RasterioWindow) -> NDArray[Any]:
        indices: NDArray[Any] = self._read(self.channels.colour, window)[0]
        return indices


def _area(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col_off, window.row_off, window.width, window.height)


def _rows(area: RasterioWindow) -> str:
    """Name the rows of an area, for errors."""
    return f"rows {int(area.row_off)} to {int(area.row_off + area.height) - 1}"
