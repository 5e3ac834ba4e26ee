"""What a mask says of where it comes from: its tags, which noseam alone writes, and the digests that they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio

from tiler.files.names import PNG
from tiler.masks.png import read_text
from tiler.source.raster import FINGERPRINT_KEY, gdal_environment

SOURCE_KEY = "SOURCE"
"""Tag: the image that a mask was made of, by its path below the folder of the survey."""
ENGINE_KEY = "NOSEAM_ENGINE"
"""Tag: the engine that ran the network."""


def digest(parts: Mapping[str, Any]) -> str:
    """Return 32 hex digits that change when any of the JSON-able parts does."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_stamp(path: Path) -> tuple[int, int]:
    """Return (size in bytes, modification time in ns) of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def read_tags(path: Path) -> Mapping[str, str]:
    """Return the tags of a mask.

    Parameters
    ----------
    path : Path
        A file that has the name of a mask, PNG or TIFF.

    Returns
    -------
    mapping of str to str
        Empty where the file cannot be read. `is_made_by_noseam` tells whether they are a mask's.
    """
    try:
        if path.suffix == PNG:
            return read_text(path)
        with gdal_environment(), rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
            found: dict[str, str] = dataset.tags()
            return found
    except Exception:  # rasterio's private errors too; what cannot be read is no mask of noseam
        return {}


def is_made_by_noseam(tags: Mapping[str, str]) -> bool:
    """Return whether tags are those of a mask that noseam wrote."""
    return FINGERPRINT_KEY in tags
