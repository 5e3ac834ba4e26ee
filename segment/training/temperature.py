"""Find the temperature at which what a network says of its labels is as true as can be.

A network that was trained to its best accuracy mostly says more than it knows. Divided by one number, the temperature,
its logits give the same labels, and probabilities that come true more often (Guo, Pleiss, Sun and Weinberger, On
Calibration of Modern Neural Networks, ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segment.evaluation.reliability import reliability
from segment.model.config import TEMPERATURES

_MOST_STEPS = 60


@dataclass(frozen=True, slots=True)
class Temperature:
    """The temperature of a network, and what it brought on the pixels by which it was found."""

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
