"""The ground that the crops of one image hold together: any window of it, read from their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.training.crop_files import read_window
from tiler.classes import NO_LABEL
from tiler.grid.window import Window

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Piece:
    """One crop, and what it holds of the image that it was cut from."""

    image: Path
    """8-bit, square."""
    mask: Path
    """Class ids, 255 = no label; of the size of the image."""
    window: Window
    """Source pixels; beyond them the files are padded."""
    side: int
    """Side of the files, source pixels."""


class Ground:
    """What the crops of one image hold together.

    Parameters
    ----------
    pieces : sequence of Piece
        One at least. Where they overlap, the last one is read.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = tuple(pieces)
        windows = [piece.window for piece in pieces]
        self._starts = np.array([(each.row_off, each.col_off) for each in windows])
        self._stops = np.array([(each.row_stop, each.col_stop) for each in windows])
        (top, left), (bottom, right) = self._starts.min(axis=0).tolist(), self._stops.max(axis=0).tolist()
        self.bounds = Window(top, left, bottom - top, right - left)

    def holds(self, window: Window) -> bool:
        """Return whether every pixel of a window, as far as it lies within the bounds, is in a crop."""
        inside = _common(window, self.bounds)
        if inside is None:
            return True
        near = [piece.window for piece in self._near(inside)]
        # A gap has a corner that is the first of the window, or the first after a crop, by row and by column.
        rows = {inside.row_off, *(each.row_stop for each in near if each.row_stop < inside.row_stop)}
        cols = {inside.col_off, *(each.col_stop for each in near if each.col_stop < inside.col_stop)}
        return all(any(_has(each, row, col) for each in near) for row in rows for col in cols)

    def read(self, window: Window, classes: int) -> tuple[Pixels, Pixels]:
        """Return the pixels and the labels of a window, mirrored beyond the bounds.

        Parameters
        ----------
        window : Window
            Source pixels; may reach beyond the bounds, and begin before 0. It must be one that the ground `holds`.
        classes : int
            Number of classes.

        Returns
        -------
        ndarray of uint8, shape (3, height, width)
            Red, green, blue.
        ndarray of uint8, shape (height, width)
            Class ids, 255 = no label. Mirrored pixels keep their labels.

        Raises
        ------
        RasterReadError, TrainError
            See `read_window`.
        """
        rows = reflected(window.row_off, window.row_stop, self.bounds.row_off, self.bounds.row_stop)
        cols = reflected(window.col_off, window.col_stop, self.bounds.col_off, self.bounds.col_stop)
        top, left = int(rows.min()), int(cols.min())
        inside = Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)
        pixels = np.zeros((3, inside.height, inside.width), np.uint8)
        labels = np.full((inside.height, inside.width), NO_LABEL, np.uint8)
        for piece in self._near(inside):
            common = _common(piece.window, inside)
            assert common is not None
            part, place = _within(common, piece.window), _within(common, inside).slices
            pixels[:, *place], labels[place] = read_window(piece.image, piece.mask, part, classes)
        if inside == window:
            return pixels, labels
        rows, cols = rows - top, cols - left
        return pixels[:, rows[:, np.newaxis], cols], labels[rows[:, np.newaxis], cols]

    def _near(self, window: Window) -> list[Piece]:
        """Return the crops that share a pixel with a window."""
        starts = self._starts < (window.row_stop, window.col_stop)
        stops = self._stops > (window.row_off, window.col_off)
        return [self._pieces[index] for index in np.flatnonzero((starts & stops).all(axis=1))]


def reflected(start: int, stop: int, low: int, high: int) -> NDArray[np.int64]:
    """Return the places `start` to `stop`, of which those outside of `low` to `high` are mirrored, as often as needed.

    The first and the last place within are the mirrors, so neither is shown twice in a row.
    """
    length = high - low
    if length == 1:
        return np.full(stop - start, low)
    along = (np.arange(start, stop) - low) % (2 * length - 2)
    return low + np.minimum(along, 2 * length - 2 - along)


def _common(one: Window, other: Window) -> Window | None:
    """Return the pixels of both windows; None where there is none."""
    top, left = max(one.row_off, other.row_off), max(one.col_off, other.col_off)
    height, width = min(one.row_stop, other.row_stop) - top, min(one.col_stop, other.col_stop) - left
    return Window(top, left, height, width) if height > 0 and width > 0 else None


def _within(window: Window, outer: Window) -> Window:
    """Return a window as it lies in another one, whose first pixel is (0, 0)."""
    return Window(window.row_off - outer.row_off, window.col_off - outer.col_off, window.height, window.width)


def _has(window: Window, row: int, col: int) -> bool:
    return window.row_off <= row < window.row_stop and window.col_off <= col < window.col_stop
