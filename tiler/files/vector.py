"""Formats of vector files by the endings of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tiler.errors import PolygonError

Format = Literal["gpkg", "fgb", "geojsonseq", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".gpkg": "gpkg",
    ".fgb": "fgb",
    ".geojsonl": "geojsonseq",
    ".geojsons": "geojsonseq",
    ".geojsonseq": "geojsonseq",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
}
"""Formats by the endings of file names; the first of each is the one that noseam gives."""


def suffix_of(format: Format) -> str:
    """Return the ending of new files of a format."""
    return next(suffix for suffix, known in SUFFIXES.items() if known == format)


def format_of(path: Path) -> Format:
    """Return the format that the ending of a file's name stands for.

    Raises
    ------
    PolygonError
        If it stands for none.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise PolygonError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}") from None
