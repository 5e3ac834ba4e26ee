"""What a network says of tiles: its logits at some of their pixels, and how many of those are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segment.evaluation.metrics import Metrics, confusion, measure
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

    @property
    def count(self) -> int:
        """Number of tiles that show a label."""
        return len(torch.unique(self.tiles))


@torch.no_grad()
def sample(network: nn.Module, tiles: Any, classes: int, device: torch.device, *, most: int = MOST_LOGITS) -> Sample:
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
    most : int
        So many logits are kept at most, C for each pixel; some more where tiles differ in size.
    """
    network = network.to(device).eval()
    step = -(-len(tiles) * (tiles[0]["labels"].numel() if len(tiles) else 0) * classes // most)
    none = torch.empty(0, dtype=torch.int64)
    kept = [(torch.empty(0, classes), none, none)]
    for number, tile in enumerate(DataLoader(tiles)):
        truth = tile["labels"][0]
        coarse = network(pixel_values=tile["pixel_values"].to(device)).logits.float()
        labels = truth.flatten()
        chosen = torch.arange(number % step, labels.numel(), step)
        chosen = chosen[labels[chosen] != NO_LABEL]
        fine = nn.functional.interpolate(coarse, size=truth.shape, mode="bilinear", align_corners=False)[0]
        logits = fine.flatten(1)[:, chosen.to(device)].T.cpu()
        kept.append((logits, labels[chosen], torch.full_like(chosen, number)))
    return Sample(*(torch.cat(parts) for parts in zip(*kept, strict=True)))


def scores_of(logits: Tensor, labels: Tensor) -> Metrics:
    """Return how right the best classes of logits (n, C) are, by the true classes (n,)."""
    truth, best = (each.numpy().astype(np.uint8) for each in (labels, logits.argmax(dim=1)))
    return measure(confusion(truth, best, logits.shape[1]))
