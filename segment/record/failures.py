"""The images of a run that failed, as a table: what, why, and what helps."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from segment.errors import RecordError
from segment.record.logs import one_line
from segment.record.outcome import Outcome
from tiler.files.atomic import replacing

FAILURES = "failures.csv"
"""Name of the table in the output folder."""
_HEAD = ("path", "reason", "advice")


def write_failures(path: Path, failures: Sequence[Outcome], *, part: Collection[Path] = ()) -> None:
    """Write a row for each image that failed, in the order of their paths; remove the table where none failed.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Parameters
    ----------
    path : Path
        The table, in a folder that exists. It is written whole or not at all.
    failures : sequence of Outcome
        The images that failed.
    part : collection of Path
        Paths of all images of the run, where it took a part of the survey alone: rows of other images then stay.

    Raises
    ------
    RecordError
        If the table cannot be written or removed. The table of the run before stays.
    """
    found = [(str(each.path.absolute()), each.reason.removeprefix(f"{each.path}: "), each.advice) for each in failures]
    rows = [tuple(cell(one_line(text)) for text in row) for row in found]
    rows = sorted(rows + (_rows_of_others(path, part) if part else []))
    try:
        if not rows:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_HEAD)
            writer.writerows(rows)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def _rows_of_others(path: Path, part: Iterable[Path]) -> list[tuple[str, ...]]:
    """Return the rows of an earlier table that are of images other than some; none where it cannot be read."""
    ours = {cell(one_line(str(image.absolute()))) for image in part}
    rows = rows_of(path, _HEAD)
    return [row for row in rows if row[0] not in ours and Path(row[0].removeprefix("'")).exists()]


def rows_of(path: Path, head: Sequence[str], new: Collection[str] = ()) -> list[tuple[str, ...]]:
    """Return the rows of a table that an earlier run wrote; none where it cannot be read, or has other columns.

    Cells of columns that are `new` are empty in a table of an earlier version, which lacks them.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            return [tuple(row.get(name, "") if name in new else row[name] for name in head) for row in table]
    except (OSError, ValueError, KeyError, csv.Error):
        return []


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
