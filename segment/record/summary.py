"""What the classes of a survey cover, as a table: per image, and in all."""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from segment.errors import RecordError
from segment.record.failures import cell, rows_of
from tiler.classes import NO_LABEL, ClassTable
from tiler.files.atomic import replacing
from tiler.files.walk import natural
from tiler.masks.coverage import Confidence, Coverage, Disagreement
from tiler.source.footprint import Footprint, overlap_in_words
from tiler.words import counted, readable

SUMMARY = "summary.csv"
"""Name of the table in the output folder."""
TOTAL, NO_DATA = "(all images)", "(no data)"
ALL_ROWS = "(all rows above)"
_PARTLY = "the last run looked at a part of the survey alone"
_EARLIER = "masks of an earlier run"
_OF_PHOTOS = frozenset({".jpg", ".jpeg"})
_SUM = re.compile(r"\((all images|all rows above|\d+ of \d+ images)\)")
_OF_CONFIDENCE = ("confidence", "low_percent")
_HEAD = ("image", "class_id", "class_name", "pixels", "percent", "m2", *_OF_CONFIDENCE, "note")
_Row = tuple[Any, ...]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Covered:
    """One image with masks."""

    image: Path
    """Its place below its source."""
    coverage: Coverage
    """What its classes cover."""
    footprint: Footprint
    """The ground that it lies on."""


def write_summary(
    path: Path,
    classes: ClassTable,
    covered: Sequence[Covered],
    inputs: Collection[Path],
    *,
    earlier: Collection[Path] = (),
    whole: bool = True,
) -> None:
    """Write the table of a run: one row per image and class that occurs in it, then the same for the survey.

    `confidence` is the mean of a class, 0 to 1, and `low_percent` the share of its pixels with a low one, see
    `tiler.masks.coverage`. Both are empty where no confidence was written; in the total, as soon as one image has none.
    `percent` is a share of the pixels that have a label. `m2` is the area on the ground in square metres. It is empty
    where an image does not say where it lies. In the total it is empty as soon as one image does not say so, or two
    images overlap on the ground, which the sum would count twice. Then `note` of its first row says which, and so does
    the log; only ground that overlaps is worth a warning.
    A name that a spreadsheet would take for a formula gets an apostrophe in front.

    Parameters
    ----------
    path : Path
        The table.
    classes : ClassTable
        Names of the classes.
    covered : sequence of Covered
        Every image with masks.
    inputs : collection of Path
        Places of all images of the run; the rows of its sum say so where it did not get to some, or some failed.
    earlier : collection of Path
        Places of images whose masks are those of an earlier run. Their rows stay, with a note; the sum of a whole
        survey leaves them out.
    whole : bool
        Whether the survey has no other images. Otherwise the rows of other images stay as they are, and the total is
        that of all rows, without an area.

    Raises
    ------
    RecordError
        If the table cannot be written. The table of the run before stays.
    """
    covered = sorted(covered, key=lambda each: _order(each.image))
    shared, unknown = _shared(covered), _unknown(covered)
    reason = "; ".join(filter(None, (shared, unknown)))
    if reason and any(each.coverage.area_m2 is not None for each in covered):
        level = logging.WARNING if shared else logging.INFO
        _log.log(level, "%s: the square metres of all images together are left out: %s", path, reason)
    before = [] if whole and not earlier else _rows_before(path)
    ours, stay = frozenset(map(_image_cell, inputs)), frozenset(map(_image_cell, earlier))
    kept = [] if whole else [row for row in before if row[0] not in ours]
    told = [(*row[:-1], _EARLIER) for row in before if row[0] in stay]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            _write(file, classes, covered, len(inputs), reason, kept, told)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def totals_of(path: Path) -> tuple[str, dict[int, int], dict[int, float], str]:
    """Return the sum of a table: its name, pixels and square metres by class, and its note; empty where it has none.

    There are no square metres where the sum leaves them out.
    """
    rows = [row for row in rows_of(path, _HEAD, _OF_CONFIDENCE) if _SUM.fullmatch(row[0]) and int(row[1]) != NO_LABEL]
    pixels = {int(row[1]): int(row[3]) for row in rows}
    areas = {int(row[1]): float(row[5]) for row in rows if row[5]}
    return rows[0][0] if rows else "", pixels, areas, rows[0][-1] if rows else ""


def _shared(covered: Sequence[Covered]) -> str:
    """Return in words which images overlap on the ground; empty where none do."""
    names = [each.image.as_posix() for each in covered]
    return overlap_in_words([each.footprint for each in covered], names, "images")


def _unknown(covered: Sequence[Covered]) -> str:
    """Return in words how many images do not say their area, and what may help; empty where all do."""
    placeless = [each for each in covered if each.coverage.area_m2 is None]
    if not placeless:
        return ""
    photos = {each.coverage.area_m2 is None for each in covered if each.image.suffix.lower() in _OF_PHOTOS}
    helps = " (photos may say it by their pose: --georef photo)" if photos == {True} else ""  # else it was tried
    says = "does not say how much ground it covers" if len(placeless) == 1 else "do not say how much ground they cover"
    return f"{len(placeless):,} of {counted(len(covered), 'image')} {says}{helps}"


def _write(
    file: TextIO,
    classes: ClassTable,
    covered: Sequence[Covered],
    inputs: int,
    no_sum: str,
    others: Sequence[_Row],
    earlier: Sequence[_Row],
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEAD)
    rows: list[_Row] = [
        (_image_cell(each.image), *row, "") for each in covered for row in _rows(each.coverage, classes)
    ]
    every = [*others, *earlier, *rows]
    if others or earlier:
        every.sort(key=lambda row: _order(Path(row[0])))
    writer.writerows(every)
    if others:
        writer.writerows(_sum_of_rows(every))
        return
    if covered:
        name = TOTAL if len(covered) == inputs else f"({len(covered)} of {inputs} images)"
        note = f"m2 left out: {no_sum}" if no_sum else ""
        for *row, area, sure, low in _rows(total([each.coverage for each in covered]), classes):
            writer.writerow((name, *row, "" if no_sum else area, sure, low, note))
            note = ""


def _rows_before(path: Path) -> list[_Row]:
    """Return the rows of images of an earlier table; none where it cannot be read."""
    return [row for row in rows_of(path, _HEAD, _OF_CONFIDENCE) if not _SUM.fullmatch(row[0]) and row[3].isdecimal()]


def _sum_of_rows(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Yield the rows of the sum of all rows, by class; `m2` is left out."""
    pixels: Counter[tuple[int, str]] = Counter()
    of_class: defaultdict[tuple[int, str], list[_Row]] = defaultdict(list)
    for row in rows:
        _, class_id, name, count, *_ = row
        pixels[int(class_id), name] += int(count)
        of_class[int(class_id), name].append(row)
    labelled = sum(count for (class_id, _), count in pixels.items() if class_id != NO_LABEL)
    note = f"m2 left out: {_PARTLY}"
    for (class_id, name), count in sorted(pixels.items()):
        share = "" if class_id == NO_LABEL else f"{100 * count / labelled:.4f}"
        sure = [_mean_of(of_class[class_id, name], _HEAD.index(column)) for column in _OF_CONFIDENCE]
        yield ALL_ROWS, class_id, name, count, share, "", *sure, note
        note = ""


def _mean_of(rows: Sequence[_Row], column: int) -> str:
    """Return the mean of a column over the pixels of some rows; empty where a row has no number there."""
    try:
        return f"{sum(int(row[3]) * float(row[column]) for row in rows) / sum(int(row[3]) for row in rows):.4f}"
    except (ValueError, ZeroDivisionError):
        return ""


def _image_cell(image: Path) -> str:
    """Return the place of an image as a cell of a table."""
    return cell(readable(image.as_posix()))


def _order(image: Path) -> list[tuple[str, str]]:
    return [natural(part) for part in image.parts]


def total(coverages: list[Coverage]) -> Coverage:
    """Return the sum of one or more coverages; it has an area, a confidence and so on only if each of them has."""
    pixels = tuple(map(sum, zip(*(each.pixels for each in coverages), strict=True)))
    areas = [each.area_m2 for each in coverages if each.area_m2 is not None]
    area = tuple(map(sum, zip(*areas, strict=True))) if len(areas) == len(coverages) else None
    sure = [each.confidence for each in coverages if each.confidence is not None]
    confidence = None
    if len(sure) == len(coverages):
        confidence = tuple(sum(of_class, Confidence()) for of_class in zip(*sure, strict=True))
    apart = [each.disagreement for each in coverages if each.disagreement is not None]
    disagreement = sum(apart, Disagreement()) if len(apart) == len(coverages) else None
    return Coverage(pixels, sum(each.no_data for each in coverages), area, confidence, disagreement)


def _rows(coverage: Coverage, classes: ClassTable) -> Iterator[tuple[int, str, int, str, str, str, str]]:
    labelled = sum(coverage.pixels)
    for label, (name, pixels) in enumerate(zip(classes.names, coverage.pixels, strict=True)):
        if pixels:
            area = "" if coverage.area_m2 is None else f"{coverage.area_m2[label]:.4f}"
            yield label, name, pixels, f"{100 * pixels / labelled:.4f}", area, *_sure(coverage, label)
    if coverage.no_data:
        yield NO_LABEL, NO_DATA, coverage.no_data, "", "", "", ""


def _sure(coverage: Coverage, label: int) -> tuple[str, str]:
    """Return the mean confidence of a class and the per cent of its pixels with a low one, as cells."""
    found = coverage.confidence[label] if coverage.confidence else Confidence()
    if found.mean is None or found.low_share is None:
        return "", ""
    return f"{found.mean:.4f}", f"{100 * found.low_share:.4f}"
