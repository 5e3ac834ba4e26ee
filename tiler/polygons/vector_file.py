"""Write polygons to a GIS file as they come; the file appears whole or not at all."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import shapely
from rasterio.crs import CRS

from tiler.classes import Colour
from tiler.errors import OutputExistsError, TilerError
from tiler.files.atomic import replacing
from tiler.files.vector import Format, format_of
from tiler.masks.sink import write_error
from tiler.polygons.drawing import HEADS, dxf, kml
from tiler.polygons.features import FIELD_NAMES, GEOMETRY, Features, record_batch
from tiler.polygons.gdal_file import fields_of, is_empty, layers_of, read_by_gdal, write_by_gdal
from tiler.polygons.geoparquet import parquet_fields, read_parquet, write_parquet
from tiler.polygons.shapefile import is_whole, refuse_foreign_parts, replacing_set
from tiler.polygons.style import STYLES, add_style, is_styled_by_others

_PIECE_BYTES = 2**20
_SIDE_FILES = ("-journal", "-wal", "-shm")
_NO_COLOURS: Mapping[str, Colour] = MappingProxyType({})
_LAST_LINES = {"geojson": b"\n]\n}\n", "geojsonseq": b"}\n"}
"""How whole files of text end."""


def write_features(
    path: Path, features: Iterable[Features], crs: CRS | None, layer: str, colours: Mapping[str, Colour] = _NO_COLOURS
) -> None:
    """Write polygons in the format of the file's ending.

    Parameters
    ----------
    path : Path
        The file; replaced if `write_features` wrote it.
    features : iterable of Features
        Consumed as they are written.
    crs : CRS or None
        CRS of the coordinates; GeoJSON and KML get longitude and latitude instead.
    layer : str
        Name of the layer, where the format has layers.
    colours : mapping of str to (int, int, int)
        Colours by class name, for formats that hold a style. KML and DXF need those of all classes.

    Raises
    ------
    OutputExistsError
        If a file that `write_features` did not write stands there.
    RasterWriteError
        If the file cannot be written whole.
    """
    refuse_foreign(path)
    format = format_of(path)
    features = (part for part in features if len(part.polygons))
    replace = replacing_set if format == "shp" else replacing
    with _writing(path), replace(path) as temporary, _like_any_new_file(temporary):
        if format in {"kml", "dxf"}:
            text = dxf(features, colours) if crs is None or format == "dxf" else kml(features, crs, layer, colours)
            _write_text(temporary, text)
        else:
            _write_columns(temporary, features, crs, layer, colours)


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
    if format == "shp":
        refuse_foreign_parts(path)
    if not path.exists():
        return
    if not _is_own(path, format):
        raise OutputExistsError(f"{path} exists and noseam did not write it; remove it, or choose another name")
    if format == "gpkg" and STYLES in layers_of(path) and is_styled_by_others(path):
        raise OutputExistsError(f"{path} holds a style that was saved in it since; remove it, or choose another name")


def _is_own(path: Path, format: Format) -> bool:
    """Say whether a file has one layer of polygons, with the fields that `write_features` gives it, or is empty."""
    try:
        if format in {"kml", "dxf"}:
            with path.open(encoding="utf-8") as file:
                return file.read(max(map(len, HEADS))).startswith(HEADS)
        if format == "parquet":
            return parquet_fields(path) == FIELD_NAMES
        if format in _LAST_LINES and (path.stat().st_size == 0 or is_empty(path)):  # GeoJSON names no fields then
            return True
        layers = [name for name in layers_of(path) if name != STYLES]
        return len(layers) == 1 and fields_of(path, layers[0]) == FIELD_NAMES
    except Exception:  # whatever the libraries say of a file that they cannot read
        return False


def _write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write text, and raise unless the file holds it."""
    written = found = 0
    with path.open("wb") as file:
        for piece in pieces:
            data = piece.encode()
            written = zlib.crc32(data, written)
            file.write(data)
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            found = zlib.crc32(data, found)
    _refuse_difference(found == written)


def _write_columns(
    path: Path, features: Iterable[Features], crs: CRS | None, layer: str, colours: Mapping[str, Colour]
) -> None:
    """Write polygons with their fields, and raise unless the file holds them."""
    format = format_of(path)
    sums = _Sums(turned=format == "shp")
    names: set[str] = set()

    def batches() -> Iterator[Any]:
        for part in features:
            names.update(part.class_names)
            yield sums.add(record_batch(part))

    if format == "parquet":
        write_parquet(path, batches(), crs)
    else:
        write_by_gdal(path, layer, batches(), crs)
    if format == "gpkg" and colours:
        add_style(path, layer, {name: colour for name, colour in colours.items() if name in names})
    _compare(path, sums)


@dataclass(slots=True)
class _Sums:
    """What polygons add up to, in any order."""

    turned: bool
    """Whether the file has the outlines of polygons clockwise, as shapefiles do."""
    count: int = 0
    checksum: int = 0

    def add(self, batch: Any) -> Any:
        """Take in a record batch and return it."""
        self.count += len(batch)
        polygons = batch.column(GEOMETRY.name).to_pylist()
        if self.turned:
            polygons = shapely.to_wkb(shapely.normalize(shapely.from_wkb(polygons))).tolist()
        self.checksum += sum(map(zlib.crc32, polygons))
        return batch


def _compare(path: Path, written: _Sums) -> None:
    """Raise unless a file holds the polygons that were written. GDAL does not report errors when it closes a file."""
    format = format_of(path)
    if format in _LAST_LINES:  # its coordinates are rounded, so they differ
        _refuse_difference(_count_features(path, _LAST_LINES[format]) == written.count)
        return
    found = _Sums(turned=written.turned)
    for batch in _read_back(path):
        found.add(batch)
    whole = _is_sound(path) if format == "gpkg" else format != "shp" or is_whole(path, written.count)
    _refuse_difference(whole and found == written)


def _refuse_difference(same: bool) -> None:
    if not same:
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
    return read_parquet(path) if format_of(path) == "parquet" else read_by_gdal(path)


def _count_features(path: Path, end: bytes) -> int:
    """Return how many lines of a file are features; -1 where the file does not end as it should."""
    count, last = 0, b""
    with path.open("rb") as file:
        for line in file:
            count += line.removeprefix(b"\x1e").startswith(b'{ "type": "Feature",')
            last = (last + line)[-len(end) :]
    whole = last.endswith(end) or (not last and format_of(path) == "geojsonseq")
    return count if whole else -1


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
