"""Write the masks of one image: streamed, read back, and under their final names whole or not at all."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from tiler.atomic import hidden_name
from tiler.classes import NO_LABEL, ClassTable
from tiler.coverage import Coverage
from tiler.errors import RasterWriteError
from tiler.georef import Georeference
from tiler.outputs import Kind, Output
from tiler.png import Filter, PngPixels, png_end, png_head
from tiler.raster import gdal_environment

BLOCK_PX = 512
"""Side of the blocks of a GeoTIFF; rows are written in multiples of it, so no block is written twice."""
_SCRATCH = {"compress": "zstd", "zstd_level": 1}
_FINAL: dict[Kind, dict[str, Any]] = {
    "label": {"compress": "deflate", "zlevel": 6},
    "color": {"compress": "deflate", "zlevel": 6},
    "confidence": {"compress": "deflate", "zlevel": 1, "predictor": 2},
}
_COG: dict[Kind, dict[str, Any]] = {
    "label": {"level": 6, "predictor": "no", "overview_resampling": "mode"},
    "color": {"level": 6, "predictor": "no", "overview_resampling": "nearest"},
    "confidence": {"level": 1, "predictor": "yes", "overview_resampling": "average"},
}
_PIECE_BYTES = 2**20
_CONFIDENCE_TAG = {"CONFIDENCE": "round(254 * (p1 - p2) / (p1 + p2)) of the two likeliest classes; 255: no data"}


@dataclass(frozen=True, slots=True)
class MaskMeta:
    """What every mask of one image carries besides its pixels."""

    shape: tuple[int, int]
    """(height, width) of the source and so of the mask."""
    classes: ClassTable
    """Names and colours."""
    georeference: Georeference
    """The source's own."""
    tags: Mapping[str, str]
    """Provenance, stored as TIFF tags or PNG text."""


class _Sink(Protocol):
    """Takes the rows of one band for its output files, top to bottom.

    Every method raises `RasterWriteError` naming the file that it fails for, but `abandon`, which never raises.
    """

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Take the next full-width rows."""

    def close(self, tags: Mapping[str, str]) -> None:
        """Add tags that were not known before, complete the temporary files and read them back."""

    def abandon(self) -> None:
        """Let go of the temporary files, whatever their state, and remove them."""


@dataclass(frozen=True, slots=True)
class _Staged:
    """An output on its way to its final name."""

    output: Output
    """What it will be."""
    temporary: Path
    """Where it is written, in the same folder."""

    @property
    def final(self) -> Path:
        """The name it gets."""
        return self.output.path


class MaskWriter:
    """Write all output files of one image; use as a context manager.

    Leaving the block without `commit` removes every trace.

    Parameters
    ----------
    outputs : sequence of Output
        The files; their folders are made.
    meta : MaskMeta
        What they carry.
    threads : int
        Threads that GDAL may use to compress a GeoTIFF or COG; the bytes do not depend on it.

    Raises
    ------
    RasterWriteError
        From any method, if a file cannot be written whole; names the file.
    """

    def __init__(self, outputs: Sequence[Output], meta: MaskMeta, *, threads: int = 1) -> None:
        self._missing, self._width = meta.shape
        self._staged = [_Staged(output, hidden_name(output.path)) for output in outputs]
        self._sinks: list[tuple[_Sink, bool]] = []
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(gdal_environment())
            for group in _groups(self._staged):
                sink = _open_sink(group, meta, threads)
                stack.callback(sink.abandon)
                self._sinks.append((sink, group[0].output.kind == "confidence"))
            self._stack = stack.pop_all()

    def __enter__(self) -> MaskWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def write(self, labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None) -> None:
        """Write the next full-width rows to every file.

        Parameters
        ----------
        labels : ndarray of uint8, shape (n, width)
            Class ids; 255 where there is no data.
        confidence : ndarray of uint8, shape (n, width), optional
            `round(254 * (p1 - p2) / (p1 + p2))` of the two likeliest classes; 255 where there is no
            data. Given exactly where an output of that kind is planned.

        Raises
        ------
        ValueError
            If confidence is missing, of another shape than the labels, or not planned.
        """
        self._check(labels, confidence)
        self._missing -= len(labels)
        for sink, wants_confidence in self._sinks:
            sink.write(confidence if wants_confidence and confidence is not None else labels)

    def commit(self, coverage: Coverage | None = None) -> None:
        """Complete every file, read it back, and give all of them their final names.

        Parameters
        ----------
        coverage : Coverage, optional
            What the classes cover; goes into the tags of every file.
        """
        if self._missing:
            raise RasterWriteError(f"{self._staged[0].final}: {self._missing} rows are missing")
        for sink, _ in self._sinks:
            sink.close(coverage.tags() if coverage else {})
        for staged in self._staged:
            with _writing(staged.final):
                _sync(staged.temporary, os.O_RDWR)
        for staged in self._staged:
            with _writing(staged.final):
                staged.temporary.replace(staged.final)
        for folder in {staged.final.parent for staged in self._staged}:
            with suppress(OSError):  # Windows and some network shares cannot; the files themselves are safe
                _sync(folder, os.O_RDONLY)

    def _check(self, labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None) -> None:
        if labels.ndim != 2 or labels.shape[1] != self._width or len(labels) > self._missing:
            raise RasterWriteError(
                f"{self._staged[0].final}: at most {self._missing} rows of {self._width} pixels expected, "
                f"got shape {labels.shape}"
            )
        planned = any(wants_confidence for _, wants_confidence in self._sinks)
        if planned != (confidence is not None):
            raise ValueError(f"confidence is {'planned but not given' if planned else 'given but not planned'}")
        if confidence is not None and confidence.shape != labels.shape:
            raise ValueError(f"confidence has shape {confidence.shape}, labels have {labels.shape}")


def _groups(staged: Sequence[_Staged]) -> Iterator[list[_Staged]]:
    """Yield the outputs that one sink writes: PNGs of the same rows are encoded once."""
    shared = [entry for entry in staged if entry.output.format == "png" and entry.output.kind != "confidence"]
    if shared:
        yield shared
    yield from ([entry] for entry in staged if entry not in shared)


def _open_sink(group: Sequence[_Staged], meta: MaskMeta, threads: int) -> _Sink:
    if group[0].output.format == "png":
        return _PngSink(group, meta)
    return _GeoTiffSink(group[0], meta, threads)


def _tags(kind: Kind, meta: MaskMeta) -> dict[str, str]:
    return {**meta.tags, **(_CONFIDENCE_TAG if kind == "confidence" else {})}


class _PngSink:
    """Rows as PNG files: gray, or with a palette in the classes' colours."""

    def __init__(self, group: Sequence[_Staged], meta: MaskMeta) -> None:
        height, width = meta.shape
        filter: Filter = "paeth" if group[0].output.kind == "confidence" else "up"
        self._pixels = PngPixels(height=height, width=width, filter=filter)
        self._files: list[_CheckedFile] = []
        with ExitStack() as stack:
            stack.callback(self.abandon)
            for staged in group:
                kind = staged.output.kind
                palette = meta.classes.palette() if kind == "color" else None
                self._files.append(_CheckedFile(staged))
                self._files[-1].write(png_head(height=height, width=width, palette=palette, text=_tags(kind, meta)))
            stack.pop_all()

    def write(self, rows: NDArray[np.uint8]) -> None:
        data = self._pixels.encode(rows)
        for file in self._files:
            file.write(data)

    def close(self, tags: Mapping[str, str]) -> None:
        data = self._pixels.finish() + png_end(tags)
        for file in self._files:
            file.write(data)
            file.close()

    def abandon(self) -> None:
        for file in self._files:
            file.abandon()


class _CheckedFile:
    """A file that is compared with what was written when it is closed."""

    def __init__(self, staged: _Staged) -> None:
        self._staged = staged
        self._checksum = 0
        with _writing(staged.final):
            staged.final.parent.mkdir(parents=True, exist_ok=True)
            self._file = staged.temporary.open("wb")

    def write(self, data: bytes) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        with _writing(self._staged.final):
            self._file.write(data)

    def close(self) -> None:
        with _writing(self._staged.final):
            self._file.close()
            _compare_bytes(self._staged.temporary, self._checksum)

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        _remove(self._staged.temporary)


class _GeoTiffSink:
    """Rows as a GeoTIFF: labels with a palette, colours as red, green, blue, alpha, confidence in gray.

    A cloud-optimised one is written as a scratch GeoTIFF and then copied: GDAL's own COG writer
    would hold the whole raster in memory.
    """

    def __init__(self, staged: _Staged, meta: MaskMeta, threads: int) -> None:
        self._staged = staged
        self._kind = staged.output.kind
        self._threads = threads
        cog, temporary = staged.output.format == "cog", staged.temporary
        self._scratch = temporary.with_name(temporary.name + ".tif") if cog else temporary
        self._palette = meta.classes.palette()
        self._block = np.empty((BLOCK_PX, meta.shape[1]), np.uint8)
        self._filled = self._row = self._checksum = 0
        compression = _SCRATCH if cog else {**_FINAL[self._kind], "num_threads": threads}
        try:
            with _writing(staged.final):
                staged.final.parent.mkdir(parents=True, exist_ok=True)
                self._dataset = self._create(meta, compression)
        except BaseException:
            _remove(self._scratch)
            raise

    def _create(self, meta: MaskMeta, compression: Mapping[str, Any]) -> Any:
        height, width = meta.shape
        layouts: dict[Kind, dict[str, Any]] = {
            "label": {"count": 1, "nodata": NO_LABEL, "photometric": "palette"},
            "color": {"count": 4, "photometric": "rgb", "alpha": "unspecified"},
            "confidence": {"count": 1, "nodata": NO_LABEL, "photometric": "minisblack"},
        }
        dataset = rasterio.open(
            str(self._scratch.absolute()), "w", driver="GTiff", height=height, width=width, dtype="uint8",
            tiled=True, blockxsize=BLOCK_PX, blockysize=BLOCK_PX, bigtiff="if_safer",
            **compression, **layouts[self._kind], **meta.georeference.creation_options(),
        )  # fmt: skip
        dataset.update_tags(**_tags(self._kind, meta))
        if self._kind == "label":
            dataset.write_colormap(1, dict(enumerate(map(tuple, self._palette.tolist()))))
            dataset.set_band_description(1, "class")
        elif self._kind == "confidence":
            dataset.set_band_description(1, "confidence")
        else:
            dataset.colorinterp = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha
        return dataset

    def write(self, rows: NDArray[np.uint8]) -> None:
        while len(rows):
            part = rows[: BLOCK_PX - self._filled]
            self._block[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            rows = rows[len(part) :]
            if self._filled == BLOCK_PX:
                self._write_block()

    def _write_block(self) -> None:
        rows = self._block[: self._filled]
        bands = np.take(self._palette.T, rows, axis=1) if self._kind == "color" else rows[np.newaxis]
        self._checksum = zlib.crc32(bands.data, self._checksum)
        with _writing(self._staged.final):
            self._dataset.write(bands, window=RasterioWindow(0, self._row, rows.shape[1], len(rows)))
        self._row += len(rows)
        self._filled = 0

    def close(self, tags: Mapping[str, str]) -> None:
        if self._filled:
            self._write_block()
        with _writing(self._staged.final):
            self._dataset.update_tags(**tags)
            self._dataset.close()
            if self._scratch != self._staged.temporary:
                self._copy()
            _compare_pixels(self._staged.temporary, self._checksum)

    def _copy(self) -> None:
        rasterio.shutil.copy(
            str(self._scratch.absolute()), str(self._staged.temporary.absolute()), driver="COG",
            compress="deflate", blocksize=BLOCK_PX, overviews="ignore_existing", bigtiff="if_safer",
            num_threads=self._threads, **_COG[self._kind],
        )  # fmt: skip
        self._scratch.unlink()

    def abandon(self) -> None:
        with suppress(Exception):  # closing flushes, which may fail again; the file is on its way out
            self._dataset.close()
        _remove(self._scratch)
        _remove(self._staged.temporary)


def _compare_bytes(path: Path, checksum: int) -> None:
    """Raise unless the file holds the bytes that were written."""
    found = 0
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            found = zlib.crc32(data, found)
    _refuse_difference(found, checksum)


def _compare_pixels(path: Path, checksum: int) -> None:
    """Raise unless a GeoTIFF decodes to the pixels that were written.

    rasterio drops the error that GDAL returns when a write fails at close, so only reading tells.
    """
    found = 0
    with rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
        for row in range(0, dataset.height, BLOCK_PX):
            window = RasterioWindow(0, row, dataset.width, min(BLOCK_PX, dataset.height - row))
            found = zlib.crc32(dataset.read(window=window).data, found)
    _refuse_difference(found, checksum)


def _refuse_difference(found: int, written: int) -> None:
    if found != written:
        raise RasterWriteError("what was read back differs from what was written")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn whatever a write raises into a `RasterWriteError` that names the final file."""
    try:
        yield
    except Exception as error:
        cause = (isinstance(error, OSError) and error.strerror) or error.__cause__ or error
        raise RasterWriteError(f"{path}: cannot be written: {cause}") from error


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
