"""Find the temperature at which what a network says of its labels is as true as can be.

A network that was trained to its best accuracy mostly says more than it knows. Divided by one number, the temperature,
its logits give the same labels, and probabilities that come true more often (Guo, Pleiss, Sun and Weinberger, On
Calibration of Modern Neural Networks, ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segment.evaluation.reliability import reliability
from segment.model.config import TEMPERATURES
from tiler.classes import NO_LABEL

_LOGITS = 2**25
"""Logits that are kept at most: 128 MB."""
_MOST_STEPS = 60


@dataclass(frozen=True, slots=True)
class Temperature:
    """The temperature of a network, and what it brought on the crops by which it was found."""

    value: float
    """What logits are to be divided by."""
    ece_before: float
    """Expected calibration error of the best class's probability, 15 bins, without it; 0 to 1."""
    ece_after: float
    """The same with it."""
    pixels: int
    """Labelled pixels that it was found by."""

    @property
    def at_bound(self) -> bool:
        """Whether a likelier one lies beyond `TEMPERATURES`: the network is hardly trained."""
        return self.value in TEMPERATURES

    @property
    def entry(self) -> dict[str, float]:
        """The `calibration` entry of a checkpoint's config."""
        shares = {"ece_before": self.ece_before, "ece_after": self.ece_after}
        return {"temperature": self.value, **{name: round(share, 5) for name, share in shares.items()}}


def find_temperature(logits: Tensor, labels: Tensor) -> Temperature | None:
    """Return the temperature by logits (n, C) of pixels and their true classes (n,); None where there is none.

    It is 1 where the likeliest one would not lower the expected calibration error.
    """
    if not len(labels):
        return None
    value = best_temperature(logits, labels)
    before, after = (_ece(logits, labels, each) for each in (1.0, value))
    if after >= before:  # likelihood and calibration may pull apart where a network is nearly true already
        value, after = 1.0, before
    return Temperature(value, before, after, len(labels))


@torch.no_grad()
def sampled_logits(
    network: nn.Module, crops: Any, classes: int, device: torch.device, batch_size: int = 4
) -> tuple[Tensor, Tensor]:
    """Return logits (n, C) and labels (n,) of labelled pixels, at the resolution of the labels, on the CPU.

    Where there are many, every so many-th pixel of each crop counts, always the same ones. So they are the same
    numbers each time on the same device.

    Parameters
    ----------
    network : Module
        `SegformerForSemanticSegmentation`; it is put on the device, in evaluation mode.
    crops : Dataset
        Gives `pixel_values` (3, h, w) and `labels` (h, w), 255 = no label.
    classes : int
        Number of classes.
    device : torch.device
        Where it computes.
    batch_size : int
        Crops at once.
    """
    network = network.to(device).eval()
    pixels = len(crops) * crops[0]["labels"].numel() if len(crops) else 0
    step = -(-pixels * classes // _LOGITS)
    kept: list[tuple[Tensor, Tensor]] = []
    for number, batch in enumerate(DataLoader(crops, batch_size)):
        labels = batch["labels"]
        coarse = network(pixel_values=batch["pixel_values"].to(device)).logits.float()
        fine = nn.functional.interpolate(coarse, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        chosen = torch.arange(number % step, labels.numel(), step)
        chosen = chosen[labels.flatten()[chosen] != NO_LABEL]
        kept.append((fine.movedim(1, -1).reshape(-1, classes)[chosen.to(device)].cpu(), labels.flatten()[chosen]))
    if not kept:
        return torch.empty(0, classes), torch.empty(0, dtype=torch.int64)
    logits, labels = (torch.cat(parts) for parts in zip(*kept, strict=True))
    return logits, labels


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least negative log likelihood, within `TEMPERATURES`.

    Parameters
    ----------
    logits : Tensor of float32, shape (n, C)
        Of some pixels.
    labels : Tensor of int64, shape (n,)
        Their true classes.
    """
    # The loss is convex in 1 / T.
    inverse = torch.ones((), requires_grad=True)
    search = torch.optim.LBFGS([inverse], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        found = nn.functional.cross_entropy(logits * inverse, labels)
        found.backward()  # type: ignore[no-untyped-call]
        return found

    search.step(loss)  # type: ignore[no-untyped-call]
    least, most = TEMPERATURES
    return round(float(np.clip(1 / max(inverse.item(), 1 / most), least, most)), 4)


def _ece(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Return the expected calibration error of the best class's probability."""
    best, found = (logits / temperature).softmax(dim=1).max(dim=1)
    right = (found == labels).numpy().astype(np.int64)
    return reliability(best.numpy().astype(np.float64), np.column_stack((np.ones_like(right), right))).ece
