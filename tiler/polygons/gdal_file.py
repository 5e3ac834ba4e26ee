"""Files of polygons that GDAL writes, and what it reads in them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyogrio
from pyogrio.raw import open_arrow, write_arrow
from rasterio.crs import CRS

from tiler.files.vector import Format, format_of
from tiler.polygons.features import GEOMETRY, SCHEMA

DATE = "2000-01-01T00:00:00.000Z"
"""What a GeoPackage says of its last change: always the same, so that one mask has one file."""
_DRIVERS: dict[Format, tuple[str, dict[str, str]]] = {
    "gpkg": ("GPKG", {}),
    "fgb": ("FlatGeobuf", {}),
    "geojson": ("GeoJSON", {"RFC7946": "YES", "COORDINATE_PRECISION": "9"}),
    "geojsonseq": ("GeoJSONSeq", {"COORDINATE_PRECISION": "9"}),
    "shp": ("ESRI Shapefile", {"ENCODING": "UTF-8", "2GB_LIMIT": "YES"}),
}
"""GDAL's driver of a format, and options of its layers."""


def write_by_gdal(path: Path, layer: str, batches: Iterable[Any], crs: CRS | None) -> None:
    """Write record batches of `SCHEMA` to a file in the format of its suffix."""
    failures = []

    def stream() -> Iterator[Any]:
        try:
            yield from batches
        except BaseException as error:
            failures.append(error)
            raise

    driver, options = _DRIVERS[format_of(path)]
    if driver == "GeoJSONSeq":  # RFC 8142; .geojsonl holds one object per line instead
        options = options | {"RS": "NO" if path.suffix.lower() == ".geojsonl" else "YES"}
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": DATE})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        try:
            write_arrow(
                pyarrow.RecordBatchReader.from_batches(SCHEMA, stream()), path.absolute(), layer=layer, driver=driver,
                geometry_name=GEOMETRY.name, geometry_type="Polygon", crs=crs and crs.to_wkt(), layer_options=options,
                dataset_options={"VERSION": "1.2"} if driver == "GPKG" else None,
            )  # fmt: skip
        except Exception:
            if failures:  # what the stream raises arrives here as a mere "cannot read"
                raise failures[0] from None
            raise


def layers_of(path: Path) -> list[str]:
    """Return the names of the layers that GDAL finds in a file."""
    return [str(name) for name, _ in pyogrio.list_layers(path.absolute())]


def is_empty(path: Path) -> bool:
    """Say whether GDAL finds no feature in a file."""
    return not pyogrio.read_info(path.absolute(), layer=0, force_feature_count=True)["features"]


def fields_of(path: Path, layer: str | None = None) -> list[str]:
    """Return the names of the fields that GDAL finds in a layer of a file, by default the first."""
    return list(pyogrio.read_info(path.absolute(), layer=layer)["fields"])


def read_by_gdal(path: Path) -> Iterator[Any]:
    """Yield the geometry of a file in batches."""
    with open_arrow(path.absolute(), layer=0, columns=[], use_pyarrow=True) as (about, reader):
        for batch in reader:
            yield batch.select([about["geometry_name"] or "wkb_geometry"]).rename_columns([GEOMETRY.name])
