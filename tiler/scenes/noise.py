"""Noise and cells that repeat without a joint: what all textures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiler.scenes.shapes import Metres

Whole = NDArray[np.integer[Any]]

_SIDE = 1024
"""Side of a table, entries; a power of two."""
_FEATURE = 16
"""Size of a feature of the noise, entries."""
_CELL = 32
"""Size of a cell, entries."""
_JITTER = 0.8
"""Share of a cell within which its seed lies at random."""
_STEEPS = (1.2, 1.6, 2.2, 3.0)
"""How steep noise may be; each needs a table."""
_SALTS = (7919, 5413)


@cache
def _smooth(steep: float) -> Metres:
    """Return noise of mean 0 and deviation 1; the steeper, the fewer details within a feature."""
    white = np.fft.rfft2(np.random.default_rng(round(steep * 10)).standard_normal((_SIDE, _SIDE)))
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, np.newaxis], np.fft.rfftfreq(_SIDE)) * _FEATURE
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(white / (1 + frequency**steep), s=(_SIDE, _SIDE))
    scaled: Metres = (noise / noise.std()).astype(np.float32)
    return scaled


def texture(rows: Metres, cols: Metres, *, steep: float, salt: int, fine: bool) -> Metres:
    """Return noise of shape (n, m) at places given in features, shapes (n,) and (m,), both growing.

    Fine noise has cells no larger than a pixel, and needs no values between them.
    """
    down, right = (axis * _FEATURE + salt * step for axis, step in zip((rows, cols), _SALTS, strict=True))
    bank = _smooth(min(_STEEPS, key=lambda each: abs(each - steep)))
    if fine:
        nearest: Metres = bank[np.ix_(down.astype(np.int64) % _SIDE, right.astype(np.int64) % _SIDE)]
        return nearest
    lines = _between(bank[np.ix_(_span(down), _span(right))], down, 0)
    return _between(lines, right, 1)


def _span(places: Metres) -> Whole:
    return np.arange(int(places[0]), int(places[-1]) + 2) % _SIDE


def _between(bank: Metres, places: Metres, axis: int) -> Metres:
    """Return what a table that starts at the first place holds at every place along an axis."""
    before = places.astype(np.int64)
    share = (places - before).astype(np.float32)
    if axis == 0:
        share = share[:, np.newaxis]
    before -= before[0]
    mixed: Metres = bank.take(before, axis=axis) * (1 - share) + bank.take(before + 1, axis=axis) * share
    return mixed


@dataclass(frozen=True, slots=True)
class Cells:
    """What lies at each pixel in a ground of cells, such as pebbles or leaves; arrays of shape (n, m)."""

    places: Whole
    """Entries of the table."""

    @property
    def index(self) -> Whole:
        """Number of the cell, 0 to 1023."""
        return _cell_table()[0].take(self.places)

    @property
    def edge(self) -> Metres:
        """Distance to the next cell, in cells: 0 on the joint, about 0.5 in the middle."""
        return _cell_table()[1].take(self.places)

    @property
    def down(self) -> Metres:
        """How far the pixel lies below the middle of its cell, in cells."""
        return _cell_table()[2].take(self.places)

    @property
    def right(self) -> Metres:
        """How far it lies right of it."""
        return _cell_table()[3].take(self.places)


@cache
def _cell_table() -> tuple[Whole, Metres, Metres, Metres]:
    """Return index, edge, down and right of a square of 32 x 32 cells, each flat; edges meet those across."""
    count = _SIDE // _CELL
    random = np.random.default_rng(5)
    jitter = random.uniform(0.5 - _JITTER / 2, 0.5 + _JITTER / 2, (2, count, count)).astype(np.float32)
    axis = np.arange(_SIDE) // _CELL
    within = ((np.arange(_SIDE) % _CELL + 0.5) / _CELL).astype(np.float32)
    best = np.full((_SIDE, _SIDE), np.float32(9))
    second = best.copy()
    index, down, right = np.zeros((_SIDE, _SIDE), np.int16), np.zeros_like(best), np.zeros_like(best)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, cols = np.ix_((axis + dy) % count, (axis + dx) % count)
            y = within[:, np.newaxis] - dy - jitter[0][rows, cols]
            x = within - dx - jitter[1][rows, cols]
            distance = np.hypot(y, x)
            nearer = distance < best
            second = np.where(nearer, best, np.minimum(second, distance))
            best = np.where(nearer, distance, best)
            index = np.where(nearer, rows * count + cols, index)
            down, right = np.where(nearer, y, down), np.where(nearer, x, right)
    edge = (second - best) / 2
    flat = [table.astype(np.float32).ravel() for table in (edge, down, right)]
    return index.ravel().astype(np.int16), flat[0], flat[1], flat[2]


def cells(down: Metres, right: Metres) -> Cells:
    """Return the cells at places given in cells, float32 of shape (n, m)."""
    rows = (down * np.float32(_CELL)).astype(np.int32) & (_SIDE - 1)
    cols = (right * np.float32(_CELL)).astype(np.int32) & (_SIDE - 1)
    return Cells(rows * _SIDE + cols)


@cache
def _hash_table() -> Metres:
    table: Metres = np.random.default_rng(11).standard_normal(4096).astype(np.float32)
    return table


def by_chance(index: Whole, salt: int = 0) -> Metres:
    """Return a number of mean 0 and deviation 1 for each index, always the same for the same."""
    return _hash_table().take((index + salt * 977) & 4095)
