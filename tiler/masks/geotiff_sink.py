"""Write rows of a mask as a GeoTIFF, cloud-optimised or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from tiler.classes import NO_LABEL
from tiler.files.names import Kind
from tiler.grid.parts import BLOCK_PX
from tiler.masks.sink import MaskMeta, Staged, mask_tags, refuse_difference, remove, writing
from tiler.stopwatch import watch

_BLOCK_CHOICES_PX = (BLOCK_PX, 384, 1024)
_GDAL_OVERVIEW_BLOCK_PX = 128
"""What GDAL takes for overviews where the side of a block is no power of two."""
_SCRATCH = {"compress": "zstd", "zstd_level": 1}
_FINAL: dict[Kind, dict[str, Any]] = {
    "label": {"compress": "deflate", "zlevel": 6},
    "color": {"compress": "deflate", "zlevel": 6},
    "confidence": {"compress": "deflate", "zlevel": 1, "predictor": 2},
    "disagreement": {"compress": "deflate", "zlevel": 1, "predictor": 2},
}
_COG: dict[Kind, dict[str, Any]] = {
    "label": {"level": 6, "predictor": "no", "overview_resampling": "mode"},
    "color": {"level": 6, "predictor": "no", "overview_resampling": "nearest"},
    "confidence": {"level": 1, "predictor": "yes", "overview_resampling": "average"},
    "disagreement": {"level": 1, "predictor": "yes", "overview_resampling": "average"},
}


class GeoTiffSink:
    """Rows as a GeoTIFF: labels with a palette, colours as red, green, blue and alpha, the others in gray.

    A cloud-optimised one is written as a scratch GeoTIFF and then copied, because GDAL's own COG writer
    would hold the whole raster in memory.

    Parameters
    ----------
    staged : Staged
        The file.
    meta : MaskMeta
        What it carries.
    threads : int
        Threads of GDAL to compress it.
    scratch : bool
        Whether it is read once and removed, so that it is compressed as fast as can be.
    """

    def __init__(self, staged: Staged, meta: MaskMeta, threads: int, *, scratch: bool = False) -> None:
        self._staged = staged
        self._kind = staged.output.kind
        self._threads = threads
        cog, temporary = staged.output.format == "cog", staged.temporary
        self._scratch = temporary.with_name(temporary.name + ".tif") if cog else temporary
        self._palette = meta.classes.palette()
        self._shape = meta.shape
        self._block = np.empty((BLOCK_PX, meta.shape[1]), np.uint8)
        self._filled = self._row = self._checksum = 0
        compression = _SCRATCH if cog or scratch else {**_FINAL[self._kind], "num_threads": threads}
        try:
            with writing(staged.final):
                staged.final.parent.mkdir(parents=True, exist_ok=True)
                self._dataset = self._create(meta, compression)
        except BaseException:
            remove(self._scratch)
            raise

    def _create(self, meta: MaskMeta, compression: Mapping[str, Any]) -> Any:
        height, width = meta.shape
        layouts: dict[Kind, dict[str, Any]] = {
            "label": {"count": 1, "nodata": NO_LABEL, "photometric": "palette"},
            "color": {"count": 4, "photometric": "rgb", "alpha": "unspecified"},
            "confidence": {"count": 1, "nodata": NO_LABEL, "photometric": "minisblack"},
            "disagreement": {"count": 1, "nodata": NO_LABEL, "photometric": "minisblack"},
        }
        dataset = rasterio.open(
            str(self._scratch.absolute()), "w", driver="GTiff", height=height, width=width, dtype="uint8",
            tiled=True, blockxsize=BLOCK_PX, blockysize=BLOCK_PX, bigtiff="if_safer",
            **compression, **layouts[self._kind], **meta.georeference.creation_options(),
        )  # fmt: skip
        dataset.update_tags(**mask_tags(self._kind, meta))
        if self._kind == "label":
            dataset.write_colormap(1, dict(enumerate(map(tuple, self._palette.tolist()))))
            dataset.set_band_description(1, "class")
        elif self._kind == "color":
            dataset.colorinterp = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha
        else:
            dataset.set_band_description(1, self._kind)
        return dataset

    def write(self, rows: NDArray[np.uint8]) -> None:
        """See `Sink`."""
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
        with writing(self._staged.final):
            self._dataset.write(bands, window=RasterioWindow(0, self._row, rows.shape[1], len(rows)))
        self._row += len(rows)
        self._filled = 0

    def close(self, tags: Mapping[str, str]) -> None:
        """See `Sink`."""
        if self._filled:
            self._write_block()
        with writing(self._staged.final):
            self._dataset.update_tags(**tags)
            self._dataset.close()
            if self._scratch != self._staged.temporary:
                self._copy()
            with watch("verify"):
                _compare_pixels(self._staged.temporary, self._checksum)

    def _copy(self) -> None:
        rasterio.shutil.copy(
            str(self._scratch.absolute()), str(self._staged.temporary.absolute()), driver="COG",
            compress="deflate", blocksize=_cog_block_px(*self._shape), overviews="ignore_existing", bigtiff="if_safer",
            num_threads=self._threads, **_COG[self._kind],
        )  # fmt: skip
        self._scratch.unlink()

    def abandon(self) -> None:
        """See `Sink`."""
        with suppress(Exception):  # closing flushes, which may fail again; the file is removed in any case
            self._dataset.close()
        remove(self._scratch)
        remove(self._staged.temporary)


def _cog_block_px(height: int, width: int) -> int:
    """Return the side of a COG's blocks.

    Validators (rio-cogeo) take a COG for untiled if its image, or an overview, is large and just as wide as a block.
    With these sides that can only happen to images more than four times as tall as wide.
    """
    return next((side for side in _BLOCK_CHOICES_PX if not _seems_untiled(height, width, side)), BLOCK_PX)


def _seems_untiled(height: int, width: int, side: int) -> bool:
    found, block = False, side
    while max(height, width) >= side:
        found = found or (width == block and height > BLOCK_PX)
        height, width = height // 2, width // 2  # as GDAL makes overviews
        block = side if side.bit_count() == 1 else _GDAL_OVERVIEW_BLOCK_PX
    return found or (width == block and height > BLOCK_PX)


def _compare_pixels(path: Path, checksum: int) -> None:
    """Raise unless a GeoTIFF decodes to the pixels that were written, and its overviews decode at all.

    rasterio drops the error that GDAL returns when a write fails at close, so only reading tells.
    """
    with rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
        overviews = len(dataset.overviews(1))
        refuse_difference(_checksum(dataset), checksum)
    for level in range(overviews):
        with rasterio.open(str(path.absolute()), driver="GTiff", overview_level=level) as overview:
            _checksum(overview)


def rows_of_blocks(dataset: Any) -> Iterator[RasterioWindow]:
    """Yield the rows of an open GeoTIFF as windows, a row of its blocks at a time."""
    for row in range(0, dataset.height, BLOCK_PX):
        yield RasterioWindow(0, row, dataset.width, min(BLOCK_PX, dataset.height - row))


def _checksum(dataset: Any) -> int:
    found = 0
    for window in rows_of_blocks(dataset):
        found = zlib.crc32(dataset.read(window=window).data, found)
    return found
