"""What a file may claim to be; asked before any of its pixels is decoded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tiler.errors import FormatError, LimitError
from tiler.source.options import FileLimits

_COMPLEX_BYTES = 16
PIXELS_PER_BYTE = {"JPEG": 512.0, "PNG": 8_300.0, "GTiff": 400_000.0}
"""More pixels per byte than honest files have, by driver.

A JPEG needs a bit for each block of 8 x 8: at most 512, and a blank one has 256. A blank PNG of 1 bit has 8,230. A TIFF
that leaves out all its blocks has 22,000 with blocks of 512, and 344,000 with blocks of 2048."""

MOST_CHANNELS = 64
"""More than any survey camera has."""


def refuse_claims(path: Path, dataset: Any, limits: FileLimits) -> None:
    """Refuse an open dataset that claims more than its limits.

    Raises
    ------
    LimitError
        If a size is over its limit. The message says what the file claims, the most that is read, and which option
        raises that limit, if one does.
    """
    refuse = partial(_refuse, path, limits)
    if dataset.count > MOST_CHANNELS:
        raise FormatError(f"{path}: {dataset.count} channels claimed, {MOST_CHANNELS} is the most that is read")
    pixels = dataset.height * dataset.width
    size = f"{dataset.width} x {dataset.height} pixels claimed"
    for found, most, unit in zip((dataset.height, dataset.width), limits.shape, ("rows", "columns"), strict=True):
        refuse(size, found, most, unit)
    refuse(size, pixels / 1e6, limits.max_megapixels, "megapixels", "--max-megapixels")
    if dataset.driver in PIXELS_PER_BYTE:
        file_bytes = path.stat().st_size
        size = f"{size} in a file of {file_bytes:,} bytes"
        most = limits.max_pixels_per_byte or PIXELS_PER_BYTE[dataset.driver]
        refuse(size, pixels / max(file_bytes, 1), most, "pixels per byte", "--max-pixels-per-byte")
    height, width, block_bytes = _largest_block(dataset)
    block = f"a block of {width} x {height} pixels claimed"
    refuse(block, block_bytes / 1e6, limits.max_block_mb, "MB when decoded", "--max-block-mb")


def _refuse(path: Path, limits: FileLimits, claimed: str, found: float, most: float, unit: str, flag: str = "") -> None:
    if found > most:
        advice = f" ({flag} of {limits.raised_by} raises that)" if flag and limits.raised_by else ""
        raise LimitError(f"{path}: {claimed}, {_number(found)} {unit}; at most {_number(most)} are read{advice}")


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
