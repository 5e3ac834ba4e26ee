"""Find the strength to which classes are best balanced when a model segments; see `tiler.balance`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segment.evaluation.metrics import confusion, measure, percent
from tiler.balance import offsets_of

STRENGTHS = tuple(number / 20 for number in range(21))
"""What is tried: 0 to 1 in steps of 0.05."""


@dataclass(frozen=True, slots=True)
class FoundBalance:
    """The best strength, and what it brought on the crops by which it was found."""

    strength: float
    """T of `segment --balance-classes`; 0 where no other one is better."""
    miou_before: float
    """Mean IoU over the classes that the crops show, without it; 0 to 1."""
    miou_after: float
    """The same with it."""

    def __str__(self) -> str:
        scores = percent(self.miou_before), percent(self.miou_after)
        return f"T {self.strength:g}, by which mIoU on the validation crops goes from {scores[0]} to {scores[1]} %"

    @property
    def entry(self) -> dict[str, float]:
        """The `class_balance` entry of a checkpoint's config."""
        scores = {"miou_before": self.miou_before, "miou_after": self.miou_after}
        return {"strength": self.strength, **{name: round(score, 5) for name, score in scores.items()}}


def find_balance(
    logits: Tensor, labels: Tensor, frequencies: Sequence[float], strengths: Sequence[float] = STRENGTHS
) -> FoundBalance | None:
    """Return the strength with the highest mean IoU, the least of several; None where there is no pixel.

    Parameters
    ----------
    logits : Tensor of float32, shape (n, C)
        Of labelled pixels of validation crops, see `sampled_logits`.
    labels : Tensor of int64, shape (n,)
        Their true classes.
    frequencies : sequence of float
        How often training showed each class, shares of 1.
    strengths : sequence of float
        What is tried besides 0.
    """
    if not len(labels):
        return None
    truth = labels.numpy().astype(np.uint8)

    def miou(strength: float) -> float:
        predicted = (logits + torch.tensor(offsets_of(frequencies, strength))).argmax(dim=1)
        return measure(confusion(truth, predicted.numpy().astype(np.uint8), logits.shape[1])).miou

    before = miou(0.0)
    found = {0.0: before} | {strength: miou(strength) for strength in strengths if strength}
    best = max(sorted(found), key=found.__getitem__)
    return FoundBalance(best, before, found[best])
