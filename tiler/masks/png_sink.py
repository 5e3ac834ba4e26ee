"""Write rows of a mask as PNG files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiler.masks.png import png_end, png_head
from tiler.masks.png_pixels import Filter, PngPixels
from tiler.masks.sink import MaskMeta, Staged, mask_tags, refuse_difference, remove, writing
from tiler.stopwatch import watch

_PIECE_BYTES = 2**20


class PngSink:
    """Rows as PNG files: gray, or with a palette in the classes' colours."""

    def __init__(self, group: Sequence[Staged], meta: MaskMeta) -> None:
        height, width = meta.shape
        filter: Filter = "up" if group[0].output.kind in {"label", "color"} else "paeth"
        self._pixels = PngPixels(height=height, width=width, filter=filter)
        self._files: list[_CheckedFile] = []
        with ExitStack() as stack:
            stack.callback(self.abandon)
            for staged in group:
                kind = staged.output.kind
                palette = meta.classes.palette() if kind == "color" else None
                self._files.append(_CheckedFile(staged))
                self._files[-1].write(png_head(height=height, width=width, palette=palette, text=mask_tags(kind, meta)))
            stack.pop_all()

    def write(self, rows: NDArray[np.uint8]) -> None:
        """See `Sink`."""
        data = self._pixels.encode(rows)
        for file in self._files:
            file.write(data)

    def close(self, tags: Mapping[str, str]) -> None:
        """See `Sink`."""
        data = self._pixels.finish() + png_end(tags)
        for file in self._files:
            file.write(data)
            file.close()

    def abandon(self) -> None:
        """See `Sink`."""
        for file in self._files:
            file.abandon()


class _CheckedFile:
    """A file that is compared with what was written when it is closed."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged
        self._checksum = self._waiting_bytes = 0
        self._waiting: list[bytes] = []
        with writing(staged.final):
            staged.final.parent.mkdir(parents=True, exist_ok=True)
            self._file = staged.temporary.open("wb")

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _PIECE_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        self._checksum = zlib.crc32(data, self._checksum)
        with writing(self._staged.final):
            self._file.write(data)

    def close(self) -> None:
        self._flush()
        with writing(self._staged.final):
            self._file.close()
            with watch("verify"):
                _compare_bytes(self._staged.temporary, self._checksum)

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        remove(self._staged.temporary)


def _compare_bytes(path: Path, checksum: int) -> None:
    """Raise unless the file holds the bytes that were written."""
    found = 0
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            found = zlib.crc32(data, found)
    refuse_difference(found, checksum)
