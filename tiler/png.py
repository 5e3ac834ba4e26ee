"""Write a PNG row by row, so that its height costs no memory.

Format: W3C Portable Network Graphics (PNG) Specification, third edition.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_GRAY, _PALETTE = 0, 3
_LEVEL = 6


class PngWriter:
    """Write an 8-bit gray or palette PNG into an open binary file.

    Parameters
    ----------
    file : binary file
        Where the PNG goes; stays open.
    height, width : int
        Size of the image.
    palette : ndarray of uint8, shape (256, 4), optional
        Red, green, blue, alpha of each value; without it the image is gray.
    text : mapping of str to str
        Text chunks (UTF-8); keys are 1 to 79 Latin-1 characters.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        height: int,
        width: int,
        palette: NDArray[np.uint8] | None = None,
        text: Mapping[str, str] | None = None,
    ) -> None:
        self._file = file
        self._missing = height
        self._width = width
        self._deflate = zlib.compressobj(_LEVEL)
        file.write(_SIGNATURE)
        kind = _GRAY if palette is None else _PALETTE
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        if palette is not None:
            self._chunk(b"PLTE", palette[:, :3].tobytes())
            self._chunk(b"tRNS", palette[:, 3].tobytes())
        for key, value in (text or {}).items():
            self._chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode())

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Write the next rows, uint8 of shape (n, width).

        Raises
        ------
        ValueError
            If the rows have another width, or there are more than the image has.
        OSError
            If the file cannot take them.
        """
        if rows.ndim != 2 or rows.shape[1] != self._width or len(rows) > self._missing:
            raise ValueError(f"at most {self._missing} rows of {self._width} pixels expected, got shape {rows.shape}")
        self._missing -= len(rows)
        lines = np.zeros((len(rows), self._width + 1), np.uint8)  # column 0: filter type "none"
        lines[:, 1:] = rows
        self._data(self._deflate.compress(lines.data))

    def finish(self) -> None:
        """Write what is left.

        Raises
        ------
        ValueError
            If rows are missing.
        OSError
            If the file cannot take it.
        """
        if self._missing:
            raise ValueError(f"{self._missing} rows are missing")
        self._data(self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _data(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


def read_text(path: Path) -> dict[str, str]:
    """Return the text that a `PngWriter` stored; of other PNG files, what they hold in the same form.

    Reads only what stands before the pixels.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a PNG, or its end is missing.
    """
    found: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise ValueError(f"{path}: not a PNG")
        file.seek(-len(_END), os.SEEK_END)
        if file.read() != _END:
            raise ValueError(f"{path}: the end is missing")
        file.seek(len(_SIGNATURE))
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            data = file.read(int.from_bytes(head[:4]))
            file.read(4)
            if head[4:] == b"iTXt":
                key, _, value = data.partition(b"\0\0\0\0\0")
                found[key.decode("latin-1")] = value.decode()
    return found
