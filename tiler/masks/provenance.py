"""Fingerprints: each mask carries what it was made from, so a later run sees what is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from tiler.errors import OutputExistsError
from tiler.files.outputs import Output
from tiler.masks.png import read_text
from tiler.source.raster import FINGERPRINT_KEY, gdal_environment


def digest(parts: Mapping[str, Any]) -> str:
    """Return 32 hex digits that change when any of the JSON-able parts does."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_stamp(path: Path) -> tuple[int, int]:
    """Return (size in bytes, modification time in ns) of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def current_tags(
    outputs: Sequence[Output], fingerprint: str, there: Container[Path] = frozenset()
) -> Mapping[str, str] | None:
    """Return the tags of the first output; None unless all carry the fingerprint and every file beside them exists.

    Parameters
    ----------
    outputs : sequence of Output
        The outputs of one image.
    fingerprint : str
        What each of them must carry.
    there : container of Path
        Files that are known to exist, which saves a look at each; see `files_beside`.

    Raises
    ------
    OutputExistsError
        If a file without a fingerprint stands in the way, because noseam did not write it.
    """

    def exists(path: Path) -> bool:
        return path in there or path.exists()

    tags = [_read_tags(output.path) if exists(output.path) else None for output in outputs]
    for output, found in zip(outputs, tags, strict=True):
        if found is not None and FINGERPRINT_KEY not in found and output.path.exists():
            raise OutputExistsError(f"{output.path} exists and noseam did not write it; --overwrite replaces it")
    current = all(found is not None and found.get(FINGERPRINT_KEY) == fingerprint for found in tags)
    whole = all(exists(side.path) for output in outputs for side in output.sidecars)
    return tags[0] if current and whole else None


def _read_tags(path: Path) -> Mapping[str, str]:
    """Return the tags of a mask that noseam wrote; none where the file cannot be read."""
    try:
        if path.suffix == ".png":
            return read_text(path)
        with gdal_environment(), rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
            found: dict[str, str] = dataset.tags()
            return found
    except Exception:  # rasterio's private errors too; what cannot be read is no output of noseam
        return {}
