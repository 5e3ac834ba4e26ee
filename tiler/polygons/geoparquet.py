"""GeoParquet 1.1 files of polygons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import shapely
from rasterio.crs import CRS

from tiler.polygons.features import GEOMETRY, SCHEMA

_BOX = pyarrow.field("bbox", pyarrow.struct([(name, pyarrow.float64()) for name in ("xmin", "ymin", "xmax", "ymax")]))
_GROUP_ROWS = 65536


def write_parquet(path: Path, batches: Iterable[Any], crs: CRS | None) -> None:
    """Write record batches of `SCHEMA` as a GeoParquet file."""
    schema = SCHEMA.append(_BOX).with_metadata({"geo": json.dumps(_geo(crs))})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _row_groups(batches):
            table = pyarrow.Table.from_batches(group)
            bounds = shapely.bounds(shapely.from_wkb(table[GEOMETRY.name].to_numpy()))
            boxes = pyarrow.StructArray.from_arrays(list(map(pyarrow.array, bounds.T)), fields=list(_BOX.type))
            writer.write_table(table.append_column(_BOX, boxes).cast(schema), row_group_size=len(table))


def parquet_fields(path: Path) -> list[str]:
    """Return the names of the columns of a file, other than those of its geometry."""
    names: list[str] = pyarrow.parquet.read_schema(path).names
    return [name for name in names if name not in {GEOMETRY.name, _BOX.name}]


def read_parquet(path: Path) -> Iterator[Any]:
    """Yield the geometry of a file in batches."""
    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(columns=[GEOMETRY.name])


def _row_groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield batches in groups, small enough that a reader can skip some, large enough to compress well."""
    waiting: list[Any] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows >= _GROUP_ROWS:
            yield waiting
            waiting, rows = [], 0
    if waiting:
        yield waiting


def _geo(crs: CRS | None) -> dict[str, Any]:
    """Return the metadata of GeoParquet 1.1.0 (geoparquet.org/releases/v1.1.0)."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else crs.to_dict(projjson=True),
        "orientation": "counterclockwise",
        "covering": {_BOX.name: {field.name: [_BOX.name, field.name] for field in _BOX.type}},
    }
    return {"version": "1.1.0", "primary_column": GEOMETRY.name, "columns": {GEOMETRY.name: column}}
