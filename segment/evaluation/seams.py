"""Where the tiles of a mask met: the zone around those lines, and labels that break across them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.grid.seams import seam_bands, seam_lines
from tiler.grid.tiles import Grid
from tiler.grid.window import Window


@dataclass(frozen=True, slots=True)
class Breaks:
    """Pairs of neighbouring pixels of one true class, and how many of them were given two labels."""

    pairs: int = 0
    """Neighbours with one true label."""
    broken: int = 0
    """Those among them whose predicted labels differ."""

    def __add__(self, other: Breaks) -> Breaks:
        return Breaks(self.pairs + other.pairs, self.broken + other.broken)

    @property
    def share(self) -> float:
        """Share of the pairs that are broken; nan if there are no pairs."""
        return self.broken / self.pairs if self.pairs else math.nan


def count_breaks(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], lines: NDArray[np.bool_]
) -> tuple[Breaks, Breaks]:
    """Return how many neighbours within rows of pixels are broken, across the lines and elsewhere.

    Parameters
    ----------
    truth, predicted : ndarray of uint8, shape (n, m)
        Class ids; 255 = no label.
    lines : ndarray of bool, shape (m,)
        True for the first column beyond a line.

    Returns
    -------
    across, elsewhere : Breaks
        Counts of neighbours in a row that have a line between them, and of all other neighbours in a row.
    """
    together = (truth[:, 1:] == truth[:, :-1]) & (truth[:, 1:] != NO_LABEL)
    broken = together & (predicted[:, 1:] != predicted[:, :-1])
    pairs, breaks = (np.count_nonzero(which, axis=0) for which in (together, broken))
    across, elsewhere = (Breaks(int(pairs[at].sum()), int(breaks[at].sum())) for at in (lines[1:], ~lines[1:]))
    return across, elsewhere


class Seams:
    """Where the tiles of one mask met, and how often labels break there.

    Parameters
    ----------
    grid : Grid
        The tiles of the mask.
    width_px : int or None
        Width of the seam zone, model pixels; None: where tiles overlap, see `seam_bands`.
    """

    def __init__(self, grid: Grid, width_px: int | None) -> None:
        axes = tuple(
            zip((grid.row_offs, grid.col_offs), grid.tile_shape, grid.model_shape, grid.source_shape, strict=True)
        )
        self._rows, self._cols = (
            seam_bands(offsets, tile, model, source, width_px=width_px) for offsets, tile, model, source in axes
        )
        self._row_lines, self._col_lines = (
            seam_lines(offsets, tile, model, source) for offsets, tile, model, source in axes
        )
        self._above: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self.line_breaks = Breaks()
        """Counts of the neighbours so far that have a line between them."""
        self.other_breaks = Breaks()
        """Counts of all other neighbours so far."""

    def zone(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of full-width rows lie in the seam zone."""
        inside: NDArray[np.bool_] = self._rows[window.slices[0], np.newaxis] | self._cols
        return inside

    def count_breaks(self, truth: NDArray[np.uint8], labels: NDArray[np.uint8], window: Window) -> None:
        """Count the breaks within the next full-width rows, and between the first of them and the row before."""
        self._add(count_breaks(truth, labels, self._col_lines))
        lines = self._row_lines[window.slices[0]]
        down = [truth, labels]
        if self._above is not None:
            down = [np.concatenate((last, rows)) for last, rows in zip(self._above, down, strict=True)]
            lines = np.concatenate(([False], lines))
        self._add(count_breaks(down[0].T, down[1].T, lines))
        self._above = truth[-1:], labels[-1:]

    def _add(self, found: tuple[Breaks, Breaks]) -> None:
        self.line_breaks += found[0]
        self.other_breaks += found[1]
