"""What the classes of a survey cover, as a table: per image, and in all."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from segment.errors import RecordError
from tiler.classes import NO_LABEL, ClassTable
from tiler.files.atomic import replacing
from tiler.masks.coverage import Coverage

SUMMARY = "summary.csv"
"""Name of the table in the output folder."""
TOTAL, NO_DATA = "(all images)", "(no data)"
_HEAD = ("image", "class_id", "class_name", "pixels", "percent", "m2")


def write_summary(path: Path, classes: ClassTable, covered: Sequence[tuple[Path, Coverage]], inputs: int) -> None:
    """Write the table of a run: one row per image and class that occurs in it, then the same for the survey.

    `percent` is a share of the pixels that have a label. `m2` is the area on the ground in square metres. It is empty
    where an image does not say where it lies, and in the total as soon as one image does not. Where images overlap,
    the total counts the ground twice. A name that a spreadsheet would take for a formula gets an apostrophe in front.

    Parameters
    ----------
    path : Path
        The table.
    classes : ClassTable
        Names of the classes.
    covered : sequence of (Path, Coverage)
        Every image with masks: its place below its source, and what its classes cover.
    inputs : int
        Number of images of the run; the rows of its sum say so where some have no masks.

    Raises
    ------
    RecordError
        If the table cannot be written. The table of the run before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            _write(file, classes, covered, inputs)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def _write(file: TextIO, classes: ClassTable, covered: Sequence[tuple[Path, Coverage]], inputs: int) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEAD)
    for image, coverage in sorted(covered, key=itemgetter(0)):
        writer.writerows((_cell(image), *row) for row in _rows(coverage, classes))
    name = TOTAL if len(covered) == inputs else f"({len(covered)} of {inputs} images)"
    if covered:
        writer.writerows((name, *row) for row in _rows(total([coverage for _, coverage in covered]), classes))


def _cell(image: Path) -> str:
    """Return a file's name as text that no spreadsheet takes for a formula."""
    name = image.as_posix().encode("utf-8", "backslashreplace").decode()
    return f"'{name}" if name.lstrip().startswith(("=", "+", "-", "@")) else name


def total(coverages: list[Coverage]) -> Coverage:
    """Return the sum of one or more coverages; it has an area on the ground only if each of them has."""
    pixels = tuple(map(sum, zip(*(each.pixels for each in coverages), strict=True)))
    areas = [each.area_m2 for each in coverages if each.area_m2 is not None]
    area = tuple(map(sum, zip(*areas, strict=True))) if len(areas) == len(coverages) else None
    return Coverage(pixels, sum(each.no_data for each in coverages), area)


def _rows(coverage: Coverage, classes: ClassTable) -> Iterator[tuple[int, str, int, str, str]]:
    labelled = sum(coverage.pixels)
    for label, (name, pixels) in enumerate(zip(classes.names, coverage.pixels, strict=True)):
        if pixels:
            area = "" if coverage.area_m2 is None else f"{coverage.area_m2[label]:.4f}"
            yield label, name, pixels, f"{100 * pixels / labelled:.4f}", area
    if coverage.no_data:
        yield NO_LABEL, NO_DATA, coverage.no_data, "", ""
