"""What a file may claim to be; asked before any of its pixels is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiler.errors import RasterReadError

_COMPLEX_BYTES = 16
PIXELS_PER_BYTE = {"JPEG": 512.0, "PNG": 8_300.0, "GTiff": 400_000.0}
"""More pixels per byte than honest files have, by driver.

A JPEG needs a bit for each block of 8 x 8: at most 512, and a blank one has 256. A blank PNG of 1 bit has 8,230. A TIFF
that leaves out all its blocks has 22,000 with blocks of 512, and 344,000 with blocks of 2048."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The most that the header of a file may claim; damaged and hostile ones claim more."""

    megapixels: float = 20_000
    """Height x width / 10^6; an orthomosaic of 100,000 x 100,000 has 10,000."""
    block_mb: float = 2048
    """Size of one decoded tile or strip, which GDAL holds whole, MB of 10^6 bytes."""
    pixels_per_byte: float | None = None
    """Pixels for each byte of the file; None: as the format can have, see `PIXELS_PER_BYTE`."""
    shape: tuple[float, float] = (math.inf, math.inf)
    """(height, width), pixels; for readers whose memory grows with one of them."""
    channels: int = 64
    """More than any survey camera has."""
    vrt: bool = False
    """Whether virtual rasters are read at all; the files that they name are then trusted."""
    raised_by: str = "noseam plan and segment"
    """Commands whose options raise these limits, for the message; empty where none does."""

    def check(self, path: Path, dataset: Any) -> None:
        """Refuse an open dataset that claims more.

        Raises
        ------
        RasterReadError
            Says what it claims, the most that is read, and which option raises that, if one does.
        """
        if dataset.count > self.channels:
            raise RasterReadError(f"{path}: {dataset.count} channels claimed, {self.channels} is the most that is read")
        pixels = dataset.height * dataset.width
        size = f"{dataset.width} x {dataset.height} pixels claimed"
        for found, most, unit in zip((dataset.height, dataset.width), self.shape, ("rows", "columns"), strict=True):
            self._refuse(path, size, found, most, unit)
        self._refuse(path, size, pixels / 1e6, self.megapixels, "megapixels", "--max-megapixels")
        if dataset.driver in PIXELS_PER_BYTE:
            file_bytes = path.stat().st_size
            size = f"{size} in a file of {file_bytes:,} bytes"
            most = self.pixels_per_byte or PIXELS_PER_BYTE[dataset.driver]
            self._refuse(path, size, pixels / max(file_bytes, 1), most, "pixels per byte", "--max-pixels-per-byte")
        height, width, block_bytes = _largest_block(dataset)
        block = f"a block of {width} x {height} pixels claimed"
        self._refuse(path, block, block_bytes / 1e6, self.block_mb, "MB when decoded", "--max-block-mb")

    def _refuse(self, path: Path, claimed: str, found: float, most: float, unit: str, option: str = "") -> None:
        if found > most:
            advice = f" ({option} of {self.raised_by} raises that)" if option and self.raised_by else ""
            raise RasterReadError(
                f"{path}: {claimed}, {_number(found)} {unit}; at most {_number(most)} are read{advice}"
            )


DEFAULT_LIMITS = FileLimits()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _largest_block(dataset: Any) -> tuple[int, int, int]:
    """Return height, width and decoded bytes of the largest block; all its channels where they are interleaved."""
    together = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    sizes = {
        (height, width, height * width * _sample_bytes(dtype) * together)
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    }
    return max(sizes, key=lambda size: size[2])


def _sample_bytes(dtype: str) -> int:
    return _COMPLEX_BYTES if dtype.startswith("complex") else np.dtype(dtype).itemsize
