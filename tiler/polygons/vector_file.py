"""Write polygons to a GIS file as they come; the file appears whole or not at all."""

from __future__ import annotations

import json
import sqlite3
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.raw import open_arrow, write_arrow
from rasterio.crs import CRS

from tiler.errors import OutputExistsError, TilerError
from tiler.files.atomic import replacing
from tiler.files.vector import Format, format_of
from tiler.masks.sink import write_error

_FIELDS = [
    pyarrow.field("class_id", pyarrow.int32()),
    pyarrow.field("class_name", pyarrow.string()),
    pyarrow.field("area_m2", pyarrow.float64()),
    pyarrow.field("source", pyarrow.string()),
    pyarrow.field("model", pyarrow.string()),
]
_GEOMETRY = pyarrow.field("geometry", pyarrow.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
_BOX = pyarrow.field("bbox", pyarrow.struct([(name, pyarrow.float64()) for name in ("xmin", "ymin", "xmax", "ymax")]))
_SCHEMA = pyarrow.schema([*_FIELDS, _GEOMETRY])
_GROUP_ROWS = 65536
_PIECE_BYTES = 2**20
_DATE = "2000-01-01T00:00:00.000Z"
"""What a GeoPackage says of its last change: always the same, so that one mask has one file."""
_SIDE_FILES = ("-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Features:
    """Some polygons with what the file says of each."""

    polygons: NDArray[np.object_]
    """Polygons (shapely) in the coordinates of the file, shape (n,)."""
    class_ids: NDArray[np.uint8]
    """Class of each."""
    class_names: Sequence[str]
    """Its name."""
    areas_m2: NDArray[np.float64] | None
    """Its ground area; None where that is not known."""
    source: str
    """The image that they were found in."""
    model: str | None
    """The model that found them."""


def write_features(path: Path, features: Iterable[Features], crs: CRS | None, layer: str) -> None:
    """Write polygons in the format of the file's ending.

    Parameters
    ----------
    path : Path
        The file; replaced if `write_features` wrote it.
    features : iterable of Features
        Consumed as they are written.
    crs : CRS or None
        CRS of the coordinates; GeoJSON gets longitude and latitude instead.
    layer : str
        Name of the layer, where the format has layers.

    Raises
    ------
    OutputExistsError
        If a file that `write_features` did not write stands there.
    RasterWriteError
        If the file cannot be written whole.
    """
    refuse_foreign(path)
    sums = _Sums()
    batches = (sums.add(_record_batch(part)) for part in features if len(part.polygons))
    with _writing(path), replacing(path) as temporary, _like_any_new_file(temporary):
        if format_of(path) == "parquet":
            _write_parquet(temporary, batches, crs)
        else:
            _write_ogr(temporary, layer, batches, crs)
        _compare(temporary, sums)


def refuse_foreign(path: Path) -> None:
    """Raise if a file stands there that `write_features` did not write.

    Raises
    ------
    OutputExistsError
        If there is such a file. It could be somebody's project.
    PolygonError
        If the suffix is not that of a vector file.
    """
    format = format_of(path)
    if path.exists() and _fields(path, format) != [field.name for field in _FIELDS]:
        raise OutputExistsError(f"{path} exists and noseam did not write it; remove it, or choose another name")


def _fields(path: Path, format: Format) -> list[str]:
    """Return the fields of the only layer of a file; none if there are several or it is no such file."""
    try:
        if format == "parquet":
            names = pyarrow.parquet.read_schema(path).names
            return [name for name in names if name not in {_GEOMETRY.name, _BOX.name}]
        layers = pyogrio.list_layers(path.absolute())
        return list(pyogrio.read_info(path.absolute())["fields"]) if len(layers) == 1 else []
    except Exception:  # whatever the libraries say of a file that they cannot read
        return []


def _record_batch(features: Features) -> Any:
    count = len(features.polygons)
    columns = [
        pyarrow.array(features.class_ids.astype(np.int32)),
        pyarrow.array(features.class_names, pyarrow.string()),
        pyarrow.nulls(count, pyarrow.float64()) if features.areas_m2 is None else pyarrow.array(features.areas_m2),
        pyarrow.repeat(pyarrow.scalar(features.source, pyarrow.string()), count),
        pyarrow.repeat(pyarrow.scalar(features.model, pyarrow.string()), count),
        pyarrow.array(shapely.to_wkb(features.polygons), pyarrow.binary()),
    ]
    return pyarrow.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _write_ogr(path: Path, layer: str, batches: Iterable[Any], crs: CRS | None) -> None:
    """Write a file by GDAL."""
    failures = []

    def stream() -> Iterator[Any]:
        try:
            yield from batches
        except BaseException as error:
            failures.append(error)
            raise

    driver, options = _driver(path)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        try:
            write_arrow(
                pyarrow.RecordBatchReader.from_batches(_SCHEMA, stream()), path.absolute(), layer=layer, driver=driver,
                geometry_name=_GEOMETRY.name, geometry_type="Polygon", crs=crs and crs.to_wkt(), layer_options=options,
                dataset_options={"VERSION": "1.2"} if driver == "GPKG" else None,
            )  # fmt: skip
        except Exception:
            if failures:  # what the stream raises arrives here as a mere "cannot read"
                raise failures[0] from None
            raise


def _driver(path: Path) -> tuple[str, dict[str, str]]:
    """Return the GDAL driver of a file and its options."""
    match format_of(path):
        case "gpkg":
            return "GPKG", {}
        case "fgb":
            return "FlatGeobuf", {}
    separated = path.suffix.lower() != ".geojsonl"  # RFC 8142; .geojsonl holds one object per line instead
    return "GeoJSONSeq", {"RS": "YES" if separated else "NO", "COORDINATE_PRECISION": "9"}


def _write_parquet(path: Path, batches: Iterable[Any], crs: CRS | None) -> None:
    """Write a GeoParquet 1.1 file."""
    schema = _SCHEMA.append(_BOX).with_metadata({"geo": json.dumps(_geo(crs))})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _row_groups(batches):
            table = pyarrow.Table.from_batches(group)
            bounds = shapely.bounds(shapely.from_wkb(table[_GEOMETRY.name].to_numpy()))
            boxes = pyarrow.StructArray.from_arrays(list(map(pyarrow.array, bounds.T)), fields=list(_BOX.type))
            writer.write_table(table.append_column(_BOX, boxes).cast(schema), row_group_size=len(table))


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
    return {"version": "1.1.0", "primary_column": _GEOMETRY.name, "columns": {_GEOMETRY.name: column}}


@dataclass(slots=True)
class _Sums:
    """What polygons add up to, in any order."""

    count: int = 0
    checksum: int = 0

    def add(self, batch: Any) -> Any:
        """Take in a record batch and return it."""
        self.count += len(batch)
        self.checksum += sum(map(zlib.crc32, batch.column(_GEOMETRY.name).to_pylist()))
        return batch


def _compare(path: Path, written: _Sums) -> None:
    """Raise unless a file holds the polygons that were written. GDAL does not report errors when it closes a file."""
    if format_of(path) == "geojsonseq":
        whole = _count_lines(path) == written.count  # its coordinates are rounded, so they differ
    else:
        found = _Sums()
        for batch in _read_back(path):
            found.add(batch)
        whole = found == written and (format_of(path) != "gpkg" or _is_sound(path))
    if not whole:
        raise OSError("what was read back differs from what was written; is the disk full?")


def _is_sound(path: Path) -> bool:
    """Say whether the pages and indices of a GeoPackage are whole. Reading its polygons does not tell."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        indexed = "SELECT count(*) FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'"
        return bool(
            database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and database.execute(indexed).fetchone() == (1,)
        )


def _read_back(path: Path) -> Iterator[Any]:
    if format_of(path) == "parquet":
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(columns=[_GEOMETRY.name])
        return
    with open_arrow(path.absolute(), columns=[], use_pyarrow=True) as (about, reader):
        for batch in reader:
            yield batch.select([about["geometry_name"] or "wkb_geometry"]).rename_columns([_GEOMETRY.name])


def _count_lines(path: Path) -> int:
    """Return how many whole lines a file has; -1 where the last one is cut."""
    count, last = 0, b"}\n"
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            count, last = count + data.count(b"\n"), (last + data)[-2:]
    return count if last == b"}\n" else -1


@contextmanager
def _like_any_new_file(path: Path) -> Iterator[None]:
    """Give a file that the block writes the mode of any new file, and remove what SQLite leaves beside it.

    SQLite gives its files a mode of its own, which other users may not be able to read.
    """
    path.touch()
    mode = path.stat().st_mode
    path.unlink()
    try:
        yield
        path.chmod(mode)
    finally:
        for ending in _SIDE_FILES:
            path.with_name(path.name + ending).unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn whatever the libraries raise into a `RasterWriteError` that names the final file."""
    try:
        yield
    except TilerError:
        raise
    except Exception as error:
        raise write_error(path, error) from error
