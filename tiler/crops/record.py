"""Records of what was cut from each source: a second run skips what they hold, and deletes what is out of date."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tiler.crops.folder import IMAGES, MASKS, RECORDS, check_name, remove_files
from tiler.files.atomic import write_whole
from tiler.grid.window import Window
from tiler.masks.provenance import digest

CORRECTED = "corrected by people"
"""Fingerprint of crops whose labels came back from people; no source makes them again."""


@dataclass(frozen=True, slots=True)
class CropRow:
    """One crop."""

    image: str
    """Its image, a POSIX path relative to the output folder."""
    mask: str
    """Its mask, likewise."""
    window: Window
    """The source pixels that it holds; the files are padded where these are fewer than asked for."""
    counts: tuple[tuple[int, int], ...] = ()
    """(class id, pixels) of every class in it, ascending."""

    @property
    def labelled(self) -> int:
        """Number of pixels that carry a label."""
        return sum(pixels for _, pixels in self.counts)


@dataclass(frozen=True, slots=True)
class Record:
    """What was cut from one source."""

    source: str
    """Name of the source, a POSIX path."""
    fingerprint: str
    """Hex digits that change with the source and the settings; empty while the source is being cut."""
    rows: tuple[CropRow, ...]
    """The crops, in row-major order."""
    filtered: int = 0
    """Number of crops that were left out because too few of their pixels carry a label."""
    gsd_m: float | None = None
    """Ground sample distance of the source, metres per pixel, where its georeference or its pose says it."""

    @property
    def files(self) -> frozenset[str]:
        """The crops' files, relative to the output folder."""
        return frozenset(file for row in self.rows for file in (row.image, row.mask))


def record_path(out: Path, source: str) -> Path:
    """Return the path of a source's record."""
    return out / RECORDS / f"{digest({'source': source})}.json"


def read_record(path: Path) -> Record | None:
    """Return a record; None where there is none, or none that `write_record` can have written.

    What a record names may be deleted, and the folder may come from a stranger. So a record that names a file outside
    `images` and `masks` counts as none.
    """
    try:
        found = json.loads(path.read_text(encoding="ascii"))
        rows = tuple(map(_row, found["rows"]))
        texts = _text(found["source"]), _text(found["fingerprint"])
        return Record(*texts, rows, _whole(found["filtered"]), _distance(found.get("gsd_m")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def read_records(out: Path) -> Iterator[Record]:
    """Yield every whole record of an output folder."""
    for path in sorted((out / RECORDS).glob("*.json")):
        if (record := read_record(path)) is not None:
            yield record


def write_record(out: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    write_whole(record_path(out, record.source), json.dumps(asdict(record)).encode("ascii"))


def begin(out: Path, record: Record) -> Record:
    """Write down which crops are about to be made, beside those that are there; return the record that stood there.

    Whatever happens next, a later run knows every file that may lie there.

    Parameters
    ----------
    out : Path
        The output folder.
    record : Record
        The crops that are about to be made.

    Returns
    -------
    Record
        The earlier record; without crops where there was none.
    """
    old = read_record(record_path(out, record.source)) or replace(record, rows=())
    write_record(out, replace(record, fingerprint="", rows=(*old.rows, *record.rows)))
    return old


def has_begun(out: Path, source: str) -> bool:
    """Return whether the cutting of a source began and did not end."""
    record = read_record(record_path(out, source))
    return record is not None and not record.fingerprint


def discard(out: Path, source: str) -> None:
    """Remove a source's record and all its files."""
    path = record_path(out, source)
    if (record := read_record(path)) is not None:
        remove_files(out, record.files)
    with suppress(OSError):
        path.unlink()


def _row(found: Any) -> CropRow:
    window = Window(*(_whole(found["window"][side]) for side in ("row_off", "col_off", "height", "width")))
    counts = tuple((_whole(class_id), _whole(pixels)) for class_id, pixels in found["counts"])
    return CropRow(check_name(found["image"], IMAGES), check_name(found["mask"], MASKS), window, counts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text expected, {value!r} found")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a whole number expected, {value!r} found")
    return value


def _distance(value: object) -> float | None:
    if value is not None and not (isinstance(value, float) and 0 < value < math.inf):
        raise TypeError(f"a positive number of metres expected, {value!r} found")
    return value
