"""Kernels that label source rows: bilinear sampling and argmax of the classes that can win.

Most classes cannot win at most pixels. Bilinear sampling weighs the four cells of a *quad* (two by two
neighbouring cells) by shares that are the same for every class, so a class that is below another in all four
cells is below it at every pixel between them. A class is left out only if it is below by more than rounding can
undo (`_SLACK`). So the labels are bit for bit those of sampling every class at every pixel and taking the first
greatest, ties included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.kernel import compiled

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

_LANES = 16
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_LEAST = np.float32(-np.inf)
# Sampling rounds four times, by at most 2^-24 each: a lead of 4.8e-7 of the leader cannot be lost.
_SLACK = np.float32(1e-6)
# Added to that lead, because the rounding of very small values is no longer relative.
_TINY = np.float32(1e-36)
_MIXED = np.int32(-1)
# Below this many samples (classes times pixels of a row) it is cheaper to evaluate than to prune.
_FEW_SAMPLES = 96


class Columns(NamedTuple):
    """Where the pixel columns of a source row lie on the logits grid."""

    starts: NDArray[np.int64]
    """First pixel column of each quad, shape (cells,); the last entry is the width."""
    left: Floats
    """Share of the left cell at pixel `starts[q] + i`, shape (cells - 1, widest quad rounded up to 16)."""
    right: Floats
    """Share of the right cell, likewise; 0 beyond the last pixel of the quad."""


def columns(lower: NDArray[np.int64], fraction: Floats, cells: int) -> Columns:
    """Return the pixel columns grouped by quad, from what `sample_points` returns for that axis."""
    starts = np.searchsorted(lower, np.arange(cells))
    padded = -(-int(np.diff(starts).max()) // _LANES) * _LANES
    right = np.zeros((cells - 1, padded), np.float32)
    right[lower, np.arange(len(lower)) - starts[lower]] = fraction
    return Columns(starts, _ONE - right, right)


@compiled
def label_rows(
    logits: Floats, row_lower: NDArray[np.int64], row_fraction: Floats,
    starts: NDArray[np.int64], lefts: Floats, rights: Floats, labels: Labels,
) -> None:  # fmt: skip
    """Fill `labels` (rows, width) with the class ids of some source rows.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
        A cell holds numbers for all classes or NaN for all.
    row_lower, row_fraction : ndarray, shape (rows,)
        As `sample_points` returns for the rows, counted from the first row of `logits`.
    starts, lefts, rights : ndarray
        The fields of `Columns`.
    labels : ndarray of uint8, shape (rows, width)
        Output; 255 where one of the four cells is NaN, the lower id in a tie.
    """
    classes, _, cells = logits.shape
    top, second = np.empty(cells, np.float32), np.empty(cells, np.float32)
    leader = np.empty(cells, np.int32)
    winner = np.empty((2, cells), np.int32)
    quads = np.empty(cells - 1, np.int32)
    # Rows 0 to 3: logits of the four cells for the candidates; 4 to 7: for all classes; 8: their greatest.
    corners = np.empty((9, classes + 1), np.float32)
    # Rows 0 and 1: the ends of a source row for the candidates; 2 and 3: for those not pruned. Their ids likewise.
    line, ids = np.empty((4, classes + 1), np.float32), np.empty((2, classes + 1), np.int32)
    best, label = np.empty(lefts.shape[1], np.float32), np.empty(lefts.shape[1], np.int32)
    start = 0
    known = np.int64(-1)
    while start < len(labels):
        row = row_lower[start]
        stop = start + 1
        while stop < len(labels) and row_lower[stop] == row:
            stop += 1
        if known != row:
            _winners(logits, row, top, second, leader, winner[row % 2])
        known = row + 1
        _winners(logits, known, top, second, leader, winner[known % 2])
        _settle(winner, quads)
        _fill(quads, starts, labels, start, stop)
        for quad in range(cells - 1):
            if quads[quad] == _MIXED and starts[quad] < starts[quad + 1]:
                _label_quad(
                    logits, row, quad, start, stop, row_fraction, starts, lefts, rights, corners, line, ids, best,
                    label, labels,
                )  # fmt: skip
        start = stop


@compiled
def _winners(
    logits: Floats, row: int, best: Floats, second: Floats, leader: NDArray[np.int32], winner: NDArray[np.int32]
) -> None:
    """Find the class that is clearly the greatest in each cell of a row; 255 for NaN, -1 if none is clearly so."""
    cells = len(winner)
    for x in range(cells):
        best[x], second[x], leader[x] = _LEAST, _LEAST, NO_LABEL
    for c in range(logits.shape[0]):
        values, label = logits[c, row], np.int32(c)
        for x in range(cells):
            value, top, next_top = values[x], best[x], second[x]
            lower = value if value < top else top
            second[x] = lower if lower > next_top else next_top
            leader[x] = label if value > top else leader[x]
            best[x] = value if value > top else top
    for x in range(cells):
        clear = best[x] - second[x] > _SLACK * abs(best[x]) + _TINY
        winner[x] = leader[x] if clear or leader[x] == NO_LABEL else _MIXED


@compiled
def _settle(winner: NDArray[np.int32], quads: NDArray[np.int32]) -> None:
    """Say for each quad the class that wins all its cells, 255 if one is NaN, else -1."""
    for q in range(len(quads)):
        a, b, c, d = winner[0, q], winner[0, q + 1], winner[1, q], winner[1, q + 1]
        missing = (a == NO_LABEL) | (b == NO_LABEL) | (c == NO_LABEL) | (d == NO_LABEL)
        one = a if (a == b) & (c == d) & (a == c) else _MIXED
        quads[q] = NO_LABEL if missing else one


@compiled
def _fill(quads: NDArray[np.int32], starts: NDArray[np.int64], labels: Labels, start: int, stop: int) -> None:
    """Write the settled quads into rows `start` to `stop`; the mixed ones are written over later."""
    first = labels[start]
    for q in range(len(quads)):
        label = np.uint8(quads[q])
        for x in range(starts[q], starts[q + 1]):
            first[x] = label
    for y in range(start + 1, stop):
        labels[y] = first


@compiled
def _label_quad(
    logits: Floats, row: int, quad: int, start: int, stop: int, row_fraction: Floats,
    starts: NDArray[np.int64], lefts: Floats, rights: Floats, corners: Floats, line: Floats, ids: NDArray[np.int32],
    best: Floats, label: NDArray[np.int32], labels: Labels,
) -> None:  # fmt: skip
    """Label the pixels of one quad in rows `start` to `stop`."""
    count = _candidates(logits, row, quad, corners, ids)
    few = count <= 3 or count * (starts[quad + 1] - starts[quad]) <= _FEW_SAMPLES
    slack = _SLACK * _greatest(count, corners) + _TINY
    first = starts[quad]
    width = starts[quad + 1] - first
    for y in range(start, stop):
        below = row_fraction[y]
        above = _ONE - below
        for k in range(count):
            line[0, k] = corners[0, k] * above + corners[2, k] * below
            line[1, k] = corners[1, k] * above + corners[3, k] * below
        part, kept = 0, count
        if not few:
            part, kept = 1, _prune(count, line, ids, slack)
        if kept == 1:
            for x in range(first, first + width):
                labels[y, x] = ids[part, 0]
        elif kept == 2:
            _better(
                line[2 * part, 0], line[2 * part + 1, 0], line[2 * part, 1], line[2 * part + 1, 1],
                ids[part, 0], ids[part, 1], quad, lefts, rights, labels, y, first, width,
            )  # fmt: skip
        else:
            _argmax(kept, part, quad, lefts, rights, line, ids, best, label, labels, y, first, width)


@compiled
def _greatest(count: int, corners: Floats) -> np.float32:
    """Return the greatest magnitude of the candidates' logits."""
    greatest = np.float32(0)
    for corner in range(4):
        for k in range(count):
            greatest = max(greatest, abs(corners[corner, k]))
    return greatest


@compiled
def _candidates(logits: Floats, row: int, quad: int, corners: Floats, ids: NDArray[np.int32]) -> int:
    """Collect the classes whose greatest cell reaches the least cell of every other; return how many."""
    floor = _LEAST
    for c in range(logits.shape[0]):
        a, b = logits[c, row, quad], logits[c, row, quad + 1]
        d, e = logits[c, row + 1, quad], logits[c, row + 1, quad + 1]
        corners[4, c], corners[5, c], corners[6, c], corners[7, c] = a, b, d, e
        corners[8, c] = max(max(a, b), max(d, e))
        least = min(min(a, b), min(d, e))
        floor = least if least > floor else floor
    floor -= _SLACK * abs(floor) + _TINY
    count = 0
    for c in range(logits.shape[0]):
        ids[0, count] = c
        for corner in range(4):
            corners[corner, count] = corners[4 + corner, c]
        count += corners[8, c] >= floor
    return count


@compiled
def _prune(count: int, line: Floats, ids: NDArray[np.int32], slack: np.float32) -> int:
    """Keep the candidates that may win somewhere between the ends of a row; return how many.

    Let `a` be the greatest at the left end and `b` the greatest at the right end. Take a class that is below both
    at one point between. It is below `a` at that point and at the left end, and so at every point from one to the
    other. Likewise it is below `b` from that point to the right end. The point where `a` and `b` cross prunes most.
    """
    a, b = 0, 0
    for k in range(1, count):
        a = k if line[0, k] > line[0, a] else a
        b = k if line[1, k] > line[1, b] else b
    lead_left, lead_right = line[0, a] - line[0, b], line[1, b] - line[1, a]
    right = lead_left / (lead_left + lead_right) if lead_left + lead_right > 0 else _HALF
    left = _ONE - right
    crossing = min(line[0, a] * left + line[1, a] * right, line[0, b] * left + line[1, b] * right) - slack
    left_most, right_most = line[0, a] - slack, line[1, b] - slack
    kept = 0
    for k in range(count):
        at_left, at_right = line[0, k], line[1, k]
        line[2, kept], line[3, kept], ids[1, kept] = at_left, at_right, ids[0, k]
        below = at_left * left + at_right * right < crossing
        kept += not (below & (at_left < left_most) & (at_right < right_most))
    return kept


@compiled
def _better(
    left0: np.float32, right0: np.float32, left1: np.float32, right1: np.float32, id0: np.int32, id1: np.int32,
    quad: int, lefts: Floats, rights: Floats, labels: Labels, y: int, first: int, width: int,
) -> None:  # fmt: skip
    """Label the pixels of row `y` that lie in one quad by the better of two candidates."""
    for x in range(width):
        value0 = left0 * lefts[quad, x] + right0 * rights[quad, x]
        value1 = left1 * lefts[quad, x] + right1 * rights[quad, x]
        labels[y, first + x] = id1 if value1 > value0 else id0


@compiled
def _argmax(
    count: int, part: int, quad: int, lefts: Floats, rights: Floats, line: Floats, ids: NDArray[np.int32],
    best: Floats, label: NDArray[np.int32], labels: Labels, y: int, first: int, width: int,
) -> None:  # fmt: skip
    """Label the pixels of row `y` that lie in one quad by the best of the candidates, whole vectors at a time."""
    lanes = 4 if width <= 4 else (width + _LANES - 1) // _LANES * _LANES
    at_left, at_right, candidate = line[2 * part, 0], line[2 * part + 1, 0], ids[part, 0]
    for x in range(lanes):
        best[x] = at_left * lefts[quad, x] + at_right * rights[quad, x]
        label[x] = candidate
    for k in range(1, count):
        at_left, at_right, candidate = line[2 * part, k], line[2 * part + 1, k], ids[part, k]
        for x in range(lanes):
            value = at_left * lefts[quad, x] + at_right * rights[quad, x]
            label[x] = candidate if value > best[x] else label[x]
            best[x] = value if value > best[x] else best[x]
    for x in range(width):
        labels[y, first + x] = label[x]
