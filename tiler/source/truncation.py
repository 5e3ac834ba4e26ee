"""Refuse files whose end is missing, without decoding them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

from tiler.errors import RasterReadError

_PNG_SIGNATURE_BYTES, _PNG_FRAME_BYTES = 8, 12
_START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xDA, b"\xff\xd9", 0xFF
_CHUNK_BYTES = 2**16


def refuse_truncated(path: Path, dataset: Any) -> None:
    """Refuse an open file that ends before its image does.

    A JPEG must have an end marker after its first scan, and a PNG its end chunk. A TIFF must be as long as its
    blocks of full resolution need, because a read that an overview serves would not notice that they are missing.

    Raises
    ------
    RasterReadError
        If the end of the file is missing. The message says which part.
    """
    if missing := _missing(path, dataset):
        raise RasterReadError(f"{path}: truncated: {missing}")


def _missing(path: Path, dataset: Any) -> str:
    if dataset.driver == "GTiff":
        size, needed = path.stat().st_size, max(_block_ends(dataset), default=0)
        return f"{size:,} bytes found, {needed:,} expected" if needed > size else ""
    with path.open("rb") as file:
        if dataset.driver == "PNG" and not _png_ends(file):
            return "its end chunk is missing"
        if dataset.driver == "JPEG" and not _jpeg_ends(file):
            return "its end marker is missing"
    return ""


def _png_ends(file: BinaryIO) -> bool:
    """Say whether the chunks of a PNG go on up to a whole end chunk."""
    at, size = _PNG_SIGNATURE_BYTES, os.fstat(file.fileno()).st_size
    while at + _PNG_FRAME_BYTES <= size:
        file.seek(at)
        head = file.read(8)
        if head[4:] == b"IEND":
            return True
        at += _PNG_FRAME_BYTES + int.from_bytes(head[:4], "big")
    return False


def _jpeg_ends(file: BinaryIO) -> bool:
    """Say whether a JPEG has an end marker after its first scan.

    The end marker of a thumbnail stands before that scan. Compressed samples cannot hold an end marker. Also True where
    the markers make no sense: libjpeg judges those.
    """
    at = 2
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != _FILL:
            return True
        if head[1] == _START_OF_SCAN:
            return _holds(file, _END_OF_IMAGE, at)
        at += 1 if head[1] == _FILL else 2 + int.from_bytes(head[2:], "big")


def _holds(file: BinaryIO, wanted: bytes, start: int) -> bool:
    """Say whether two bytes occur from a place on; a whole file has them at its end, so its end is read first."""
    stop = file.seek(0, os.SEEK_END)
    while stop > start:
        first = max(stop - _CHUNK_BYTES, start)
        file.seek(first)
        if wanted in file.read(stop - first + 1):
            return True
        stop = first
    return False


def _block_ends(dataset: Any) -> Iterator[int]:
    """Yield where each block of full resolution ends in a TIFF; blocks that a sparse file leaves out do not count."""
    apart = dataset.interleaving is None or dataset.interleaving.name != "pixel"
    for band in dataset.indexes if apart else (1,):
        rows, cols = dataset.block_shapes[band - 1]
        for row, col in product(range(-(-dataset.height // rows)), range(-(-dataset.width // cols))):
            place = [dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", band) for what in ("OFFSET", "SIZE")]
            if all(place):
                yield sum(map(int, place))
