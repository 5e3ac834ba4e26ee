"""Kernels that label source rows and say how sure each label is, in one pass.

The labels are those of `tiler/stitch/labelling.py`. They are found in another way: the second best class counts too,
so fewer classes can be left out. The two files share no kernel, because kept machine code notices a change in its own
file alone. A test checks that both files state the same numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL
from tiler.kernel import compiled
from tiler.stitch.labelling import Floats, Labels

CERTAIN = 254
"""Confidence of a label whose runner-up has no chance; 0 is a tie."""

_LANES = 16
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_LEAST = np.float32(-np.inf)
# As in tiler/stitch/labelling.py: the lead that rounding cannot undo, relative and absolute.
_SLACK = np.float32(1e-6)
_TINY = np.float32(1e-36)
_FEW_SAMPLES = 96
# From a margin of 7 on, 254 tanh(m / 2) rounds to 254; in steps of 1/256 it grows by less than half a level.
STEPS = 256
"""Steps of `confidence_levels` per unit of margin."""
_GREATEST_MARGIN = 7


def confidence_levels() -> NDArray[np.uint8]:
    """Return `round(254 tanh(m / 2))` for margins `m` of 0 to 7 in steps of 1/256."""
    margin = np.arange(_GREATEST_MARGIN * STEPS + 1) / STEPS
    return np.round(CERTAIN * np.tanh(margin / 2)).astype(np.uint8)


@compiled
def rate_rows(
    logits: Floats, row_lower: NDArray[np.int64], row_fraction: Floats,
    starts: NDArray[np.int64], lefts: Floats, rights: Floats, levels: NDArray[np.uint8], steps: np.float32,
    labels: Labels, confidence: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill `labels` as `label_rows` does, bit for bit, and `confidence` beside it.

    Parameters
    ----------
    logits, row_lower, row_fraction, starts, lefts, rights, labels
        As for `label_rows`.
    levels : ndarray of uint8
        What `confidence_levels` returns.
    steps : float32
        Steps of `levels` per unit of margin: `STEPS / T`, where `T` is the temperature that logits are divided by.
    confidence : ndarray of uint8, shape (rows, width)
        Output; within one level of `round(254 tanh(m / 2))`, where `m` is the margin between the two greatest
        logits, divided by `T`. `tanh(m / 2)` equals `(p1 - p2) / (p1 + p2)` of their softmax probabilities. 254 where
        there is one class, 255 where there is no label.
    """
    classes, _, cells = logits.shape
    # As in label_rows, but `best` holds the second best value of each pixel too.
    corners = np.empty((9, classes + 1), np.float32)
    line, ids = np.empty((4, classes + 1), np.float32), np.empty((2, classes + 1), np.int32)
    best, label = np.empty((2, lefts.shape[1]), np.float32), np.empty(lefts.shape[1], np.int32)
    step = np.empty_like(label)
    start = 0
    while start < len(labels):
        row = row_lower[start]
        stop = start + 1
        while stop < len(labels) and row_lower[stop] == row:
            stop += 1
        for quad in range(cells - 1):
            if starts[quad] == starts[quad + 1]:
                continue
            if _missing(logits, row, quad):
                labels[start:stop, starts[quad] : starts[quad + 1]] = NO_LABEL
                confidence[start:stop, starts[quad] : starts[quad + 1]] = NO_LABEL
            else:
                _rate_quad(
                    logits, row, quad, start, stop, row_fraction, starts, lefts, rights, corners, line, ids, best,
                    label, step, levels, steps, labels, confidence,
                )  # fmt: skip
        start = stop


@compiled
def _missing(logits: Floats, row: int, quad: int) -> bool:
    """Say whether one of the four cells has no logits."""
    above = np.isnan(logits[0, row, quad]) or np.isnan(logits[0, row, quad + 1])
    return bool(above or np.isnan(logits[0, row + 1, quad]) or np.isnan(logits[0, row + 1, quad + 1]))


@compiled
def _rate_quad(
    logits: Floats, row: int, quad: int, start: int, stop: int, row_fraction: Floats,
    starts: NDArray[np.int64], lefts: Floats, rights: Floats, corners: Floats, line: Floats, ids: NDArray[np.int32],
    best: Floats, label: NDArray[np.int32], step: NDArray[np.int32], levels: NDArray[np.uint8], steps: np.float32,
    labels: Labels, confidence: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Label and rate the pixels of one quad in rows `start` to `stop`."""
    count = _candidates(logits, row, quad, corners, ids)
    few = count <= 3 or count * (starts[quad + 1] - starts[quad]) <= _FEW_SAMPLES
    for y in range(start, stop):
        below = row_fraction[y]
        above = _ONE - below
        for k in range(count):
            line[0, k] = corners[0, k] * above + corners[2, k] * below
            line[1, k] = corners[1, k] * above + corners[3, k] * below
        part, kept = (0, count) if few else (1, _prune(count, line, ids))
        if kept == 2:
            _better(part, quad, starts, lefts, rights, line, ids, best, label)
        else:
            _best_two(kept, part, quad, starts, lefts, rights, line, ids, best, label)
        _write(quad, y, starts, best, label, step, levels, steps, labels, confidence)


@compiled
def _candidates(logits: Floats, row: int, quad: int, corners: Floats, ids: NDArray[np.int32]) -> int:
    """Collect the classes whose greatest cell reaches the second greatest of the least cells; return how many."""
    first, second = _LEAST, _LEAST
    for c in range(logits.shape[0]):
        a, b = logits[c, row, quad], logits[c, row, quad + 1]
        d, e = logits[c, row + 1, quad], logits[c, row + 1, quad + 1]
        corners[4, c], corners[5, c], corners[6, c], corners[7, c] = a, b, d, e
        corners[8, c] = max(max(a, b), max(d, e))
        least = min(min(a, b), min(d, e))
        lower = least if least < first else first
        second = lower if lower > second else second
        first = least if least > first else first
    floor = second - _SLACK * abs(second) - _TINY
    count = 0
    for c in range(logits.shape[0]):
        ids[0, count] = c
        for corner in range(4):
            corners[corner, count] = corners[4 + corner, c]
        count += corners[8, c] >= floor
    return count


@compiled
def _prune(count: int, line: Floats, ids: NDArray[np.int32]) -> int:
    """Keep the candidates that may be among the two greatest somewhere in a row; return how many."""
    first, second = _LEAST, _LEAST
    for k in range(count):
        least = line[0, k] if line[0, k] < line[1, k] else line[1, k]
        lower = least if least < first else first
        second = lower if lower > second else second
        first = least if least > first else first
    floor = second - _SLACK * abs(second) - _TINY
    kept = 0
    for k in range(count):
        at_left, at_right = line[0, k], line[1, k]
        line[2, kept], line[3, kept], ids[1, kept] = at_left, at_right, ids[0, k]
        kept += (at_left >= floor) | (at_right >= floor)
    return kept


@compiled
def _write(
    quad: int, y: int, starts: NDArray[np.int64], best: Floats, label: NDArray[np.int32], step: NDArray[np.int32],
    levels: NDArray[np.uint8], steps: np.float32, labels: Labels, confidence: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write the labels of a row of one quad, and the levels of their margins."""
    first = starts[quad]
    width = starts[quad + 1] - first
    last = np.float32(len(levels) - 1)
    for x in range(_whole(width)):
        many = (best[0, x] - best[1, x]) * steps + _HALF
        step[x] = np.int32(many if many < last else last)
    for x in range(width):
        labels[y, first + x] = label[x]
        confidence[y, first + x] = levels[step[x]]


@compiled
def _whole(width: int) -> int:
    """Return how many pixels to compute, so that they fill whole vectors."""
    return 4 if width <= 4 else (width + _LANES - 1) // _LANES * _LANES


@compiled
def _better(
    part: int, quad: int, starts: NDArray[np.int64], lefts: Floats, rights: Floats,
    line: Floats, ids: NDArray[np.int32], best: Floats, label: NDArray[np.int32],
) -> None:  # fmt: skip
    """Find the better and the lesser of two candidates at each pixel of a row."""
    l0, r0, l1, r1 = line[2 * part, 0], line[2 * part + 1, 0], line[2 * part, 1], line[2 * part + 1, 1]
    id0, id1 = ids[part, 0], ids[part, 1]
    for x in range(_whole(starts[quad + 1] - starts[quad])):
        value0 = l0 * lefts[quad, x] + r0 * rights[quad, x]
        value1 = l1 * lefts[quad, x] + r1 * rights[quad, x]
        label[x] = id1 if value1 > value0 else id0
        best[0, x] = value1 if value1 > value0 else value0
        best[1, x] = value0 if value1 > value0 else value1


@compiled
def _best_two(
    count: int, part: int, quad: int, starts: NDArray[np.int64], lefts: Floats, rights: Floats,
    line: Floats, ids: NDArray[np.int32], best: Floats, label: NDArray[np.int32],
) -> None:  # fmt: skip
    """Find the two greatest candidates at each pixel of a row."""
    lanes = _whole(starts[quad + 1] - starts[quad])
    best[:, :lanes] = _LEAST
    label[:lanes] = ids[part, 0]
    for k in range(count):
        at_left, at_right = line[2 * part, k], line[2 * part + 1, k]
        candidate = ids[part, k]
        for x in range(lanes):
            value = at_left * lefts[quad, x] + at_right * rights[quad, x]
            lower = value if value < best[0, x] else best[0, x]
            best[1, x] = lower if lower > best[1, x] else best[1, x]
            label[x] = candidate if value > best[0, x] else label[x]
            best[0, x] = value if value > best[0, x] else best[0, x]
