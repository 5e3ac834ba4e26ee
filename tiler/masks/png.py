"""Encode a PNG row by row, so that its height costs no memory; the same rows serve several files.

Format: W3C Portable Network Graphics (PNG) Specification, third edition.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Filter = Literal["up", "paeth"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _PALETTE = 0, 3
_FILTER_TYPES: dict[Filter, int] = {"up": 2, "paeth": 4}
_CHECKSUM_BYTES = 4
_LONGEST_TEXT = 2**20
_PIECE_BYTES = 128 * 2**10  # what the filter works on stays in the cache of a core


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_END = _chunk(b"IEND", b"")


def png_head(
    *, height: int, width: int, palette: NDArray[np.uint8] | None = None, text: Mapping[str, str] | None = None
) -> bytes:
    """Return all of an 8-bit gray or palette PNG that stands before its pixels.

    Parameters
    ----------
    height, width : int
        Size of the image, pixels.
    palette : ndarray of uint8, shape (256, 4), optional
        Red, green, blue, alpha of each value; without it the image is gray.
    text : mapping of str to str
        Text chunks (UTF-8); keys are 1 to 79 Latin-1 characters.
    """
    kind = _GRAY if palette is None else _PALETTE
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        chunks += [_chunk(b"PLTE", palette[:, :3].tobytes()), _chunk(b"tRNS", palette[:, 3].tobytes())]
    return _SIGNATURE + b"".join(chunks) + _text_chunks(text or {})


def png_end(text: Mapping[str, str]) -> bytes:
    """Return all of a PNG that stands after its pixels, with text that was not known before."""
    return _text_chunks(text) + _END


def _text_chunks(text: Mapping[str, str]) -> bytes:
    entries = (key.encode("latin-1") + b"\0\0\0\0\0" + value.encode() for key, value in text.items())
    return b"".join(_chunk(b"iTXt", entry) for entry in entries)


class PngPixels:
    """Encode rows of pixels as what stands between `png_head` and `png_end`.

    A gray and a palette PNG of the same rows differ in their heads alone, so both files get the same
    bytes of pixels. Deflate looks for runs only, because little else is left after the filter. That is
    several times as fast as a search for matches (`benchmarks/encode.py`).

    Parameters
    ----------
    height, width : int
        Size of the image, pixels.
    filter : {"up", "paeth"}
        How a pixel is predicted: by the one above it, which suits labels, or by those above and to
        the left, which suits what varies smoothly.
    """

    def __init__(self, *, height: int, width: int, filter: Filter = "up") -> None:
        self._missing = height
        self._width = width
        self._filter = _filter_up if filter == "up" else _filter_paeth
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, strategy=zlib.Z_RLE)
        piece = max(_PIECE_BYTES // (width + 1), 1)
        self._filled = 0
        self._lines = np.zeros((piece + 1, width + 1), np.uint8)  # line 0 is the one before; column 0 stays 0
        self._filtered = np.full((piece, width + 1), _FILTER_TYPES[filter], np.uint8)

    def encode(self, rows: NDArray[np.uint8]) -> bytes:
        """Return what to write for the next rows, uint8 of shape (n, width); may be empty.

        Raises
        ------
        ValueError
            If the rows have another width, or there are more than the image has.
        """
        if rows.ndim != 2 or rows.shape[1] != self._width or len(rows) > self._missing:
            raise ValueError(f"at most {self._missing} rows of {self._width} pixels expected, got shape {rows.shape}")
        self._missing -= len(rows)
        data = b""
        while len(rows):
            part = rows[: len(self._filtered) - self._filled]
            self._lines[1 + self._filled : 1 + self._filled + len(part), 1:] = part
            self._filled += len(part)
            rows = rows[len(part) :]
            if self._filled == len(self._filtered) and (compressed := self._compress()):
                data += _chunk(b"IDAT", compressed)
        return data

    def finish(self) -> bytes:
        """Return what to write after the last rows.

        Raises
        ------
        ValueError
            If rows are missing.
        """
        if self._missing:
            raise ValueError(f"{self._missing} rows are missing")
        return _chunk(b"IDAT", self._compress() + self._deflate.flush())

    def _compress(self) -> bytes:
        """Compress the rows that came since the last call: always so many, so that the bytes do not depend on when."""
        lines, filtered = self._lines[: self._filled + 1], self._filtered[: self._filled]
        self._filter(lines, filtered[:, 1:])
        lines[0] = lines[-1]
        self._filled = 0
        return self._deflate.compress(filtered.data)


def _filter_up(lines: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Fill `out` with what the pixels of lines 1 and up add to the pixels above them, modulo 256."""
    np.subtract(lines[1:, 1:], lines[:-1, 1:], out=out)


def _filter_paeth(lines: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Fill `out` with what the pixels of lines 1 and up add to their Paeth predictors, modulo 256.

    Let a be the pixel to the left, b the one above, and c the one above a. The predictor is the one of them that is
    nearest to a + b - c. In 8 bits it is found so: c is first cut to low = min(a, b) and high = max(a, b). Then the
    predictor is high if c - low is at most half of high - c, low if high - c is at most half of c - low, else c.
    """
    left, above, corner = lines[1:, :-1], lines[:-1, 1:], lines[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    middle = np.clip(corner, low, high)
    below, beyond = middle - low, high - middle
    np.subtract(lines[1:, 1:], middle, out=out)
    out -= beyond * (below <= beyond >> 1)
    out += below * (beyond <= below >> 1)


def read_text(path: Path) -> dict[str, str]:
    """Return the text of a PNG file that stands in chunks such as `png_head` and `png_end` make.

    The pixels are passed over and not read.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a PNG, or its end is missing.
    """
    found: dict[str, str] = {}
    with path.open("rb", buffering=0) as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise ValueError(f"{path}: not a PNG")
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            size = int.from_bytes(head[:4])
            if head[4:] == b"iTXt" and size <= _LONGEST_TEXT:
                key, _, value = file.read(size).partition(b"\0\0\0\0\0")
                found[key.decode("latin-1")] = value.decode()
                size = 0
            file.seek(size + _CHECKSUM_BYTES, os.SEEK_CUR)
        if head + file.read() != _END:
            raise ValueError(f"{path}: the end is missing")
    return found
