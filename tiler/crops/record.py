"""What was cut from one source, kept beside the crops so that a second run can skip it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tiler.grid.window import Window
from tiler.masks.provenance import digest

RECORDS = ".sources"
"""Folder of the records, below the crops' own."""
_PART = ".part"


@dataclass(frozen=True, slots=True)
class CropRow:
    """One crop."""

    image: str
    """Its image, a POSIX path relative to the output folder."""
    mask: str
    """Its mask, likewise."""
    window: Window
    """The source pixels that it holds; the files are padded where it is smaller than asked."""
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
    """Changes when the source or a setting does; empty while the source is being cut."""
    rows: tuple[CropRow, ...]
    """The crops, in row-major order."""
    filtered: int = 0
    """Number of crops that were left out for want of labels."""

    @property
    def files(self) -> frozenset[str]:
        """The crops' files, relative to the output folder."""
        return frozenset(file for row in self.rows for file in (row.image, row.mask))


def record_path(out: Path, source: str) -> Path:
    """Return the file of a source's record."""
    return out / RECORDS / f"{digest({'source': source})}.json"


def read_record(path: Path) -> Record | None:
    """Return a record, or None where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="ascii"))
        rows = tuple(
            CropRow(row["image"], row["mask"], Window(**row["window"]), tuple((i, n) for i, n in row["counts"]))
            for row in found["rows"]
        )
        return Record(found["source"], found["fingerprint"], rows, found["filtered"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_records(out: Path) -> Iterator[Record]:
    """Yield every whole record of an output folder."""
    for path in sorted((out / RECORDS).glob("*.json")):
        if (record := read_record(path)) is not None:
            yield record


def write_record(out: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    store(record_path(out, record.source), json.dumps(asdict(record)).encode("ascii"))


def begin(out: Path, record: Record) -> Record:
    """Write down which files are about to be made, and return what stands there now.

    Whatever happens next, a later run knows every file that may lie there.
    """
    old = read_record(record_path(out, record.source)) or replace(record, rows=())
    write_record(out, replace(record, fingerprint="", rows=(*old.rows, *record.rows)))
    return old


def has_begun(out: Path, source: str) -> bool:
    """Return whether a source was being cut and has not come to its end."""
    record = read_record(record_path(out, source))
    return record is not None and not record.fingerprint


def discard(out: Path, source: str) -> None:
    """Remove a source's record and all its files."""
    path = record_path(out, source)
    if (record := read_record(path)) is not None:
        remove_files(out, record.files)
    with suppress(OSError):
        path.unlink()


def remove_files(out: Path, files: Iterable[str]) -> None:
    """Remove files below the output folder, and what an interrupted write left of them."""
    for file in files:
        for path in (out / file, _partial(out / file)):
            path.unlink(missing_ok=True)


def remove_empty_folders(folder: Path) -> None:
    """Remove what is empty in a folder and below; not while sources are being cut."""
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # not empty
            Path(path).rmdir()


def store(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    partial = _partial(path)
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PART}")
