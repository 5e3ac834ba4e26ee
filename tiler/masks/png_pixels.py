"""Encode the pixels of a PNG row by row, so that its height costs no memory; the same rows serve several files.

Format: W3C Portable Network Graphics (PNG) Specification, third edition.
"""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiler.kernel import compiled
from tiler.masks.png import png_chunk
from tiler.stitch.upsample import piece_rows

Filter = Literal["up", "paeth"]

_FILTER_TYPES: dict[Filter, int] = {"up": 2, "paeth": 4}


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
        piece = piece_rows(width)
        self._filled = 0
        self._before = np.zeros(width, np.uint8)
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
        rows = np.ascontiguousarray(rows)
        data = b""
        while len(rows):
            part = rows[: len(self._filtered) - self._filled]
            self._filter(part, self._before, self._filtered[self._filled : self._filled + len(part)])
            self._before[:] = part[-1]
            self._filled += len(part)
            rows = rows[len(part) :]
            if self._filled == len(self._filtered) and (compressed := self._compress()):
                data += png_chunk(b"IDAT", compressed)
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
        return png_chunk(b"IDAT", self._compress() + self._deflate.flush())

    def _compress(self) -> bytes:
        """Compress the rows that came since the last call: always so many, so that the bytes do not depend on when."""
        filtered, self._filled = self._filtered[: self._filled], 0
        return self._deflate.compress(filtered.data)


@compiled
def _filter_up(rows: NDArray[np.uint8], before: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Fill `out`, from its second column on, with what pixels add to those above them, modulo 256.

    The row `before` stands above the first of the rows.
    """
    for y in range(rows.shape[0]):
        above = before if y == 0 else rows[y - 1]
        for x in range(rows.shape[1]):
            out[y, x + 1] = rows[y, x] - above[x]


@compiled
def _filter_paeth(rows: NDArray[np.uint8], before: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Fill `out`, from its second column on, with what pixels add to their Paeth predictors, modulo 256.

    Let a be the pixel to the left, b the one above, and c the one above a. The predictor is the one of them that is
    nearest to a + b - c. In 8 bits it is found so: c is first cut to low = min(a, b) and high = max(a, b). Then the
    predictor is high if c - low is at most half of high - c, low if high - c is at most half of c - low, else c.
    """
    for y in range(rows.shape[0]):
        above = before if y == 0 else rows[y - 1]
        out[y, 1] = rows[y, 0] - above[0]  # left of the image there are zeros, so the pixel above is nearest
        for x in range(1, rows.shape[1]):
            left, corner = rows[y, x - 1], above[x - 1]
            low, high = min(left, above[x]), max(left, above[x])
            predictor = min(max(corner, low), high)
            below, beyond = predictor - low, high - predictor
            predictor = high if below <= beyond >> 1 else predictor
            predictor = low if beyond <= below >> 1 else predictor
            out[y, x + 1] = rows[y, x] - predictor
