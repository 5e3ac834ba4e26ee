"""What made an output, carried inside it: the whole resume state of a survey."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from tiler.errors import OutputExistsError
from tiler.outputs import Output
from tiler.png import read_text
from tiler.raster import FINGERPRINT_KEY, gdal_environment


def digest(parts: Mapping[str, Any]) -> str:
    """Return 32 hex digits that change when any of the JSON-able parts does."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_stamp(path: Path) -> tuple[int, int]:
    """Return (size in bytes, modification time in ns) of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def all_current(outputs: Sequence[Output], fingerprint: str) -> bool:
    """Return whether every output exists and carries the fingerprint, and every file beside it exists.

    Raises
    ------
    OutputExistsError
        If a file stands in the way that carries none, so noseam did not write it.
    """
    current = True
    for output in outputs:
        if not output.path.exists():
            current = False
            continue
        found = read_tags(output.path).get(FINGERPRINT_KEY)
        if found is None:
            raise OutputExistsError(f"{output.path} exists and noseam did not write it; --overwrite replaces it")
        current = current and found == fingerprint and all(side.path.exists() for side in output.sidecars)
    return current


def read_tags(path: Path) -> Mapping[str, str]:
    """Return the tags of a mask that noseam wrote; of a file that cannot be read, none."""
    try:
        if path.suffix == ".png":
            return read_text(path)
        with gdal_environment(), rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
            found: dict[str, str] = dataset.tags()
            return found
    except Exception:  # unreadable, by rasterio's private errors too: not an output of ours
        return {}
