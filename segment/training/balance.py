"""Find the strength to which classes are best balanced when a model segments; see `tiler.balance`.

The mean IoU alone would choose more than people want: it goes on rising slowly where accuracy falls fast. So the sum of
both decides (`docs/survey.md` has figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from segment.evaluation.metrics import Gain
from segment.training.sample import scores_of
from tiler.balance import offsets_of

STRENGTHS = tuple(number / 20 for number in range(21))
"""What is tried: 0 to 1 in steps of 0.05."""


@dataclass(frozen=True, slots=True)
class FoundBalance:
    """The best strength."""

    strength: float
    """T of `segment --balance-classes`; 0 where no other one is better."""
    gain: Gain
    """What it brought on the tiles by which it was found."""

    def __str__(self) -> str:
        return f"T {self.strength:g}, by which on the validation tiles {self.gain}"

    @property
    def entry(self) -> dict[str, float]:
        """The `class_balance` entry of a checkpoint's config."""
        return {"strength": self.strength, **self.gain.entry}


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
    found = {
        strength: scores_of(logits + torch.tensor(offsets_of(frequencies, strength)), labels)
        for strength in sorted({0.0, *strengths})
    }
    best = max(found, key=lambda strength: found[strength].miou + found[strength].accuracy)
    return FoundBalance(best, Gain.between(found[0.0], found[best]))
