"""What each class covers in all images together: pixels as the masks tell, square metres from the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from segment.record.summary import SUMMARY, total, totals_of
from segment.report.content import ClassRow
from segment.report.standing import Standing
from tiler.classes import ClassTable, distinct_colours, read_class_table
from tiler.errors import ClassTableError
from tiler.files.names import CLASS_TABLE
from tiler.masks.coverage import Confidence, Coverage, read_coverage


def class_table(out: Path, images: Sequence[Standing]) -> ClassTable:
    """Return names and colours of the classes: names that most masks tell, colours of the table beside them."""
    told = Counter(image.masks.tags.get("CLASS_NAMES", "") for image in images if image.masks)
    found = None
    with suppress(ClassTableError):
        found = read_class_table(out / CLASS_TABLE)
    if not told:
        return found or ClassTable(("no class",), distinct_colours(1))
    names = tuple(json.loads(told.most_common(1)[0][0] or "[]")) or ("unknown",)
    return found if found and found.names == names else ClassTable(names, distinct_colours(len(names)))


def covered(images: Sequence[Standing], classes: ClassTable) -> list[Coverage]:
    """Return what the classes cover in each image whose mask tells it, and has as many classes."""
    found = [read_coverage(image.masks.tags) for image in images if image.masks]
    return [each for each in found if each is not None and len(each.pixels) == len(classes)]


def class_rows(out: Path, images: Sequence[Standing], classes: ClassTable) -> tuple[tuple[ClassRow, ...], str]:
    """Return what each class covers in all images, and why there are no square metres, or of which images they are."""
    coverages = covered(images, classes)
    if not coverages:
        return (), "no image has a mask yet"
    sums = total(coverages)
    labelled = max(sum(sums.pixels), 1)
    areas, note = _areas(out, sums)
    sure = sums.confidence or [Confidence()] * len(classes)
    rows = zip(classes.names, classes.colours, sums.pixels, sure, strict=True)
    return tuple(
        ClassRow(id=label, name=name, colour=colour, pixels=pixels, percent=100 * pixels / labelled,
                 m2=areas.get(label, 0.0) if areas else None, confidence=known.mean, low=known.low_share)
        for label, (name, colour, pixels, known) in enumerate(rows)
    ), note  # fmt: skip


def _areas(out: Path, sums: Coverage) -> tuple[dict[int, float], str]:
    """Return the square metres of each class in the summary, and what is to be said of them."""
    name, pixels, areas, note = totals_of(out / SUMMARY)
    if not name:
        return {}, "m2 left out: no run of the whole survey has written a summary yet"
    if pixels != {label: count for label, count in enumerate(sums.pixels) if count}:
        return {}, "m2 left out: the summary is not of all these images"
    return areas, note or ("square metres of ground, each counted once" if areas else "")
