"""Count which labels depend on where tiles lie, and what lines between tiles leave behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tiler.grid.tiles import LOGITS_STRIDE, Grid

Labels = NDArray[np.uint8]
Logits = NDArray[np.float32]
Shape = tuple[int, int]

EDGES = (0.1, 0.3, 0.6)
"""Where the ranges of confidence end."""
REACH_PX = 16
"""So near to the middle of an overlap a change of label counts as one at the line."""
HEAD = ("remedy", "tiles", "depends, % (error)", "by confidence", "lines", "cut, %", "accuracy, %", "mIoU, %", "pixels",
        "work", "core seconds")  # fmt: skip


def label(logits: Logits) -> tuple[Labels, NDArray[np.float32]]:
    """Return labels, and their confidence against the second best class, 0 to 1."""
    ranked = np.partition(logits, -2, axis=0)
    return logits.argmax(axis=0).astype(np.uint8), np.tanh((ranked[-1] - ranked[-2]) / 2)


@dataclass(slots=True)
class Tally:
    """What the images so far gave for one remedy."""

    classes: int
    """Number of classes."""
    each: list[float] = field(default_factory=list)
    """Per cent of labels that depend on the grid, image by image."""
    labels: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(EDGES) + 1))
    """How many labels, by range of confidence."""
    depend: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(EDGES) + 1))
    """How many of them depend on the grid, a mean over grids."""
    changes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    """Changes of label at lines, and at the same places under grids without a line there."""
    cut: list[float] = field(default_factory=list)
    """Per cent of labels that differ where the first rows and columns are cut off, image by image."""
    tiles: list[tuple[Shape, ...]] = field(default_factory=list)
    """The shape of each tile, image by image."""
    pixels: list[float] = field(default_factory=list)
    """Model pixels through the network for each of the image."""
    work: list[float] = field(default_factory=list)
    """The same with attention, in the work for a pixel without attention."""
    confusion: NDArray[np.int64] | None = None
    """Labels by true class and by predicted class."""

    def compare(self, labels: Labels, sure: NDArray[np.float32], others: Sequence[Labels]) -> None:
        """Count labels that differ between the plain grid and others."""
        ranges = np.digitize(sure, EDGES).ravel()
        differ = np.mean([labels != other for other in others], axis=0)
        self.each.append(100 * float(differ.mean()))
        self.labels += np.bincount(ranges, minlength=len(EDGES) + 1)
        self.depend += np.bincount(ranges, differ.ravel(), minlength=len(EDGES) + 1)

    def cross(self, first: Labels, grid: Grid, second: Labels, other: Grid) -> None:
        """Count changes of label at the lines of each of two grids, where the other has none."""
        for axis in (0, 1):
            at, there = (_near_lines(each, axis, first.shape[axis] - 1) for each in (grid, other))
            here, elsewhere = (np.diff(each.astype(np.int16), axis=axis) != 0 for each in (first, second))
            counts = [np.moveaxis(each, axis, 0).sum(axis=1) for each in (here, elsewhere)]
            for lines, mine, control in ((at & ~there, *counts), (there & ~at, *counts[::-1])):
                self.changes += int(mine[lines].sum()), int(control[lines].sum())

    def judge(self, labels: Labels, truth: Labels) -> None:
        """Count labels by their true class."""
        known = truth < self.classes
        pairs = truth[known].astype(int) * self.classes + labels[known]
        found = np.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)
        self.confusion = found if self.confusion is None else self.confusion + found

    def row(self, name: str, seconds: Mapping[Shape, float]) -> tuple[str, ...]:
        """Return a line of the table.

        Parameters
        ----------
        name : str
            Of the remedy.
        seconds : mapping
            Core seconds for a tile of each shape.
        """
        counts = sorted({len(tiles) for tiles in self.tiles})
        shares = 100 * self.depend / np.maximum(self.labels, 1)
        error = np.std(self.each, ddof=1) / np.sqrt(len(self.each)) if len(self.each) > 1 else float("nan")
        took = np.mean([sum(seconds[shape] for shape in tiles) for tiles in self.tiles])
        return (
            name, " to ".join(map(str, {counts[0], counts[-1]})), f"{np.mean(self.each):.2f} ({error:.2f})",
            " / ".join(f"{share:.1f}" for share in shares),
            f"{self.changes[0] / self.changes[1]:.2f}" if self.changes[1] else "",
            f"{np.mean(self.cut):.2f}" if self.cut else "",
            *self._scores(), f"{np.mean(self.pixels):.2f}", f"{np.mean(self.work):.2f}", f"{took:.2f}",
        )  # fmt: skip

    def _scores(self) -> tuple[str, str]:
        """Return accuracy and mean IoU over the classes that occur, per cent."""
        if self.confusion is None:
            return "", ""
        right, truth = np.diag(self.confusion), self.confusion.sum(axis=1)
        union = truth + self.confusion.sum(axis=0) - right
        occurs = truth > 0
        return f"{100 * right.sum() / truth.sum():.2f}", f"{100 * np.mean(right[occurs] / union[occurs]):.2f}"


def _near_lines(grid: Grid, axis: int, pairs: int) -> NDArray[np.bool_]:
    """Say which pairs of neighbouring cells along an axis lie near the middle of an overlap."""
    near = np.zeros(pairs, np.bool_)
    reach = REACH_PX // LOGITS_STRIDE
    for line in _lines(grid, axis):
        near[max(line - reach, 0) : line + reach] = True
    return near


def _lines(grid: Grid, axis: int) -> Iterator[int]:
    offs, side = (grid.row_offs, grid.col_offs)[axis], grid.tile_shape[axis]
    for before, after in pairwise(offs):
        yield (before + side + after) // 2 // LOGITS_STRIDE
