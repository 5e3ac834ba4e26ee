"""Labels without small patches, of rasters of any height."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import sieve
from rasterio.windows import Window as RasterioWindow

from tiler.classes import NO_LABEL
from tiler.errors import RasterWriteError, TilerError
from tiler.files.atomic import hidden_folder
from tiler.grid.window import Window

Read = Callable[[Window], NDArray[np.uint8]]
"""Gives the labels of a window."""
STRIP_ROWS = 512
_MASK_ROWS = 64


def strips(read: Read, shape: tuple[int, int], rows: int = STRIP_ROWS) -> Iterator[NDArray[np.uint8]]:
    """Yield all labels of a raster, so many full-width rows at a time."""
    height, width = shape
    for row in range(0, height, rows):
        yield read(Window(row, 0, min(rows, height - row), width))


@contextmanager
def sieved(read: Read, shape: tuple[int, int], size_px: int, folder: Path) -> Iterator[Read]:
    """Yield labels in which patches of fewer pixels than `size_px` have become part of their largest neighbour.

    The result is that of `rasterio.features.sieve` on the whole raster, with a mask of the pixels that have a label.
    Pixels without a label stay so. A small patch without a neighbour stays. The labels lie in a file of one
    byte per pixel, so the operating system decides how many of them are in memory.

    Parameters
    ----------
    read : callable
        Gives the labels of a window; called once for each, top to bottom.
    shape : (int, int)
        (height, width), pixels.
    size_px : int
        Number of pixels that a patch needs to stay, at least 1.
    folder : Path
        A hidden folder lies here for as long as the block runs.

    Raises
    ------
    RasterWriteError
        If the labels cannot be stored.
    """
    with hidden_folder(folder / "sieve") as scratch:
        raw, mask = Path(scratch, "labels"), Path(scratch, "mask.tif")
        try:
            _store(read, shape, raw, mask)
        except TilerError:
            raise
        except Exception as error:  # a full disk, by Python's name or by rasterio's
            raise RasterWriteError(f"{folder}: labels cannot be stored for the sieve: {error}") from error
        _sieve(shape, size_px, raw, mask)
        # It is mapped anew for each window, because Windows removes no file that is mapped.
        yield lambda window: np.memmap(raw, np.uint8, "r", shape=shape)[window.slices].copy()


def _store(read: Read, shape: tuple[int, int], raw: Path, mask: Path) -> None:
    """Write the labels as raw bytes, and a GeoTIFF of which pixels have one.

    The latter is a file, because rasterio would copy a mask that is in memory.
    """
    height, width = shape
    row = 0
    with (
        raw.open("wb") as file,
        rasterio.open(
            str(mask.absolute()), "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8",
            blockysize=_MASK_ROWS, compress="zstd", zstd_level=1, bigtiff="if_safer",
        ) as valid,
    ):  # fmt: skip
        for strip in strips(read, shape):
            file.write(np.ascontiguousarray(strip).data)
            valid.write((strip != NO_LABEL).astype(np.uint8), 1, window=RasterioWindow(0, row, width, len(strip)))
            row += len(strip)


def _sieve(shape: tuple[int, int], size_px: int, raw: Path, mask: Path) -> None:
    """Sieve the labels in a file where they lie."""
    labels = np.memmap(raw, np.uint8, "r+", shape=shape)
    with rasterio.open(str(mask.absolute()), driver="GTiff") as valid:
        size_px = min(size_px, labels.size)  # rasterio refuses more
        sieve(labels, size_px, out=labels, mask=rasterio.band(valid, 1), connectivity=4)
