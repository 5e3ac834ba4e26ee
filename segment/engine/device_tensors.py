"""Blend and label by tensor operations: on any device, and the judge of the kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from segment.engine.device_arithmetic import Axis
from tiler.classes import NO_LABEL
from tiler.stitch.confidence import CERTAIN

_BYTES = 192 * 2**20
"""Most bytes of device memory that labelling some rows takes at one time, beside the sums."""
_PIXEL_BYTES = 48
"""Bytes of a pixel beside its logits: winners so far, winners among the next classes, and their merging."""
_CLASSES_AT_ONCE = 32


class Tensors:
    """Arithmetic by tensor operations; see `Arithmetic`. Some rows and classes are labelled at a time."""

    name = "tensor operations"

    @torch.inference_mode()
    def blend(self, sums: Tensor, logits: Tensor, weights: Tensor, unusable: Tensor, *, counter: int) -> None:
        """Add one tile."""
        weighted = logits.float() * weights
        # x - x is 0 unless x is NaN or infinite, and NaN counts as non-zero
        unusable[counter].add_(torch.count_nonzero(weighted - weighted))
        sums[:-1].add_(weighted)  # `+=` on an index would copy the sum to its own place afterwards
        sums[-1].add_(weights)

    @torch.inference_mode()
    def label(
        self, sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, *, top: int, first: int, temperature: float = 1.0
    ) -> None:
        """Fill the masks of some source rows."""
        step = _rows_at_once(len(sums) - 1, masks.shape[2], sums.shape[2])
        for start in range(0, masks.shape[1], step):
            part = masks[:, start : start + step]
            lower, fraction = (axis[first + start :][: part.shape[1]] for axis in rows)
            _label_rows(sums, (lower - top, fraction.unsqueeze(1)), cols, part, temperature)


def _label_rows(sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, temperature: float) -> None:
    (planes, _, width), classes = masks.shape, len(sums) - 1
    step = _classes_at_once(classes, width, sums.shape[2])
    chunks = (slice(start, min(start + step, classes)) for start in range(0, classes, step))
    best = reduce(
        _merged,
        (_best_of(_sampled(sums, ids, rows, cols), first=ids.start, runner_up=planes == 2) for ids in chunks),
    )
    _fill(masks, best, temperature)


def _rows_at_once(classes: int, width: int, cells: int) -> int:
    """Return how many rows fit with so many classes."""
    at_once = _classes_at_once(classes, width, cells)
    return max(_BYTES // (_PIXEL_BYTES * width + _logit_bytes(width, cells) * at_once), 1)


def _logit_bytes(width: int, cells: int) -> int:
    """Return the bytes of one logit of a row: the left cells and the steps to the right ones, on both axes."""
    return 8 * (width + cells)


def _classes_at_once(classes: int, width: int, cells: int) -> int:
    """Return of how many classes one row fits."""
    fitting = (_BYTES - _PIXEL_BYTES * width) // _logit_bytes(width, cells)
    return max(min(classes, _CLASSES_AT_ONCE, fitting), 1)


def _sampled(sums: Tensor, ids: slice, rows: Axis, cols: Axis) -> Tensor:
    """Return the blended logits of some classes at every pixel of some rows; NaN where a cell has no weight."""
    lower, fraction = rows
    above = sums[ids].index_select(1, lower).div_(sums[-1].index_select(0, lower))  # 0 / 0 is NaN
    below = sums[ids].index_select(1, lower + 1).div_(sums[-1].index_select(0, lower + 1))
    return _interpolated(above.addcmul_(below.sub_(above), fraction), *cols)


def _interpolated(values: Tensor, lower: Tensor, fraction: Tensor) -> Tensor:
    """Sample columns linearly between the cells `lower` and `lower + 1`."""
    sampled = values.index_select(2, lower)
    # Differences are taken where there are fewer values: before the axis grows.
    return sampled.addcmul_(values.diff(dim=2).index_select(2, lower), fraction)


@dataclass(frozen=True, slots=True)
class _Best:
    """The winners among some classes; every array of shape (rows, width)."""

    value: Tensor
    """Largest logit; NaN where there is none."""
    label: Tensor
    """Its class, uint8; the lowest of those that tie."""
    second: Tensor | None
    """Largest logit of another class, minus infinity where there is no other; None unless asked for."""


def _best_of(logits: Tensor, *, first: int, runner_up: bool) -> _Best:
    """Return the winners among consecutive classes from `first`; overwrites the logits, (classes, rows, width)."""
    value, index = logits.max(dim=0)
    second = logits.scatter_(0, index.unsqueeze(0), -math.inf).amax(dim=0) if runner_up else None
    return _Best(value, (index + first if first else index).to(torch.uint8), second)


def _merged(low: _Best, high: _Best) -> _Best:
    """Return the winners among two sets of classes, the lower ids in `low`."""
    label = torch.where(high.value > low.value, high.label, low.label)
    second = None
    if low.second is not None and high.second is not None:
        second = torch.maximum(torch.minimum(low.value, high.value), torch.maximum(low.second, high.second))
    return _Best(torch.maximum(low.value, high.value), label, second)


def _fill(masks: Tensor, best: _Best, temperature: float) -> None:
    """Write the labels and, where the runners-up are known, the confidence `254 tanh(margin / temperature / 2)`."""
    missing = best.value.isnan()
    masks[0] = best.label.masked_fill_(missing, NO_LABEL)
    if best.second is not None:
        level = torch.tanh((best.value - best.second) / (2 * temperature)) * CERTAIN
        masks[1] = level.round_().masked_fill_(missing, NO_LABEL)
