"""Which GDAL is there, and whether it has the formats that noseam reads and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError

from segment.doctor.fact import Fact
from tiler.extra import install_command

PART = "program"
RASTERS = ("GTiff", "COG", "JPEG", "PNG")
"""GDAL's drivers for images and masks."""
_ANY_EPSG = 32633
_PROJ_VARIABLES = ("PROJ_DATA", "PROJ_LIB")
VECTORS = ("GPKG", "FlatGeobuf", "GeoJSON", "GeoJSONSeq", "ESRI Shapefile")
"""GDAL's drivers for polygons; noseam itself writes KML and DXF, and pyarrow GeoParquet."""


def facts() -> Iterator[Fact]:
    """Yield GDAL and PROJ with their versions and the formats of images, then those of polygons."""
    yield Fact(PART, "GDAL", f"{rasterio.__gdal_version__}, in rasterio {rasterio.__version__}")
    yield _proj()
    with rasterio.Env() as gdal:
        yield _formats("images", RASTERS, gdal.drivers())
    if find_spec("pyogrio") is None:
        yield Fact(PART, "polygons", "not written without pyogrio", "none", install_command("vector"))
    else:
        yield _polygons()


def _proj() -> Fact:
    """Return PROJ's version, and whether it finds its table of coordinate systems."""
    try:
        with rasterio.Env():
            CRS.from_epsg(_ANY_EPSG)
    except CRSError as error:
        found = [f"{name}={os.environ[name]}" for name in _PROJ_VARIABLES if name in os.environ]
        text = f"{rasterio.__proj_version__}: {error}{'; ' if found else ''}{', '.join(found)}"
        help = f"unset {' '.join(_PROJ_VARIABLES)}, which another program may have set"
        return Fact(PART, "PROJ", text, "bad", help)
    return Fact(PART, "PROJ", rasterio.__proj_version__)


def _polygons() -> Fact:
    import pyogrio  # only here: an extra brings it

    found = [name for name, does in pyogrio.list_drivers().items() if "w" in does]
    if find_spec("pyarrow") is not None:
        found.append("Parquet")
    gdal = ".".join(map(str, pyogrio.__gdal_version__))
    return _formats("polygons", (*VECTORS, "Parquet"), found, f"; GDAL {gdal}, in pyogrio {pyogrio.__version__}")


def _formats(name: str, wanted: tuple[str, ...], found: object, more: str = "") -> Fact:
    """Return which of some formats are there."""
    there = [each for each in wanted if each in found]  # type: ignore[operator]
    missing = [each for each in wanted if each not in there]
    text = ", ".join(there) + (f"; missing: {', '.join(missing)}" if missing else "") + more
    if not missing:
        return Fact(PART, name, text)
    package = "rasterio" if wanted == RASTERS else "pyogrio"
    return Fact(PART, name, text, "bad", f"pip install --force-reinstall {package}, whose wheels bring all of them")
