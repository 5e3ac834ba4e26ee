"""A shapefile is several files of one stem: they appear together, and none of an earlier set stays beside them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiler.errors import OutputExistsError, RasterWriteError
from tiler.files.atomic import hidden_folder
from tiler.polygons.features import FIELD_NAMES
from tiler.polygons.gdal_file import fields_of

_PARTS = (".shx", ".dbf", ".prj", ".cpg")
"""What GDAL writes beside the `.shp`."""
_INDICES = (".qix", ".sbn", ".sbx", ".idm", ".ind", ".ain", ".aih", ".ixs", ".mxs", ".fbn", ".fbx")
"""What GIS programs add to find features faster; wrong as soon as the features are others."""
_MOST_BYTES = 1_900_000_000
_INDEX_HEAD_BYTES, _DBASE_3 = 100, 3


@contextmanager
def replacing_set(final: Path) -> Iterator[Path]:
    """Yield a hidden `.shp` to write; it and its parts get their final names where the block ends without an exception.

    The `.shp` gets its name last, and an earlier one goes first. So there is none while parts of two sets may stand
    side by side, and a set that a power cut tears has none.

    Parameters
    ----------
    final : Path
        Final name of the `.shp`, in a folder that exists.

    Raises
    ------
    RasterWriteError
        If the block fails where a file is about to pass the 2 GB that a shapefile can hold.
    OSError
        If a file cannot be renamed or removed.
    """
    with hidden_folder(final) as folder:
        main = folder / f"{final.stem}.shp"
        try:
            yield main
        except Exception as error:
            if any(part.stat().st_size > _MOST_BYTES for part in folder.iterdir()):
                raise RasterWriteError(
                    f"{final}: the polygons take more than the 2 GB that a shapefile can hold; "
                    "write .gpkg, or fewer by a larger --min-area, --simplify or --only"
                ) from error
            raise
        final.unlink(missing_ok=True)
        for ending in (*_PARTS, *_INDICES):
            part = main.with_suffix(ending)
            if part.exists():
                part.replace(final.with_suffix(ending))
            else:
                final.with_suffix(ending).unlink(missing_ok=True)
        main.replace(final)


def is_whole(main: Path, count: int) -> bool:
    """Say whether the table and the index of a shapefile are as long as they say, and have so many rows.

    Reading its polygons does not tell. The heads are those of dBASE III and of ESRI's description of 1998.
    """
    table, index = main.with_suffix(".dbf"), main.with_suffix(".shx")
    kind, rows, head_bytes, row_bytes = struct.unpack("<B3xIHH", _head(table, 12))
    (index_words,) = struct.unpack(">24xi", _head(index, 28))
    return bool(
        (kind, rows) == (_DBASE_3, count)
        and table.stat().st_size >= head_bytes + rows * row_bytes
        and index.stat().st_size == 2 * index_words == _INDEX_HEAD_BYTES + 8 * count
    )


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size).ljust(size, b"\0")


def refuse_foreign_parts(final: Path) -> None:
    """Raise if a file that would be a part of a shapefile stands there, and noseam did not write it.

    A `.prj` beside an image and its world file has such a name.

    Raises
    ------
    OutputExistsError
        If there is such a file. The message names it.
    """
    table = final.with_suffix(".dbf")
    parts = [part for ending in _PARTS if (part := final.with_suffix(ending)).exists()]
    if final.exists() or not parts or (table in parts and _is_own(table)):  # all of one set, if torn
        return
    raise OutputExistsError(
        f"{parts[0]} exists and would become part of {final.name}, but noseam did not write it; "
        "remove it, or choose another name"
    )


def _is_own(table: Path) -> bool:
    try:
        return fields_of(table) == FIELD_NAMES
    except Exception:  # whatever GDAL says of a file that it cannot read
        return False
