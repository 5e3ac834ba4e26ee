"""How well a network does on validation crops, and the learning curve: a row per validation, as table and picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import EvalPrediction

from segment.evaluation.figures import draw_learning_curve
from segment.evaluation.metrics import confusion, matrix_as_csv, measure
from segment.training.state import CONFUSION, CURVE, PICTURE, write_text

Row = dict[str, float | None]
"""One validation: epoch, step, train_loss, val_loss, miou, accuracy, and iou_NAME of each class; shares of 1."""

_COLUMNS = ("epoch", "step", "train_loss", "val_loss", "miou", "accuracy")


class Scores:
    """Metrics over a validation set. They follow from one confusion matrix, so memory does not grow with the set.

    Parameters
    ----------
    names : sequence of str
        Names of the classes, by id.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._classes = len(names)
        self._matrix = self._none()
        self._last: NDArray[np.int64] | None = None

    def _none(self) -> NDArray[np.int64]:
        return np.zeros((self._classes, self._classes + 1), np.int64)

    def __call__(self, batch: EvalPrediction, compute_result: bool) -> dict[str, float]:
        """Count one batch; after the last, return miou, accuracy and iou_ID of the classes in the truth."""
        truth, predicted = (array.cpu().numpy().astype(np.uint8) for array in (batch.label_ids, batch.predictions))
        self._matrix += confusion(truth, predicted, self._classes)
        if not compute_result:
            return {}
        metrics = measure(self._matrix)
        self._last, self._matrix = self._matrix, self._none()
        per_class = {f"iou_{index}": metrics.iou[index] for index in metrics.present}
        return {"miou": metrics.miou, "accuracy": metrics.accuracy, **per_class}

    def write(self, checkpoint: Path) -> None:
        """Write what was taken for what in the last validation into a checkpoint of the Trainer, which that judged."""
        if self._last is not None:
            write_text(checkpoint / CONFUSION, matrix_as_csv(self._last, self._names))


def history_rows(history: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """Return one row per validation from the Trainer's log history; None where an entry is missing.

    Parameters
    ----------
    history : sequence of mapping
        `log_history` of the state.
    names : sequence of str
        Names of the classes, by id.
    """
    losses = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    return [
        {
            "epoch": entry["epoch"], "step": entry["step"], "train_loss": losses.get(entry["step"]),
            "val_loss": entry.get("eval_loss"), "miou": entry["eval_miou"], "accuracy": entry.get("eval_accuracy"),
            **{f"iou_{name}": entry.get(f"eval_iou_{index}") for index, name in enumerate(names)},
        }
        for entry in history if "eval_miou" in entry
    ]  # fmt: skip


def publisher(out: Path, names: Sequence[str]) -> Callable[[list[Row]], None]:
    """Return what writes rows as a table and a picture into a folder, with a column for each class."""
    columns = (*_COLUMNS, *(f"iou_{name}" for name in names))

    def publish_curve(rows: list[Row]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(out / CURVE, text.getvalue())
        draw_learning_curve(rows, out / PICTURE)

    return publish_curve
