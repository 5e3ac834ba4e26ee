"""The images of a run that failed, as a table: what, why, and what helps."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from segment.errors import RecordError
from segment.record.logs import one_line
from segment.record.outcome import Outcome
from tiler.files.atomic import replacing

FAILURES = "failures.csv"
"""Name of the table in the output folder."""
_HEAD = ("path", "reason", "advice")


def write_failures(path: Path, failures: Sequence[Outcome]) -> None:
    """Write a row for each image that failed, in the order of their paths; remove the table where none failed.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Parameters
    ----------
    path : Path
        The table, in a folder that exists. It is written whole or not at all.
    failures : sequence of Outcome
        The images that failed.

    Raises
    ------
    RecordError
        If the table cannot be written or removed. The table of the run before stays.
    """
    rows = sorted(
        (str(each.path.absolute()), each.reason.removeprefix(f"{each.path}: "), each.advice) for each in failures
    )
    try:
        if not rows:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_HEAD)
            writer.writerows([cell(one_line(text)) for text in row] for row in rows)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
