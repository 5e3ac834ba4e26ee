"""How far the tiles that overlap disagree, by tensor operations on the device that made the logits.

It is what `tiler.stitch.disagreement` says, but for the rounding of float32. Two numbers a cell are kept beside the
sums of the blending: the weighted logarithm of the summed exponentials, and how many tiles voted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from segment.engine.device_arithmetic import Axis
from tiler.classes import NO_LABEL
from tiler.stitch.confidence import CERTAIN

PLANES = 2
"""Numbers per cell."""


@torch.inference_mode()
def add_vote(votes: Tensor, logits: Tensor, weights: Tensor) -> None:
    """Add the vote of one tile.

    Parameters
    ----------
    votes : Tensor of float32, shape (2, height, width)
        The cells of the tile; a view of all votes.
    logits : Tensor of any float type, shape (C, height, width)
        As the network left them.
    weights : Tensor of float32, shape (height, width)
        Of the tile.
    """
    votes[0].add_(logits.float().logsumexp(0) * weights)
    votes[1].add_(1)


@torch.inference_mode()
def disagreement(sums: Tensor, votes: Tensor) -> Tensor:
    """Return how far the votes disagree in some cells, 0 to 1; NaN where fewer than two tiles voted.

    Parameters
    ----------
    sums : Tensor of float32, shape (C + 1, rows, width)
        See `Arithmetic`.
    votes : Tensor of float32, shape (2, rows, width)
        Those of the same cells.
    """
    gap = votes[0] / sums[-1] - (sums[:-1] / sums[-1]).logsumexp(0)
    return gap.clamp_(min=0).neg_().expm1_().neg_().sqrt_().masked_fill_(votes[1] < 2, math.nan)


@torch.inference_mode()
def spread(cells: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """Return the levels of some source rows, uint8 (rows, width): `round(254 * value)`, 255 where a cell is NaN.

    Parameters
    ----------
    cells : Tensor of float32, shape (h, w)
        0 to 1, or NaN.
    rows, cols : Axis
        The points of these rows, counted from the first row of the cells, and of all columns.
    """
    (upper, below), (left, right) = rows, cols
    line = torch.lerp(cells.index_select(0, upper), cells.index_select(0, upper + 1), below.unsqueeze(1))
    value = torch.lerp(line.index_select(1, left), line.index_select(1, left + 1), right)
    levels = (value * CERTAIN + 0.5).floor_()
    return levels.masked_fill_(value.isnan(), NO_LABEL).to(torch.uint8)
