"""Blend and label with one launch each: kernels in Triton for NVIDIA's devices.

They do what `segment/engine/device_tensors.py` does in a few dozen calls, and nothing of size classes x pixels exists.
Numbers that change from call to call are never specialised on, so that a run does not compile in its middle. Products
of sizes are taken in 64 bits, because classes x rows x width may pass 2^31.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from segment.engine.device import current
from segment.engine.device_arithmetic import Axis

_BLOCK_IDS, _BLOCK_CELLS = 8, 128
"""What one program blends: so many classes, the weights among them, of so many cells of a row."""
_BLOCK_ROWS, _BLOCK_COLS = 4, 128
"""What one program labels: so many source rows of so many columns, which share most of their cells."""
_WARPS = 4


@triton.jit(do_not_specialize=["classes", "width", "plane", "line", "row_step", "step", "counter"])
def blend_tile(
    sums: tl.tensor, logits: tl.tensor, weights: tl.tensor, unusable: tl.tensor,
    classes: tl.tensor, width: tl.tensor, plane: tl.tensor, line: tl.tensor,
    row_step: tl.tensor, step: tl.tensor, counter: tl.tensor,
    last: tl.constexpr, ids_at_once: tl.constexpr, cells_at_once: tl.constexpr,
) -> None:  # fmt: skip
    """Add `weights * logits` of one tile to the sums, and the weights to the plane after the last class.

    Logits are read where they lie: cells of a row side by side, classes `step` apart, or, with `last`, classes side by
    side and cells `step` apart. What is NaN or infinite is counted.
    """
    across = tl.cdiv(width, cells_at_once)
    row = (tl.program_id(0) // across).to(tl.int64)
    col = (tl.program_id(0) % across).to(tl.int64) * cells_at_once + tl.arange(0, cells_at_once)
    ids = (tl.program_id(1) * ids_at_once + tl.arange(0, ids_at_once)).to(tl.int64)[:, None]
    inside = (col < width)[None, :]
    weight = tl.load(weights + row * width + col, mask=col < width, other=0.0)[None, :]
    if last:
        source = logits + row * row_step + col[None, :] * step + ids
    else:
        source = logits + row * row_step + ids * step + col[None, :]
    value = tl.load(source, mask=(ids < classes) & inside, other=0.0).to(tl.float32)
    bad = tl.sum(tl.sum(tl.where(tl.abs(value) < float("inf"), 0, 1), axis=1), axis=0)
    if bad > 0:
        tl.atomic_add(unusable + counter, bad.to(tl.int64))
    value = tl.where(ids == classes, 1.0, value) * weight
    target = sums + ids * plane + row * line + col[None, :]
    here = (ids <= classes) & inside
    tl.store(target, tl.load(target, mask=here, other=0.0) + value, mask=here)


@triton.jit(do_not_specialize=["classes", "plane", "line", "top", "first", "rows", "width", "temperature"])
def label_lines(
    sums: tl.tensor, row_lower: tl.tensor, row_fraction: tl.tensor, col_lower: tl.tensor, col_fraction: tl.tensor,
    masks: tl.tensor, classes: tl.tensor, plane: tl.tensor, line: tl.tensor,
    top: tl.tensor, first: tl.tensor, rows: tl.tensor, width: tl.tensor, temperature: tl.tensor,
    rated: tl.constexpr, rows_at_once: tl.constexpr, cols_at_once: tl.constexpr,
) -> None:  # fmt: skip
    """Label some source rows, and say how sure each label is, from the sums of logits and of weights.

    A pixel's logit is `sum(b_k S_k / W_k)` over its four cells: bilinear weights, sums, sums of weights. So its four
    factors `b_k / W_k` serve all classes.
    """
    across = tl.cdiv(width, cols_at_once)
    row = (tl.program_id(0) // across).to(tl.int64) * rows_at_once + tl.arange(0, rows_at_once)
    col = (tl.program_id(0) % across).to(tl.int64) * cols_at_once + tl.arange(0, cols_at_once)
    upper = tl.load(row_lower + first + row, mask=row < rows, other=top) - top
    below = tl.load(row_fraction + first + row, mask=row < rows, other=0.0)[:, None]
    left = tl.load(col_lower + col, mask=col < width, other=0)
    right = tl.load(col_fraction + col, mask=col < width, other=0.0)[None, :]

    cell = sums + upper[:, None] * line + left[None, :]
    weight = cell + tl.cast(classes, tl.int64) * plane
    weight_a, weight_b = tl.load(weight), tl.load(weight + 1)
    weight_c, weight_d = tl.load(weight + line), tl.load(weight + line + 1)
    covered = (weight_a > 0) & (weight_b > 0) & (weight_c > 0) & (weight_d > 0)
    factor_a = (1 - below) * (1 - right) / tl.where(covered, weight_a, 1.0)
    factor_b = (1 - below) * right / tl.where(covered, weight_b, 1.0)
    factor_c = below * (1 - right) / tl.where(covered, weight_c, 1.0)
    factor_d = below * right / tl.where(covered, weight_d, 1.0)

    best = tl.full([rows_at_once, cols_at_once], -float("inf"), tl.float32)
    second = best
    label = tl.zeros([rows_at_once, cols_at_once], tl.int32)
    for each in range(classes):
        value = factor_a * tl.load(cell) + factor_b * tl.load(cell + 1)
        value += factor_c * tl.load(cell + line) + factor_d * tl.load(cell + line + 1)
        if rated:
            second = tl.maximum(second, tl.minimum(best, value))
        label = tl.where(value > best, each, label)  # not >=: the lowest id wins a tie
        best = tl.maximum(best, value)
        cell += plane

    target = masks + row[:, None] * width + col[None, :]
    inside = (row < rows)[:, None] & (col < width)[None, :]
    tl.store(target, tl.where(covered, label, 255).to(tl.uint8), mask=inside)
    if rated:
        # of the runner-up against the best; (1 - e^-m) / (1 + e^-m) is tanh(m / 2)
        chance = tl.exp((second - best) / temperature)
        level = tl.floor(254 * (1 - chance) / (1 + chance) + 0.5).to(tl.int32)
        tl.store(target + tl.cast(rows, tl.int64) * width, tl.where(covered, level, 255).to(tl.uint8), mask=inside)


class Kernels:
    """Arithmetic by kernels; see `Arithmetic`."""

    name = "Triton kernels"

    def blend(self, sums: Tensor, logits: Tensor, weights: Tensor, unusable: Tensor, *, counter: int) -> None:
        """Add one tile."""
        if logits.stride(2) != 1 and logits.stride(0) != 1:
            logits = logits.contiguous()
        last = logits.stride(2) != 1
        classes, height, width = logits.shape
        blocks = height * triton.cdiv(width, _BLOCK_CELLS), triton.cdiv(classes + 1, _BLOCK_IDS)
        with current(sums.device):
            blend_tile[blocks](
                sums, logits, weights, unusable, classes, width, sums.stride(0), sums.stride(1),
                logits.stride(1), logits.stride(2 if last else 0), counter,
                last=last, ids_at_once=_BLOCK_IDS, cells_at_once=_BLOCK_CELLS, num_warps=_WARPS,
            )  # fmt: skip

    def label(
        self, sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, *, top: int, first: int, temperature: float = 1.0
    ) -> None:
        """Fill the masks of some source rows."""
        planes, count, width = masks.shape
        blocks = (triton.cdiv(count, _BLOCK_ROWS) * triton.cdiv(width, _BLOCK_COLS),)
        with current(sums.device):
            label_lines[blocks](
                sums, *rows, *cols, masks, len(sums) - 1, sums.stride(0), sums.stride(1), top, first, count, width,
                temperature,
                rated=planes == 2, rows_at_once=_BLOCK_ROWS, cols_at_once=_BLOCK_COLS, num_warps=_WARPS,
            )  # fmt: skip
