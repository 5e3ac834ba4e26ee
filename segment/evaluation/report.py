"""Say what an evaluation found: text for people, a dict for programs, a folder of files for both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from segment.errors import EvaluateError
from segment.evaluation.compare import Evaluation
from segment.evaluation.figures import NO_LABEL_NAME, draw_confusion
from segment.evaluation.metrics import Metrics, class_rows, metrics_as_dict, metrics_as_lines, or_none, percent
from tiler.files.atomic import replacing
from tiler.words import counted

_LISTED_FILES = 12


def evaluation_as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON-able values: shares of 1, None where undefined."""
    return {
        "images": len(evaluation.images),
        **metrics_as_dict(evaluation.metrics, evaluation.classes),
        "seams": _seams_as_dict(evaluation),
        "files": [
            {
                "name": image.name,
                "pixels": image.pixels,
                "accuracy": or_none(image.accuracy),
                "miou": or_none(image.miou),
            }
            for image in evaluation.images
        ],
        "failed": [{"name": failed.name, "reason": failed.reason} for failed in evaluation.failed],
        "only_predicted": [str(path) for path in evaluation.only_predicted],
        "only_truth": [str(path) for path in evaluation.only_truth],
        "confusion": evaluation.confusion.tolist(),
    }


def _seams_as_dict(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.seam is None or evaluation.interior is None:
        return None
    return {
        "images": evaluation.seam_images,
        "width_px": evaluation.seam_px,
        "classes_compared": len(evaluation.seam_classes),
        "seam": _zone_as_dict(evaluation.seam, evaluation.seam_miou),
        "interior": _zone_as_dict(evaluation.interior, evaluation.interior_miou),
        "broken_neighbours": {
            "across_lines": or_none(evaluation.line_breaks.share),
            "elsewhere": or_none(evaluation.other_breaks.share),
        },
    }


def _zone_as_dict(zone: Metrics, miou: float) -> dict[str, Any]:
    return {
        "miou": or_none(miou),
        "accuracy": or_none(zone.accuracy),
        "fwiou": or_none(zone.fwiou),
        "pixels": zone.pixels,
    }


def evaluation_as_lines(evaluation: Evaluation) -> list[str]:
    """Return an evaluation as lines: classes, summary, seams against interiors, then what was not compared."""
    lines = []
    if evaluation.images:
        lines = metrics_as_lines(evaluation.metrics, evaluation.classes) + _seam_lines(evaluation)
    lines += _file_lines("predicted only", evaluation.only_predicted)
    lines += _file_lines("truth only", evaluation.only_truth)
    lines += [f"failed: {failed.reason}" for failed in evaluation.failed]
    lines.append(
        f"{counted(len(evaluation.images), 'image')} compared, {len(evaluation.failed)} failed, "
        f"{len(evaluation.only_predicted) + len(evaluation.only_truth)} without partner"
        + "; there are no scores"
        * (not evaluation.images)
    )
    return lines


def _seam_lines(evaluation: Evaluation) -> list[str]:
    seam, interior = evaluation.seam, evaluation.interior
    if seam is None or interior is None:
        return ["seam zones: no mask says where its tiles lay, or none has more than one"]
    width = "overlaps of tiles" if evaluation.seam_px is None else f"{evaluation.seam_px} model px where tiles meet"
    lines = [
        f"seam zones ({width}) against the interior, {counted(evaluation.seam_images, 'image')},"
        f" mIoU over {len(evaluation.seam_classes)} classes present in both",
        f"{'':8}  {'seams':>13} {'interior':>13}  difference",
    ]
    for name, there, here in (
        ("mIoU", evaluation.seam_miou, evaluation.interior_miou),
        ("accuracy", seam.accuracy, interior.accuracy),
        ("fwIoU", seam.fwiou, interior.fwiou),
    ):
        points = or_none(100 * (there - here))
        difference = "-" if points is None else f"{points:+.2f} points"
        lines.append(f"{name:8}  {percent(there):>13} {percent(here):>13}  {difference}")
    shares = evaluation.line_breaks.share, evaluation.other_breaks.share
    breaks = [f"{1000 * share:.2f} per mille" for share in shares]
    return [
        *lines,
        f"{'pixels':8}  {seam.pixels:13,} {interior.pixels:13,}",
        "neighbours of one true class with two labels, across the lines where tiles meet and elsewhere:",
        f"{'':8}  {breaks[0]:>13} {breaks[1]:>13}",
    ]


def _file_lines(what: str, paths: Sequence[Path]) -> list[str]:
    lines = [f"{what}: {path}" for path in paths[:_LISTED_FILES]]
    return lines if len(paths) <= _LISTED_FILES else [*lines, f"{what}: {len(paths) - _LISTED_FILES} more"]


def write_report(evaluation: Evaluation, folder: Path) -> tuple[Path, ...]:
    """Write `evaluation.json`, `per_class.csv`, `confusion.csv` and `confusion.png` into a folder, which is made.

    Returns
    -------
    tuple of Path
        The files. Each appears whole or not at all; those of an earlier report are replaced.

    Raises
    ------
    EvaluateError
        If a file cannot be written; the message names it.
    """
    names = [*evaluation.classes]
    table = [
        ["truth / predicted", *names, NO_LABEL_NAME],
        *([name, *row] for name, row in zip(names, evaluation.confusion.tolist(), strict=True)),
    ]
    scores = class_rows(evaluation.metrics, names)
    texts = {
        "evaluation.json": json.dumps(evaluation_as_dict(evaluation), indent=1, ensure_ascii=False) + "\n",
        "per_class.csv": _csv([list(scores[0]), *(row.values() for row in scores)]),
        "confusion.csv": _csv(table),
    }
    paths = tuple(folder / name for name in (*texts, "confusion.png"))
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=False):
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        path = paths[-1]
        draw_confusion(evaluation.confusion, names, path)
    except OSError as error:
        raise EvaluateError(f"{path}: cannot be written: {error.strerror or error}") from error
    return paths


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
