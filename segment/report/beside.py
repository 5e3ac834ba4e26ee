"""What lies beside masks and says how good they are: an evaluation, and how the model learned."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from segment.evaluation.metrics import matrix_from_csv, measure, or_none
from segment.model.checkpoint import BUNDLED_MODELS
from segment.report.content import Bin, Confusion

EVALUATION = "evaluation.json"
_CURVE, _CONFUSION = "learning_curve.csv", "confusion.csv"
Curve = tuple[tuple[str, tuple[float | None, ...]], ...]


def read_evaluation(out: Path, given: Path | None, images: Iterable[str]) -> Mapping[str, Any]:
    """Return the evaluation of the masks in an output folder; nothing where there is none.

    Parameters
    ----------
    out : Path
        The output folder.
    given : Path or None
        The folder of the evaluation. None: `evaluation` in the output folder, or beside it, where it names no image
        that the output folder lacks.
    images : iterable of str
        Places of the images, as text.
    """
    if given is not None:
        return _json(given / EVALUATION)
    ours = {Path(name).with_suffix("").as_posix() for name in images}
    for folder in (out / "evaluation", out.absolute().parent / "evaluation"):
        found = _json(folder / EVALUATION)
        names = {str(file.get("name", "")) for file in found.get("files", ())}
        if names and names <= ours:
            return found
    return {}


def confusion_of(evaluation: Mapping[str, Any]) -> Confusion | None:
    """Return the confusion matrix of an evaluation; None where it was not judged by a truth."""
    rows, classes = evaluation.get("confusion") or [], evaluation.get("classes") or []
    names = tuple(str(each["name"]) for each in classes)
    if not rows or len(names) != len(rows) or not any(map(any, rows)):
        return None
    iou = tuple(each.get("iou") for each in classes)
    pixels = tuple(tuple(int(count) for count in row[: len(names)]) for row in rows)
    return Confusion(classes=names, pixels=pixels, iou=iou, miou=evaluation.get("miou"))


def reliability_of(evaluation: Mapping[str, Any]) -> tuple[Bin, ...]:
    """Return the bins of the reliability diagram of an evaluation; none where it has no confidence."""
    bins = (evaluation.get("reliability") or {}).get("bins", ())
    return tuple(Bin(**{name: each[name] for name in Bin.__slots__}) for each in bins)


def learning_curve(model: str, folder: Path) -> Curve:
    """Return the columns of the learning curve of a model; none where it has none.

    Parameters
    ----------
    model : str
        What the user called it.
    folder : Path
        The folder in which the command was typed.
    """
    with suppress(OSError, ValueError, csv.Error):
        with (_folder_of(model, folder) / _CURVE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in (rows[0] if rows else ()) if not name.startswith("iou_")]  # of single classes
        return tuple((name, tuple(_number(row[name]) for row in rows)) for name in names)
    return ()


def learned_confusion(model: str, folder: Path) -> Confusion | None:
    """Return what a model took for what when it was chosen; None where its folder does not say it.

    The parameters are those of `learning_curve`.
    """
    try:
        names, matrix = matrix_from_csv((_folder_of(model, folder) / _CONFUSION).read_text(encoding="utf-8"))
    except (OSError, ValueError, OverflowError, csv.Error):
        return None
    metrics = measure(matrix)
    pixels = tuple(map(tuple, matrix[:, : len(names)].tolist()))
    iou = tuple(map(or_none, metrics.iou))
    return Confusion(classes=names, pixels=pixels, iou=iou, miou=or_none(metrics.miou), of="crops")


def _folder_of(model: str, folder: Path) -> Path:
    return BUNDLED_MODELS.get(model, folder / model)


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _json(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}
