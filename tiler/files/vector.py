"""Formats of vector files, and the suffixes that stand for them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tiler.errors import PolygonError

OneFile = Literal["gpkg", "fgb", "geojson", "geojsonseq", "parquet", "kml", "dxf"]
"""Formats of which one file holds all."""
Format = Literal[OneFile, "shp"]
"""All formats. A shapefile is several files of one stem."""
SUFFIXES: dict[str, Format] = {
    ".gpkg": "gpkg",
    ".fgb": "fgb",
    ".geojson": "geojson",
    ".geojsonl": "geojsonseq",
    ".geojsons": "geojsonseq",
    ".geojsonseq": "geojsonseq",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
    ".kml": "kml",
    ".dxf": "dxf",
    ".shp": "shp",
}
"""Formats by suffix. Where a format has several, noseam gives its files the first."""
OF_LONGITUDES: frozenset[Format] = frozenset({"geojson", "geojsonseq", "kml"})
"""Formats that hold longitude and latitude alone."""


def suffix_of(format: Format) -> str:
    """Return the suffix that noseam gives to files of a format."""
    return next(suffix for suffix, known in SUFFIXES.items() if known == format)


def format_of(path: Path) -> Format:
    """Return the format that the suffix of a file stands for, in upper or lower case.

    Raises
    ------
    PolygonError
        If the suffix stands for no format. The message lists the suffixes that do.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise PolygonError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}") from None
