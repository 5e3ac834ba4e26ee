"""What a network says of tiles: what it takes for what, and its logits at some of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segment.evaluation.metrics import confusion
from tiler.classes import NO_LABEL

MOST_LOGITS = 2**25
"""Logits that are kept at most: 128 MB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a network says of some tiles."""

    logits: Tensor
    """Of labelled pixels, float32 of shape (n, C), at the resolution of the labels, on the CPU."""
    labels: Tensor
    """Their true classes, int64 of shape (n,)."""
    tiles: Tensor
    """The number of the tile that each lies in, int64 of shape (n,)."""
    confusions: tuple[NDArray[np.int64], ...]
    """What all pixels are taken for with each bias, see `segment.evaluation.metrics.confusion`."""


@torch.no_grad()
def sample(
    network: nn.Module, tiles: Any, classes: int, device: torch.device, *,
    biases: Sequence[Sequence[float]] = (), most: int = MOST_LOGITS,
) -> Sample:  # fmt: skip
    """Return what a network says of tiles, one at a time.

    Where there are many pixels, the logits of every so many-th one of each tile are kept, always the same ones. So they
    are the same numbers each time on the same device.

    Parameters
    ----------
    network : Module
        `SegformerForSemanticSegmentation`; it is put on the device, in evaluation mode.
    tiles : Dataset
        Gives `pixel_values` (3, h, w) and `labels` (h, w), 255 = no label.
    classes : int
        Number of classes, C.
    device : torch.device
        Where it computes.
    biases : sequence of sequences of float
        Constants that are added to the logits, C each, before pixels are counted.
    most : int
        So many logits are kept at most, C for each pixel; some more where tiles differ in size.
    """
    network = network.to(device).eval()
    step = -(-len(tiles) * (tiles[0]["labels"].numel() if len(tiles) else 0) * classes // most)
    none = torch.empty(0, dtype=torch.int64)
    kept = [(torch.empty(0, classes), none, none)]
    counts = [np.zeros((classes, classes + 1), np.int64) for _ in biases]
    for number, tile in enumerate(DataLoader(tiles)):
        truth = tile["labels"][0]
        coarse = network(pixel_values=tile["pixel_values"].to(device)).logits.float()
        for count, bias in zip(counts, biases, strict=True):
            moved = coarse + torch.tensor(bias, device=device)[:, None, None]
            predicted = _fine(moved, truth).argmax(dim=0).cpu()
            count += confusion(truth.numpy().astype(np.uint8), predicted.numpy().astype(np.uint8), classes)
        labels = truth.flatten()
        chosen = torch.arange(number % step, labels.numel(), step)
        chosen = chosen[labels[chosen] != NO_LABEL]
        logits = _fine(coarse, truth).flatten(1)[:, chosen.to(device)].T.cpu()
        kept.append((logits, labels[chosen], torch.full_like(chosen, number)))
    logits, labels, numbers = (torch.cat(parts) for parts in zip(*kept, strict=True))
    return Sample(logits, labels, numbers, tuple(counts))


def _fine(coarse: Tensor, truth: Tensor) -> Tensor:
    return nn.functional.interpolate(coarse, size=truth.shape, mode="bilinear", align_corners=False)[0]
