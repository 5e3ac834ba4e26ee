"""Blocks of a tile's shape in a mask: labels that change across the lines where tiles meet, and nowhere else so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.grid.seams import SeamBands
from tiler.grid.window import Window

LEAST_CHANGES = 2000
"""Fewer label changes than these say little: one edge of one thing is hundreds of them."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """How many labels change across the lines where tiles meet; sums of images are sums of their counts."""

    changes: int = 0
    """Neighbours with two labels, across the lines, in the bands around the lines."""
    expected: float = 0.0
    """How many there would be if tiles left no trace."""

    def __add__(self, other: Blocks) -> Blocks:
        return Blocks(self.changes + other.changes, self.expected + other.expected)

    @property
    def blockiness(self) -> float:
        """Changes over expected ones: 1 where no block can be seen. One more of each, so that a plain mask has 1."""
        return (self.changes + 1) / (self.expected + 1)

    @property
    def enough(self) -> bool:
        """Whether there are changes enough to trust the figure."""
        return max(self.changes, self.expected) >= LEAST_CHANGES


class BlockCounter:
    """Counts of label changes in one mask, from which `blocks` follow.

    A block has straight edges along the lines where tiles meet. So, in a band around such a line, labels change more
    often from one pixel to the next across the line than along it. How often they change along it tells how busy the
    picture is just there. How the two compare on all other lines of the same image tells which way its things lie:
    rows of crops have more edges of one direction. Both together say how many changes across the lines to expect:

        expected = changes along the line, in the band * changes across / changes along, elsewhere

    with all changes as shares of the neighbours that there are. Bands of rows and bands of columns are summed. The
    places where they cross are in neither, and not elsewhere: there both directions run across a line. Labels blended
    over an overlap do not all break on its middle, but near it; so the whole band counts.

    Parameters
    ----------
    bands : SeamBands
        Where tiles meet.
    """

    def __init__(self, bands: SeamBands) -> None:
        self._bands = bands
        self._above: NDArray[np.uint8] | None = None
        # by direction (0: from column to column, across lines of columns; 1: from row to row), by whether the row lies
        # in a band, by whether the column does
        self._pairs = np.zeros((2, 2, 2), np.int64)
        self._changes = np.zeros((2, 2, 2), np.int64)

    def add(self, labels: NDArray[np.uint8], window: Window) -> None:
        """Count the changes within the next full-width rows, and between the first of them and the row before."""
        rows, cols = self._bands.rows[window.slices[0]], self._bands.cols
        self._count(0, labels[:, :-1], labels[:, 1:], rows, cols[1:])
        if self._above is None:
            self._count(1, labels[:-1], labels[1:], rows[1:], cols)
        else:
            self._count(1, np.concatenate((self._above, labels[:-1])), labels, rows, cols)
        self._above = labels[-1:]

    def _count(
        self, way: int, before: NDArray[np.uint8], labels: NDArray[np.uint8], rows: NDArray[np.bool_],
        cols: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Count neighbours with labels, and those among them that differ; a pair lies where its second pixel lies."""
        pairs = (before != NO_LABEL) & (labels != NO_LABEL)
        changes = pairs & (before != labels)
        for found, sums in ((pairs, self._pairs[way]), (changes, self._changes[way])):
            for banded in (0, 1):
                by_col = np.count_nonzero(found[rows == banded], axis=0)
                sums[banded] += int(by_col[~cols].sum()), int(by_col[cols].sum())

    def blocks(self) -> Blocks:
        """Return what was counted so far."""
        across_cols = self._expected(across=0, along=1, band=(0, 1))
        across_rows = self._expected(across=1, along=0, band=(1, 0))
        return Blocks(int(self._changes[0, 0, 1] + self._changes[1, 1, 0]), across_cols + across_rows)

    def _expected(self, *, across: int, along: int, band: tuple[int, int]) -> float:
        """Return the expected changes across the lines of one direction."""
        if not self._pairs[across][band] or not self._pairs[along][band]:
            return 0.0
        # One change more each way, so that images without any have a ratio; it is lost among thousands.
        elsewhere = (self._changes[across, 0, 0] + 1) / max(self._pairs[across, 0, 0], 1)
        elsewhere /= (self._changes[along, 0, 0] + 1) / max(self._pairs[along, 0, 0], 1)
        share = self._changes[along][band] / self._pairs[along][band]
        return float(self._pairs[across][band] * share * elsewhere)
