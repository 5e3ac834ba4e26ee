"""What a review has exported and taken back: two tables that later commands read."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segment.errors import RecordError
from tiler.files.atomic import write_whole
from tiler.grid.window import Window

WINDOWS, CORRECTED = "windows.csv", "corrected.csv"
"""Table of the windows of one export, in its folder; table of all that came back, in the folder of the review."""
EXPORT = "export-"
"""Start of the name of an export's folder."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Known:
    """A window that was exported; its fields are the columns of the table."""

    name: str
    """Name of its files, without suffix."""
    image: str
    """The image, by its path below the survey."""
    row_off: int
    """First row, source pixels."""
    col_off: int
    """First column, source pixels."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    window_px: int
    """Side of its files, pixels; they are padded where the image ends."""
    crop_px: int
    """Side of the crops that it is to be trained in, source pixels: the model's window."""
    chosen_by: str
    """The measure of doubt, or random."""
    score: float
    """Doubt of its pixels in the mean, 0 to 1."""
    why: str
    """Which classes hold most of the doubt, in words."""
    draft: str
    """Digest of its draft labels."""

    @property
    def window(self) -> Window:
        """Where it lies."""
        return Window(self.row_off, self.col_off, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A window whose labels came back; its fields are the columns of the table."""

    name: str
    """See `Known`."""
    image: str
    """See `Known`."""
    row_off: int
    """See `Known`."""
    col_off: int
    """See `Known`."""
    height: int
    """See `Known`."""
    width: int
    """See `Known`."""
    chosen_by: str
    """See `Known`."""
    labelled: int
    """Pixels that carry a label."""
    changed: int
    """Those of them that the mask labels otherwise."""
    labelled_by: str
    """The file or folder that the labels came from."""
    taken: str
    """When they came, UTC."""

    @property
    def window(self) -> Window:
        """Where it lies."""
        return Window(self.row_off, self.col_off, self.height, self.width)


def window_name(image: str, window: Window, window_px: int) -> str:
    """Return a name for the files of a window, of plain letters: the same for the same window, and no other's.

    What is no plain letter becomes `-`, and a digest of the image's path then tells images apart.
    """
    stem = PurePosixPath(image).with_suffix("").as_posix()
    if not _PLAIN.fullmatch(stem):
        digest = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:8]
        stem = f"{re.sub('[^A-Za-z0-9_.]+', '-', stem).strip('-.') or 'image'}-{digest}"
    return f"{stem[-120:].lstrip('-.')}_r{window.row_off}_c{window.col_off}_s{window_px}"


def digest_of(labels: NDArray[np.uint8]) -> str:
    """Return 16 hex digits that change with any label of a window."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()[:16]


def next_export(folder: Path) -> Path:
    """Return the folder of the next export: nothing that an earlier one wrote is ever written over."""
    numbers = [int(path.name.removeprefix(EXPORT)) for path in _exports(folder)]
    return folder / f"{EXPORT}{max(numbers, default=0) + 1}"


def read_known(folder: Path) -> dict[str, tuple[Known, ...]]:
    """Return the windows of all exports by name; a window that was exported again stands there as often.

    Raises
    ------
    RecordError
        If a table cannot be read.
    """
    found: defaultdict[str, list[Known]] = defaultdict(list)
    for export in sorted(_exports(folder), key=lambda path: int(path.name.removeprefix(EXPORT))):
        for known in _read(export / WINDOWS, Known):
            found[known.name].append(known)
    return {name: tuple(each) for name, each in found.items()}


def write_known(export: Path, windows: Iterable[Known]) -> None:
    """Write the table of an export, whole or not at all."""
    _write(export / WINDOWS, [replace(each, score=round(each.score, 5)) for each in windows], Known)


def read_corrected(folder: Path) -> tuple[Corrected, ...]:
    """Return what came back so far; nothing where nothing did.

    Raises
    ------
    RecordError
        If the table cannot be read.
    """
    return tuple(_read(folder / CORRECTED, Corrected))


def add_corrected(folder: Path, rows: Sequence[Corrected]) -> None:
    """Add what came back to the table; a window that came back before is replaced."""
    old = {row.name: row for row in read_corrected(folder)}
    _write(folder / CORRECTED, (old | {row.name: row for row in rows}).values(), Corrected)


def _exports(folder: Path) -> Iterator[Path]:
    for path in folder.glob(f"{EXPORT}*"):
        if re.fullmatch(r"\d{1,9}", path.name.removeprefix(EXPORT), re.ASCII):
            yield path


def _write(path: Path, rows: Iterable[Any], kind: type) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(row) for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.getvalue().encode(errors="surrogateescape"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def _read(path: Path, kind: type[_Row]) -> Iterator[_Row]:
    """Yield the rows of a table."""
    columns = {field.name: {"int": int, "float": float}.get(str(field.type), str) for field in fields(kind)}  # type: ignore[arg-type]
    if not path.exists():
        return
    try:
        text = path.read_bytes().decode(errors="surrogateescape")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise ValueError(f"columns {', '.join(columns)} expected, {', '.join(reader.fieldnames or ())} found")
        for row in reader:
            found = kind(**{name: read(row[name]) for name, read in columns.items()})
            yield found
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
