"""What a mask says of where it comes from: its tags, which noseam alone writes, and the digests that they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import rasterio

from tiler.files.names import JPEG, PNG
from tiler.masks.jpeg_text import read_jpeg_text
from tiler.masks.png import read_text
from tiler.source.options import ReadingOptions
from tiler.source.raster import FINGERPRINT_KEY, gdal_environment

SOURCE_KEY = "SOURCE"
"""Tag: the image that a mask was made of, by its path below the folder of the survey."""
ENGINE_KEY = "NOSEAM_ENGINE"
"""Tag: the engine that ran the network."""
MODEL_KEY, DIGEST_KEY = "MODEL", "MODEL_DIGEST"
"""Tags: the model's name, and a digest of its weights."""
BALANCE_KEY = "NOSEAM_BALANCE"
"""Tag: the strength to which classes were balanced; there only where they were."""
RECIPE_KEY = "NOSEAM_RECIPE"
"""Tag: what a mask was made from, as JSON; see `segment.plan.recipe`."""

DAMAGED = "damaged"
"""Fingerprint of a mask that cannot be read."""
_HEAD_BYTES = 2**18


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
        A file that has the name of a mask: PNG, TIFF or JPEG.

    Returns
    -------
    mapping of str to str
        Those of a mask that noseam wrote hold its fingerprint, see `is_made_by_noseam`. Where such a mask is damaged,
        and where the file is empty, the fingerprint is `DAMAGED`. There are none where another file cannot be read.
    """
    found: Mapping[str, str] = {}
    with suppress(Exception):  # rasterio's private errors too
        found = _tags_of(path)
    return {FINGERPRINT_KEY: DAMAGED} if FINGERPRINT_KEY not in found and _bears_our_mark(path) else found


def _tags_of(path: Path) -> Mapping[str, str]:
    if path.suffix == PNG:
        return read_text(path)
    if path.suffix == JPEG:
        return read_jpeg_text(path)
    with gdal_environment(), rasterio.open(str(path.absolute()), driver="GTiff") as dataset:
        found: dict[str, str] = dataset.tags()
        return found


def _bears_our_mark(path: Path) -> bool:
    """Return whether a file that cannot be read is empty, or names the tag of noseam's masks near its beginning."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return not head or FINGERPRINT_KEY.encode() in head


def is_made_by_noseam(tags: Mapping[str, str]) -> bool:
    """Return whether tags are those of a mask that noseam wrote."""
    return FINGERPRINT_KEY in tags


def read_recipe(tags: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the recipe that a mask's tags tell; None where they tell none that can be understood."""
    try:
        found = json.loads(tags[RECIPE_KEY])
    except (KeyError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("cut", {}), dict) else None


def reading_of(recipe: Mapping[str, Any]) -> ReadingOptions:
    """Return how the image of a mask was read, by its recipe; the defaults where that says nothing."""
    channels, values = recipe.get("channels") or (), recipe.get("value_range")
    return ReadingOptions(channels=tuple(channels), value_range=None if values is None else tuple(values))
