"""Say what an evaluation found: a dict for programs, and a folder of files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

from segment.errors import EvaluateError
from segment.evaluation.blocks import Blocks
from segment.evaluation.figures import draw_confusion, draw_reliability
from segment.evaluation.grid_dependence import Dependence, Level
from segment.evaluation.metrics import class_rows, matrix_as_csv, metrics_as_dict, or_none
from segment.evaluation.reliability import Bin, reliability_as_dict
from segment.evaluation.results import Evaluation
from segment.evaluation.seams import SeamScores
from tiler.files.atomic import replacing

_OF_TRUTH = "per_class.csv", "confusion.csv", "reliability.csv", "confusion.png", "reliability.png"


def evaluation_as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON-able values: shares of 1, None where undefined."""
    return {
        "images": len(evaluation.images),
        "truth_model": evaluation.truth_model or None,
        **metrics_as_dict(evaluation.metrics, evaluation.classes),
        "seams": _seams_as_dict(evaluation.seams),
        "grid": _grid_as_dict(evaluation),
        "blocks": _blocks_as_dict(evaluation.blocks),
        "blocks_control": _blocks_as_dict(evaluation.control),
        "reliability": evaluation.reliability and reliability_as_dict(evaluation.reliability),
        "files": [
            {
                "name": image.name,
                "pixels": image.pixels,
                "accuracy": or_none(image.accuracy),
                "miou": or_none(image.miou),
                "grid": image.dependence and _counts_as_dict(image.dependence),
                "blocks": _blocks_as_dict(image.blocks),
                "doubts": list(map(str, image.doubts)),
            }
            for image in evaluation.images
        ],
        "failed": [{"name": failed.name, "reason": failed.reason} for failed in evaluation.failed],
        **{
            side: [str(path) for path in getattr(evaluation, side)]
            for side in ("only_predicted", "only_truth", "without_shifted", "only_shifted")
        },
        "confusion": evaluation.confusion.tolist(),
    }


def _seams_as_dict(seams: SeamScores | None) -> dict[str, Any] | None:
    if seams is None:
        return None
    found = {
        name: scores and {
            "miou": or_none(seams.miou_of(scores)),
            "accuracy": or_none(scores.accuracy),
            "fwiou": or_none(scores.fwiou),
            "pixels": scores.pixels,
        }
        for name, scores in (("seam", seams.seam), ("interior", seams.interior), ("shifted", seams.control))
    }  # fmt: skip
    return {"images": seams.images, "width_px": seams.width_px, "classes_compared": len(seams.classes), **found}


def _grid_as_dict(evaluation: Evaluation) -> dict[str, Any] | None:
    found, one_tile = evaluation.dependence, evaluation.one_tile
    if found is None or one_tile is None:
        return None
    return {
        "images": len(evaluation.in_tiles),
        **_counts_as_dict(found),
        "confidence": [
            {"least": level.least, "below": level.below, **_counts_as_dict(level)} for level in found.levels
        ],
        "classes": [
            {"id": index, "name": name, "pixels": pixels, "differing": differing}
            for index, (name, (pixels, differing)) in enumerate(
                zip(evaluation.classes, found.by_class.tolist(), strict=True)
            )
        ],
        "one_tile": {"images": evaluation.in_one_tile, **_counts_as_dict(one_tile)},
    }


def _counts_as_dict(found: Dependence | Level) -> dict[str, Any]:
    return {"pixels": found.pixels, "differing": found.differing, "share": or_none(found.share)}


def _blocks_as_dict(blocks: Blocks | None) -> dict[str, Any] | None:
    if blocks is None:
        return None
    return {name: getattr(blocks, name) for name in ("blockiness", "changes", "expected", "enough")}


def write_report(evaluation: Evaluation, folder: Path) -> tuple[Path, ...]:
    """Write `evaluation.json` into a folder, which is made; where there was truth also `_OF_TRUTH`, as far as known.

    Returns
    -------
    tuple of Path
        The files. Each appears whole or not at all. Those of an earlier report are replaced, or removed where this
        evaluation has none of the kind.

    Raises
    ------
    EvaluateError
        If a file cannot be written; the message names it.
    """
    texts = {"evaluation.json": json.dumps(evaluation_as_dict(evaluation), indent=1, ensure_ascii=False) + "\n"}
    texts |= _of_truth(evaluation) if evaluation.judged else {}
    pictures = _pictures(evaluation) if evaluation.judged else {}
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with replacing(path := folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        for name, draw in pictures.items():
            draw(path := folder / name)
        for name in set(_OF_TRUTH) - texts.keys() - pictures.keys():
            (path := folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise EvaluateError(f"{path}: cannot be written: {error.strerror or error}") from error
    return tuple(folder / name for name in (*texts, *pictures))


def _pictures(evaluation: Evaluation) -> dict[str, Callable[[Path], None]]:
    """Return what draws the pictures of an evaluation by the truth, by their names."""
    found: dict[str, Callable[[Path], None]] = {
        "confusion.png": partial(draw_confusion, evaluation.confusion, evaluation.classes)
    }
    if evaluation.reliability is not None:
        found["reliability.png"] = partial(draw_reliability, evaluation.reliability)
    return found


def _of_truth(evaluation: Evaluation) -> dict[str, str]:
    """Return the tables of an evaluation by the truth: scores by class, the confusion matrix, reliability."""
    names = [*evaluation.classes]
    scores = class_rows(evaluation.metrics, names)
    found = {
        "per_class.csv": _csv([list(scores[0]), *(row.values() for row in scores)]),
        "confusion.csv": matrix_as_csv(evaluation.confusion, names),
    }
    if evaluation.reliability is not None:
        found["reliability.csv"] = _csv([Bin.__slots__, *map(astuple, evaluation.reliability.bins)])
    return found


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
