"""What stitching on a device needs of its arithmetic, which is done by tensor operations or by kernels."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.device import current

Axis = tuple[Tensor, Tensor]
"""Where the pixels of a source axis fall, `lower` and `fraction` of `sample_points`, on the device."""


class Arithmetic(Protocol):
    """Blend tiles into sums, and label source rows from these; queued on the current stream of the device.

    Sums have the shape (C + 1, rows, width): for each cell and class `sum(w_k L_k)` over the tiles so far, and after
    the last class `sum(w_k)`, which is 0 where no tile came. All kinds of arithmetic take turns on the same sums.
    """

    @property
    def name(self) -> str:
        """Return what it is, for the log."""

    def blend(self, sums: Tensor, logits: Tensor, weights: Tensor, unusable: Tensor, *, counter: int) -> None:
        """Add one tile.

        Parameters
        ----------
        sums : Tensor of float32, shape (C + 1, height, width)
            The cells of the tile; a view of the sums.
        logits : Tensor of any float type, shape (C, height, width)
            As the network left them, whatever the order in memory.
        weights : Tensor of float32, shape (height, width)
            Of the tile.
        unusable : Tensor of int64, shape (n,)
            Counts NaN and infinite logits.
        counter : int
            Which of these counts belongs to the tile.
        """

    def label(
        self, sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, *, top: int, first: int, temperature: float = 1.0
    ) -> None:
        """Fill the masks of some source rows.

        Parameters
        ----------
        sums : Tensor of float32, shape (C + 1, rows, width)
            The rows of cells that these source rows need; a view of the sums.
        rows, cols : Axis
            The points of all source rows, and of all source columns.
        masks : Tensor of uint8, shape (1 or 2, rows, width)
            Output: labels, the lowest id where logits tie, and, where there are two, the confidence
            `round(254 tanh(m / 2))` of their margin `m` over the second best class, divided by the temperature, 254
            where there is no other. 255 where a cell that the pixel needs has no weight.
        top : int
            Row of the logits grid that row 0 of the sums is.
        first : int
            Source row that row 0 of the masks is.
        temperature : float
            What logits are divided by before they say how sure a label is.
        """


def on_device(device: torch.device, array: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
    """Return an array as a tensor on a device; the copy is queued there, behind what is queued already."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor
    with current(device):
        return tensor.pin_memory().to(device, non_blocking=True)
