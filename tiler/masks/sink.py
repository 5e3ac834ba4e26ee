"""What the writers of PNG and of GeoTIFF masks share: their contract, their names on the way, their errors."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tiler.classes import ClassTable
from tiler.errors import DiskFullError, RasterWriteError
from tiler.files.names import Kind
from tiler.files.outputs import Output
from tiler.source.georef import Georeference

FULL_BYTES = 2**20
"""With less free space than this a disk counts as full."""
FULL_FILES = 8
"""With room for fewer new files than this a disk counts as full; a mask takes one while it is made."""
_CAUSE_LENGTH = 300
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_MEANINGS: dict[Kind, dict[str, str]] = {
    "confidence": {"CONFIDENCE": "round(254 * (p1 - p2) / (p1 + p2)) of the two likeliest classes; 255: no data"},
    "disagreement": {
        "DISAGREEMENT": "round(254 * sqrt(1 - sum over classes of the product of p_k ** w_k over tiles k)); "
        "255: no data, or one tile"
    },
}
"""Tags of a mask that say what its levels mean."""


@dataclass(frozen=True, slots=True)
class MaskMeta:
    """What every mask of one image carries besides its pixels."""

    shape: tuple[int, int]
    """(height, width) of the source and so of the mask."""
    classes: ClassTable
    """Names and colours."""
    georeference: Georeference
    """The source's own."""
    tags: Mapping[str, str]
    """Provenance, stored as TIFF tags or PNG text."""


class Sink(Protocol):
    """Takes the rows of one band for its output files, top to bottom.

    `write` and `close` raise `RasterWriteError`, which names the file that cannot be written. `abandon` never raises.
    """

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Take the next full-width rows."""

    def close(self, tags: Mapping[str, str]) -> None:
        """Add tags that were not known before, complete the temporary files and read them back."""

    def abandon(self) -> None:
        """Let go of the temporary files, whatever their state, and remove them."""


@dataclass(frozen=True, slots=True)
class Staged:
    """An output on its way to its final name."""

    output: Output
    """What it will be."""
    temporary: Path
    """Where it is written, in the same folder."""

    @property
    def final(self) -> Path:
        """The name it gets."""
        return self.output.path


def mask_tags(kind: Kind, meta: MaskMeta) -> dict[str, str]:
    """Return what a mask says about itself."""
    return {**meta.tags, **_MEANINGS.get(kind, {})}


def refuse_difference(found: int, written: int) -> None:
    """Raise unless the checksums of what was written and of what was read back are the same."""
    if found != written:
        raise RasterWriteError("what was read back differs from what was written")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever a write raises into a `RasterWriteError` that names the final file."""
    try:
        yield
    except Exception as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: Exception) -> RasterWriteError:
    """Return what to raise where a file cannot be written.

    GDAL does not say that the disk is full, so this looks at the free space and at the number of files that still fit.
    """
    cause: object = isinstance(error, OSError) and error.strerror
    full = isinstance(error, OSError) and error.errno in _NO_SPACE
    if not cause:
        full = full or is_full(path.parent)
        cause = os.strerror(errno.ENOSPC) if full else error.__cause__ or error
    kind = DiskFullError if full else RasterWriteError
    return kind(f"{path}: cannot be written: {cause!s:.{_CAUSE_LENGTH}}")


def is_full(folder: Path) -> bool:
    """Return whether a folder's disk has less than a megabyte left, or room for few files; False where unknown."""
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES or _files_left(folder) < FULL_FILES
    except OSError:
        return False


def _files_left(folder: Path) -> float:
    """Return how many new files the disk of a folder can hold; infinity where there is no such limit."""
    if not hasattr(os, "statvfs"):  # as on Windows
        return math.inf
    found = os.statvfs(folder)
    return found.f_favail if found.f_files else math.inf


def remove(path: Path) -> None:
    """Remove a file if it is there and can be removed."""
    with suppress(OSError):
        path.unlink()


def sync(path: Path, flags: int) -> None:
    """Wait until a file or folder, opened with these flags, is on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
