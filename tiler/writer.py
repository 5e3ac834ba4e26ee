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
from tiler.errors import RasterWriteError
from tiler.georef import Georeference
from tiler.outputs import Output
from tiler.png import PngWriter
from tiler.raster import gdal_environment

BLOCK_PX = 512
"""Side of the blocks of a GeoTIFF; rows are written in multiples of it, so no block is written twice."""
_SCRATCH = {"compress": "zstd", "zstd_level": 1}
_FINAL = {"compress": "deflate", "zlevel": 6}
_COG = {"compress": "deflate", "level": 6, "predictor": "no", "blocksize": BLOCK_PX, "overviews": "ignore_existing"}


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
    """Takes the labels of one output file, top to bottom."""

    def write(self, labels: NDArray[np.uint8]) -> None:
        """Take the next full-width rows."""

    def close(self) -> None:
        """Complete the temporary file and read it back."""

    def abandon(self) -> None:
        """Let go of the temporary file, whatever its state."""


class MaskWriter:
    """Write all output files of one image; use as a context manager.

    Leaving the block without `commit` removes every trace.

    Parameters
    ----------
    outputs : sequence of Output
        The files; their folders are made.
    meta : MaskMeta
        What they carry.

    Raises
    ------
    RasterWriteError
        From any method, if a file cannot be written whole; names the file.
    """

    def __init__(self, outputs: Sequence[Output], meta: MaskMeta) -> None:
        self._missing = meta.shape[0]
        self._staged: list[tuple[Path, Path]] = []
        self._sinks: list[_Sink] = []
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(gdal_environment())
            for output in outputs:
                temporary = hidden_name(output.path)
                stack.callback(_remove, temporary)
                with _writing(output.path):
                    output.path.parent.mkdir(parents=True, exist_ok=True)
                    sink = _open_sink(output, temporary, meta)
                stack.callback(sink.abandon)
                self._sinks.append(sink)
                self._staged.append((temporary, output.path))
            self._stack = stack.pop_all()

    def __enter__(self) -> MaskWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def write(self, labels: NDArray[np.uint8]) -> None:
        """Write the next full-width rows of labels, uint8 of shape (n, width), to every file."""
        self._missing -= len(labels)
        for sink, (_, final) in zip(self._sinks, self._staged, strict=True):
            with _writing(final):
                sink.write(labels)

    def commit(self) -> None:
        """Complete every file, read it back, and give all of them their final names."""
        if self._missing:
            raise RasterWriteError(f"{self._staged[0][1]}: {self._missing} rows are missing")
        for sink, (temporary, final) in zip(self._sinks, self._staged, strict=True):
            with _writing(final):
                sink.close()
                _sync(temporary, os.O_RDWR)
        for temporary, final in self._staged:
            with _writing(final):
                temporary.replace(final)
        for folder in {final.parent for _, final in self._staged}:
            with suppress(OSError):  # Windows and some network shares cannot; the files themselves are safe
                _sync(folder, os.O_RDONLY)


def _open_sink(output: Output, temporary: Path, meta: MaskMeta) -> _Sink:
    if output.format == "png":
        return _PngSink(temporary, meta, meta.classes.palette() if output.kind == "color" else None)
    return _GeoTiffSink(temporary, meta, color=output.kind == "color", cog=output.format == "cog")


class _PngSink:
    """Labels as a gray PNG, or as a palette PNG in the classes' colours."""

    def __init__(self, temporary: Path, meta: MaskMeta, palette: NDArray[np.uint8] | None) -> None:
        self._temporary = temporary
        self._checksum = 0
        self._file = temporary.open("wb")
        height, width = meta.shape
        self._png = PngWriter(self._file, height=height, width=width, palette=palette, text=meta.tags)

    def write(self, labels: NDArray[np.uint8]) -> None:
        self._checksum = zlib.crc32(np.ascontiguousarray(labels).data, self._checksum)
        self._png.write(labels)

    def close(self) -> None:
        self._png.finish()
        self._file.close()
        _read_back(self._temporary, "PNG", self._checksum)

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()


class _GeoTiffSink:
    """Labels as a palette GeoTIFF, or as red, green, blue, alpha.

    A cloud-optimised one is written as a scratch GeoTIFF and then copied: GDAL's own COG writer
    would hold the whole raster in memory.
    """

    def __init__(self, temporary: Path, meta: MaskMeta, *, color: bool, cog: bool) -> None:
        self._temporary = temporary
        self._scratch = temporary.with_name(temporary.name + ".tif") if cog else temporary
        self._colours = meta.classes.palette() if color else None
        self._overviews = "nearest" if color else "mode"
        self._checksum = 0
        self._row = 0
        self._waiting = np.empty((0, meta.shape[1]), np.uint8)
        self._dataset = self._create(meta, _SCRATCH if cog else _FINAL)

    def _create(self, meta: MaskMeta, compression: Mapping[str, Any]) -> Any:
        height, width = meta.shape
        layout: dict[str, Any] = {"count": 1, "nodata": NO_LABEL, "photometric": "palette"}
        if self._colours is not None:
            layout = {"count": 4, "photometric": "rgb", "alpha": "unspecified"}
        dataset = rasterio.open(
            str(self._scratch.absolute()), "w", driver="GTiff", height=height, width=width, dtype="uint8",
            tiled=True, blockxsize=BLOCK_PX, blockysize=BLOCK_PX, bigtiff="if_safer", **compression, **layout,
            **meta.georeference.creation_options(),
        )  # fmt: skip
        dataset.update_tags(**meta.tags)
        if self._colours is None:
            dataset.write_colormap(1, dict(enumerate(map(tuple, meta.classes.palette().tolist()))))
            dataset.set_band_description(1, "class")
        else:
            dataset.colorinterp = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha
        return dataset

    def write(self, labels: NDArray[np.uint8]) -> None:
        self._waiting = np.concatenate((self._waiting, labels))
        whole = len(self._waiting) // BLOCK_PX * BLOCK_PX
        self._write_rows(self._waiting[:whole])
        self._waiting = self._waiting[whole:]

    def _write_rows(self, labels: NDArray[np.uint8]) -> None:
        for start in range(0, len(labels), BLOCK_PX):
            rows = labels[start : start + BLOCK_PX]
            pixels = rows[..., np.newaxis] if self._colours is None else self._colours[rows]
            self._checksum = zlib.crc32(np.ascontiguousarray(pixels).data, self._checksum)
            window = RasterioWindow(0, self._row, rows.shape[1], len(rows))
            self._dataset.write(pixels.transpose(2, 0, 1), window=window)
            self._row += len(rows)

    def close(self) -> None:
        self._write_rows(self._waiting)
        self._dataset.close()
        if self._scratch != self._temporary:
            rasterio.shutil.copy(
                str(self._scratch.absolute()), str(self._temporary.absolute()), driver="COG",
                overview_resampling=self._overviews, bigtiff="if_safer", **_COG,
            )  # fmt: skip
            self._scratch.unlink()
        _read_back(self._temporary, "GTiff", self._checksum)

    def abandon(self) -> None:
        with suppress(Exception):  # closing flushes, which may fail again; the file is on its way out
            self._dataset.close()
        if self._scratch != self._temporary:
            _remove(self._scratch)


def _read_back(path: Path, driver: str, checksum: int) -> None:
    """Raise unless the file decodes to the bytes that were written.

    rasterio drops the error that GDAL returns when a write fails at close, so only reading tells.
    """
    found = 0
    with rasterio.open(str(path.absolute()), driver=driver) as dataset:
        for row in range(0, dataset.height, BLOCK_PX):
            window = RasterioWindow(0, row, dataset.width, min(BLOCK_PX, dataset.height - row))
            found = zlib.crc32(np.ascontiguousarray(dataset.read(window=window).transpose(1, 2, 0)).data, found)
    if found != checksum:
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
