"""What stands before and after the pixels of a PNG, and its text.

Format: W3C Portable Network Graphics (PNG) Specification, third edition.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _PALETTE = 0, 3
_CHECKSUM_BYTES = 4
_LONGEST_TEXT = 2**20


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG, with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_END = png_chunk(b"IEND", b"")


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
    chunks = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        chunks += [png_chunk(b"PLTE", palette[:, :3].tobytes()), png_chunk(b"tRNS", palette[:, 3].tobytes())]
    return _SIGNATURE + b"".join(chunks) + _text_chunks(text or {})


def png_end(text: Mapping[str, str]) -> bytes:
    """Return all of a PNG that stands after its pixels, with text that was not known before."""
    return _text_chunks(text) + _END


def _text_chunks(text: Mapping[str, str]) -> bytes:
    entries = (key.encode("latin-1") + b"\0\0\0\0\0" + value.encode() for key, value in text.items())
    return b"".join(png_chunk(b"iTXt", entry) for entry in entries)


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
