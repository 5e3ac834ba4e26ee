"""How well labels agree with the truth: counts, and the scores that follow from them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment.errors import EvaluateError
from tiler.classes import NO_LABEL

NO_LABEL_NAME = "no label"
"""Heads the column of pixels without a predicted class."""
_CORNER = "truth / predicted"
PER_CLASS = ("iou", "f1", "precision", "recall")
"""The scores that each class has, in the order of tables."""


def confusion(
    truth: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    classes: int,
    *,
    sides: tuple[str, str] = ("truth", "prediction"),
) -> NDArray[np.int64]:
    """Return how often each true class was given each label.

    Parameters
    ----------
    truth, predicted : ndarray of uint8
        Class ids of one shape; 255 = no label. A pixel without a true label is not counted.
    classes : int
        Number of classes, 1 to 255.
    sides : tuple of str
        What the two are called where an id is wrong.

    Returns
    -------
    ndarray of int64, shape (classes, classes + 1)
        Pixels by true class (row) and predicted class (column). The last column counts pixels that have a true label
        and no predicted one. The counts of an image are the sum of the counts of its parts.

    Raises
    ------
    EvaluateError
        If the shapes differ, or a label is neither a class id nor 255.
    """
    if truth.shape != predicted.shape:
        raise EvaluateError(
            f"{sides[0]} of shape {truth.shape} but {sides[1]} of shape {predicted.shape}; expected one shape"
        )
    pairs = truth.astype(np.uint16) << 8 | predicted
    counts = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256).astype(np.int64, copy=False)
    for what, pixels in zip(sides, (counts.sum(axis=1), counts.sum(axis=0)), strict=True):
        if (unknown := np.flatnonzero(pixels[classes:NO_LABEL])).size:
            raise EvaluateError(f"the {what} has class id {classes + unknown[0]}; expected 0 to {classes - 1}, or 255")
    return np.column_stack((counts[:classes, :classes], counts[:classes, NO_LABEL]))


def matrix_as_csv(matrix: NDArray[np.int64], names: Sequence[str]) -> str:
    """Return a confusion matrix, see `confusion`, as a table: a row for each true class; pixels by predicted class.

    `matrix_from_csv` is the inverse.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((_CORNER, *names, NO_LABEL_NAME))
    writer.writerows((name, *counts) for name, counts in zip(names, matrix.tolist(), strict=True))
    return text.getvalue()


def matrix_from_csv(text: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes and the confusion matrix that a table holds.

    Raises
    ------
    ValueError
        If the table is not as `matrix_as_csv` writes it.
    """
    table = list(csv.reader(io.StringIO(text)))
    head, rows = table[:1], table[1:]
    names = tuple(name for name, *_ in rows)
    if not names or head != [[_CORNER, *names, NO_LABEL_NAME]] or any(len(row) != len(head[0]) for row in rows):
        raise ValueError("no table of a confusion matrix")
    matrix = np.array([[int(count) for count in counts] for _, *counts in rows], np.int64)
    if matrix.min() < 0:
        raise ValueError("a count of pixels below 0")
    return names, matrix


@dataclass(frozen=True, slots=True)
class Metrics:
    """The scores of one confusion matrix; nan where a score is undefined.

    The formulas below count the pixels of a class. TP (true positives) have this class in the truth and in the
    prediction. FP (false positives) have it in the prediction alone. FN (false negatives) have it in the truth alone;
    the prediction gives them another class or none.
    """

    iou: tuple[float, ...]
    """Intersection over union per class, TP / (TP + FP + FN) (Everingham et al., The PASCAL Visual
    Object Classes Challenge, IJCV 88, 2010); nan for a class in neither truth nor prediction."""
    f1: tuple[float, ...]
    """2 TP / (2 TP + FP + FN) per class; nan as for `iou`."""
    precision: tuple[float, ...]
    """TP / (TP + FP) per class; nan for a class never predicted."""
    recall: tuple[float, ...]
    """TP / (TP + FN) per class; nan for a class not in the truth."""
    support: tuple[int, ...]
    """Pixels of the truth per class."""
    miou: float
    """Mean of `iou` over the classes that are present in the truth. Everingham and Long average over all classes
    instead, also over those that the images do not show."""
    accuracy: float
    """Share of pixels that were labelled right."""
    fwiou: float
    """Mean of `iou` weighted by support (Long, Shelhamer and Darrell, Fully Convolutional Networks
    for Semantic Segmentation, CVPR 2015)."""
    majority_miou: float
    """`miou` of a prediction that gives every pixel the most frequent class of the truth."""
    majority_accuracy: float
    """`accuracy` of the same prediction."""

    @property
    def pixels(self) -> int:
        """Number of pixels that have a true label."""
        return sum(self.support)

    @property
    def present(self) -> tuple[int, ...]:
        """Ids of the classes present in the truth."""
        return tuple(index for index, support in enumerate(self.support) if support)

    def miou_over(self, classes: Sequence[int]) -> float:
        """Return the mean of `iou` over the given classes; nan for none."""
        return math.fsum(self.iou[index] for index in classes) / len(classes) if classes else math.nan


def measure(matrix: NDArray[np.int64]) -> Metrics:
    """Return the scores of a confusion matrix, see `confusion`."""
    classes = len(matrix)
    right = matrix.diagonal().astype(np.float64)
    support = matrix.sum(axis=1)
    labelled = matrix[:, :classes].sum(axis=0)
    total = support.sum()
    iou = _ratio(right, support + labelled - right)
    present = support > 0
    majority = _share(support.max(), total)
    return Metrics(
        iou=tuple(iou.tolist()),
        f1=tuple(_ratio(2 * right, support + labelled).tolist()),
        precision=tuple(_ratio(right, labelled).tolist()),
        recall=tuple(_ratio(right, support).tolist()),
        support=tuple(support.tolist()),
        miou=_share(iou[present].sum(), present.sum()),
        accuracy=_share(right.sum(), total),
        fwiou=_share((support[present] * iou[present]).sum(), total),
        majority_miou=_share(majority, present.sum()),
        majority_accuracy=majority,
    )


@dataclass(frozen=True, slots=True)
class Gain:
    """Two scores, without a change and with it."""

    miou_before: float
    """Mean IoU over the classes that truth shows, without it; 0 to 1."""
    miou_after: float
    """The same with it."""
    accuracy_before: float
    """Share of right labels without it."""
    accuracy_after: float
    """The same with it."""

    @classmethod
    def between(cls, before: Metrics, after: Metrics) -> Gain:
        """Return the scores of two measurements."""
        return cls(before.miou, after.miou, before.accuracy, after.accuracy)

    @property
    def total(self) -> float:
        """By how much the sum of both scores is higher with it."""
        return (self.miou_after + self.accuracy_after) - (self.miou_before + self.accuracy_before)

    def __str__(self) -> str:
        miou = f"mIoU goes from {percent(self.miou_before)} to {percent(self.miou_after)} %"
        return f"{miou}, accuracy from {percent(self.accuracy_before)} to {percent(self.accuracy_after)} %"

    @property
    def entry(self) -> dict[str, float]:
        """The scores, as the config of a checkpoint holds them."""
        return {name: round(score, 5) for name, score in asdict(self).items()}


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; nan where the whole is 0."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def metrics_as_dict(metrics: Metrics, names: Sequence[str]) -> dict[str, Any]:
    """Return scores as JSON-able values, shares of 1; None where undefined."""
    return {
        "miou": or_none(metrics.miou),
        "classes_present": len(metrics.present),
        "accuracy": or_none(metrics.accuracy),
        "fwiou": or_none(metrics.fwiou),
        "majority_miou": or_none(metrics.majority_miou),
        "majority_accuracy": or_none(metrics.majority_accuracy),
        "pixels": metrics.pixels,
        "classes": class_rows(metrics, names),
    }


def class_rows(metrics: Metrics, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one dict per class: id, name, scores (None where undefined) and support."""
    return [
        {
            "id": index,
            "name": name,
            **{score: or_none(getattr(metrics, score)[index]) for score in PER_CLASS},
            "support": metrics.support[index],
        }
        for index, name in enumerate(names)
    ]


def metrics_as_lines(metrics: Metrics, names: Sequence[str]) -> list[str]:
    """Return scores in percent as a table, then the summary; `-` where undefined."""
    wide = max(len("class"), *map(len, names))
    lines = [f"{'class':{wide}}  {'IoU':>6} {'F1':>6} {'prec.':>6} {'recall':>6} {'pixels':>13}"]
    for row in class_rows(metrics, names):
        scores = " ".join(f"{percent(row[score]):>6}" for score in PER_CLASS)
        lines.append(f"{row['name']:{wide}}  {scores} {row['support']:13,}")
    return [
        *lines,
        f"mIoU      {percent(metrics.miou)} % over {len(metrics.present)} classes present in the truth"
        f" (most frequent class everywhere: {percent(metrics.majority_miou)} %)",
        f"accuracy  {percent(metrics.accuracy)} % of {metrics.pixels:,} pixels"
        f" (most frequent class everywhere: {percent(metrics.majority_accuracy)} %)",
        f"fwIoU     {percent(metrics.fwiou)} %, classes weighted by their pixels",
    ]


def percent(share: float | None) -> str:
    """Return a share of 1 as a percentage with two decimals, `-` for none."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.2f}"


def or_none(score: float) -> float | None:
    """Return a score as JSON can hold it: None for nan."""
    return None if math.isnan(score) else score
