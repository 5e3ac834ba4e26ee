"""Find the strength to which classes are best balanced when a model segments; see `tiler.balance`.

The mean IoU alone would choose more than people want: it goes on rising slowly where accuracy falls fast. So the sum of
both decides (`docs/survey.md` has figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from segment.evaluation.metrics import Metrics, confusion, measure, percent
from tiler.balance import offsets_of

STRENGTHS = tuple(number / 20 for number in range(21))
"""What is tried: 0 to 1 in steps of 0.05."""


@dataclass(frozen=True, slots=True)
class FoundBalance:
    """The best strength, and what it brought on the tiles by which it was found."""

    strength: float
    """T of `segment --balance-classes`; 0 where no other one is better."""
    miou_before: float
    """Mean IoU over the classes that the tiles show, without it; 0 to 1."""
    miou_after: float
    """The same with it."""
    accuracy_before: float
    """Share of right labels without it."""
    accuracy_after: float
    """The same with it."""

    def __str__(self) -> str:
        miou = f"mIoU goes from {percent(self.miou_before)} to {percent(self.miou_after)} %"
        accuracy = f"accuracy from {percent(self.accuracy_before)} to {percent(self.accuracy_after)} %"
        return f"T {self.strength:g}, by which {miou} on the validation tiles, {accuracy}"

    @property
    def entry(self) -> dict[str, float]:
        """The `class_balance` entry of a checkpoint's config."""
        return {field.name: round(getattr(self, field.name), 5) for field in fields(self)}


def find_balance(
    logits: Tensor, labels: Tensor, frequencies: Sequence[float], strengths: Sequence[float] = STRENGTHS
) -> FoundBalance | None:
    """Return the strength with the highest sum of mean IoU and accuracy, the least of several.

    Parameters
    ----------
    logits : Tensor of float32, shape (n, C)
        Of labelled pixels of validation tiles, see `segment.training.sample`.
    labels : Tensor of int64, shape (n,)
        Their true classes.
    frequencies : sequence of float
        How often training showed each class, shares of 1.
    strengths : sequence of float
        What is tried besides 0.

    Returns
    -------
    FoundBalance or None
        None where there is no pixel.
    """
    if not len(labels):
        return None
    truth = labels.numpy().astype(np.uint8)

    def scores(strength: float) -> Metrics:
        predicted = (logits + torch.tensor(offsets_of(frequencies, strength))).argmax(dim=1)
        return measure(confusion(truth, predicted.numpy().astype(np.uint8), logits.shape[1]))

    found = {strength: scores(strength) for strength in sorted({0.0, *strengths})}
    best = max(found, key=lambda strength: found[strength].miou + found[strength].accuracy)
    before, after = found[0.0], found[best]
    return FoundBalance(best, before.miou, after.miou, before.accuracy, after.accuracy)
