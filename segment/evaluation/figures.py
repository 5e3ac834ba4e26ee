"""Pictures of how well a model does: the confusion matrix, the reliability diagram and the learning curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segment.evaluation.metrics import NO_LABEL_NAME
from segment.evaluation.reliability import Reliability
from tiler.files.atomic import replacing

_DPI = 130
_CELL_INCHES = 0.42, 0.8
"""Least and most side of a cell; between these bounds the longer side of the matrix is 10 inches."""
_MATRIX_INCHES = 36.0
"""Longest side of the matrix. With very many classes the cells shrink below their least side."""
_MOST_NUMBERED = 40
"""With more classes than these, numbers in the cells could not be read."""
_MOST_LETTERS = 28
_BLUE, _ORANGE, _GRAY = "#2563a8", "#d9822b", "#8a8f98"


def draw_confusion(matrix: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Write a picture of a confusion matrix: percentages of each true class, one row per class.

    Rows of classes that the truth lacks are hatched.

    Parameters
    ----------
    matrix : ndarray of int64, shape (C, C + 1)
        See `segment.evaluation.metrics.confusion`; the last column is drawn only where it counts anything.
    names : sequence of str
        One name per class.
    path : Path
        The PNG file; appears whole or not at all.
    """
    shown = matrix if matrix[:, -1].any() else matrix[:, :-1]
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(shown, sums, out=np.full(shown.shape, np.nan), where=sums > 0)
    cell = min(float(np.clip(10 / max(shown.shape), *_CELL_INCHES)), _MATRIX_INCHES / max(shown.shape))
    figure = Figure(figsize=(shown.shape[1] * cell + 3.6, shown.shape[0] * cell + 2.9), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("#f1f1f1")
    image = axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1)
    _name_cells(axes, [*map(_short, names), NO_LABEL_NAME][: shown.shape[1]], [*map(_short, names)], 26 * cell)
    for row in np.flatnonzero(sums == 0):
        axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor="#c8c8c8", hatch="////", linewidth=0)
    if len(names) <= _MOST_NUMBERED:
        _number_cells(axes, shares, min(18 * cell, 10))
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.set_ticklabels(["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=8)
    bar.outline.set_visible(False)
    figure.suptitle("Labels in % of each true class", fontsize=11)
    _save(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"


def _name_cells(axes: Axes, cols: Sequence[str], rows: Sequence[str], font_pt: float) -> None:
    """Write class names beside the cells. A dollar sign in a name is no mathematics."""
    font_pt = min(max(font_pt, 3), 9)
    axes.set_xticks(
        range(len(cols)), cols, rotation=55, ha="right", rotation_mode="anchor", fontsize=font_pt, parse_math=False
    )
    axes.set_yticks(range(len(rows)), rows, fontsize=font_pt, parse_math=False)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("truth", fontsize=10)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(cols) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def _number_cells(axes: Axes, shares: NDArray[np.float64], font_pt: float) -> None:
    """Write the percentages that round to at least 1 into their cells."""
    for (row, col), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.55 else "#26364a"
            axes.text(col, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=font_pt)


def draw_reliability(found: Reliability, path: Path) -> None:
    """Write a picture of what stated probabilities came to: a bar for each bin against the diagonal, and their number.

    Parameters
    ----------
    found : Reliability
        What was counted.
    path : Path
        The PNG file; appears whole or not at all.
    """
    figure = Figure(figsize=(6, 6.4), dpi=_DPI, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    least = min((each.least for each in found.bins), default=0.0)
    least = 0.5 if least >= 0.5 else 0.0
    places = [(each.least + each.below) / 2 for each in found.bins]
    widths = [0.94 * (each.below - each.least) for each in found.bins]
    top.bar(places, [each.accuracy for each in found.bins], widths, color=_BLUE, label="right")
    top.plot([each.confidence for each in found.bins], [each.confidence for each in found.bins], "o", color=_ORANGE,
             markersize=5, label="stated")  # fmt: skip
    top.plot([least, 1], [least, 1], color=_GRAY, linewidth=1, linestyle="--")
    top.set_ylim(0, 1)
    top.legend(frameon=False, fontsize=9, loc="upper left")
    top.set_ylabel("share of labels that are right", fontsize=9)
    top.set_title(f"Confidence: expected calibration error {100 * found.ece:.2f} %", fontsize=11)
    bottom.bar(places, [each.pixels / found.pixels for each in found.bins], widths, color=_GRAY)
    bottom.set_ylabel("share of labels", fontsize=9)
    bottom.set_xlabel("stated probability of the label against the second best class alone", fontsize=9)
    bottom.set_xlim(least, 1)
    for panel in (top, bottom):
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_learning_curve(rows: Sequence[Mapping[str, float | None]], path: Path) -> None:
    """Write a picture of how a training went: loss, mIoU and accuracy, each over its own range.

    Parameters
    ----------
    rows : sequence of mapping
        Any of the keys `epoch`, `step`, `train_loss`, `val_loss`, `miou`, `accuracy`; the scores
        are shares of 1. A value that is absent, None or nan is skipped. The rows are drawn over
        epochs if these increase from row to row, else over steps, else over their numbers from 1.
    path : Path
        The PNG file; appears whole or not at all.
    """
    axis, places = _places(rows)
    figure = Figure(figsize=(13, 4), dpi=_DPI, layout="constrained")
    losses, scores, accuracy = figure.subplots(1, 3, sharex=True)
    _draw_series(losses, places, rows, {"train_loss": ("training", _GRAY), "val_loss": ("validation", _BLUE)})
    _draw_series(scores, places, rows, {"miou": ("mIoU", _BLUE)}, factor=100)
    _draw_series(accuracy, places, rows, {"accuracy": ("accuracy", _GRAY)}, factor=100)
    losses.set_title("Loss", fontsize=11)
    scores.set_title("Validation: mIoU, %", fontsize=11)
    accuracy.set_title("Validation: accuracy, %", fontsize=11)
    for panel in (losses, scores, accuracy):
        panel.set_xlabel(axis, fontsize=9)
        panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#e6e6e6", linewidth=0.7)
        panel.set_axisbelow(True)
    losses.set_ylim(bottom=0)
    scores.set_ylim(0, _percent_above(rows, "miou"))
    accuracy.set_ylim(0, _percent_above(rows, "accuracy"))
    _mark_best(scores, places, rows)
    _save(figure, path)


def _percent_above(rows: Sequence[Mapping[str, float | None]], key: str) -> float:
    """Return where an axis of per cent ends, so that its curve fills most of it: a round number, 100 at most."""
    greatest = max((value for row in rows if (value := _value(row, key)) is not None), default=1.0)
    ends = (1, 2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80)
    return next((float(end) for end in ends if 100 * greatest <= 0.9 * end), 100.0)


def _places(rows: Sequence[Mapping[str, float | None]]) -> tuple[str, list[float]]:
    """Return what the rows are drawn over: its name, and one value per row."""
    for key in ("epoch", "step"):
        values = [value for row in rows if (value := _value(row, key)) is not None]
        if len(values) == len(rows) and all(a < b for a, b in pairwise(values)):
            return key, values
    return "evaluation", [float(number) for number in range(1, len(rows) + 1)]


def _value(row: Mapping[str, float | None], key: str) -> float | None:
    value = row.get(key)
    return None if value is None or math.isnan(value) else float(value)


def _points(places: Sequence[float], rows: Sequence[Mapping[str, float | None]], key: str) -> list[tuple[float, float]]:
    return [(at, value) for at, row in zip(places, rows, strict=True) if (value := _value(row, key)) is not None]


def _draw_series(
    axes: Axes,
    places: Sequence[float],
    rows: Sequence[Mapping[str, float | None]],
    series: Mapping[str, tuple[str, str]],
    *,
    factor: float = 1,
) -> None:
    for key, (label, colour) in series.items():
        if points := _points(places, rows, key):
            style: dict[str, Any] = {"color": colour, "label": label, "linewidth": 1.8}
            marker = "o" if len(points) <= 60 else ""
            axes.plot([at for at, _ in points], [factor * y for _, y in points], marker=marker, markersize=4, **style)
    if axes.lines:
        axes.legend(frameon=False, fontsize=9)
    else:
        axes.text(0.5, 0.5, "nothing measured", transform=axes.transAxes, ha="center", va="center", color=_GRAY)


def _mark_best(axes: Axes, places: Sequence[float], rows: Sequence[Mapping[str, float | None]]) -> None:
    points = _points(places, rows, "miou")
    if not points:
        return
    at, best = max(points, key=lambda point: point[1])
    axes.plot([at], [100 * best], "o", color=_ORANGE, markersize=7)
    axes.annotate(
        f"best {100 * best:.1f}",
        (at, 100 * best),
        xytext=(0, 9 if best < 0.0015 * axes.get_ylim()[1] else -16),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=_ORANGE,
    )


def _save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG under its final name, whole or not at all; no global state of matplotlib is touched."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
