"""Find the bias of a classifier anew, a constant for each class, when a training has ended.

A training makes its loss less, not its errors: where it is in doubt, it says the common class. The sum of mean IoU and
accuracy has no gradient, but so few numbers can be searched, one class after the other (Lachiche and Flach, Improving
Accuracy and Cost of Two-class and Multi-class Probabilistic Classifiers Using ROC Curves, ICML 2003, there for
accuracy). `tiler.balance` goes by how often classes occur; this goes by what the network takes for what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segment.evaluation.metrics import Gain, Metrics

MOST_LOGITS = 2**22
"""Logits that are enough to find it by: 175,000 pixels of 24 classes."""
STEP, REACH = 0.25, 2.0
"""A search tries multiples of the first, up to the second: so coarse that single pixels choose none."""
LEAST_GAIN = 1e-4
"""A constant changes where that raises the sum of mean IoU and accuracy, each from 0 to 1, by more than this."""
_ROUNDS, _PARTS = 4, 4


@dataclass(frozen=True, slots=True)
class ClassBias:
    """What the bias of a classifier was changed by."""

    values: tuple[float, ...]
    """A constant for each class."""
    gain: Gain
    """What that brought on tiles that it was not found by."""

    @classmethod
    def judged(cls, values: tuple[float, ...], before: Metrics, after: Metrics) -> ClassBias:
        """Return constants and what they brought; all of them 0 where the sum of the scores is not higher with them."""
        if (gain := Gain.between(before, after)).total > 0:
            return cls(values, gain)
        return cls((0.0,) * len(values), Gain.between(before, before))

    @property
    def helps(self) -> bool:
        """Whether it changes anything."""
        return any(self.values)

    def __str__(self) -> str:
        return str(self.gain) if self.helps else "none is better"

    @property
    def entry(self) -> dict[str, object]:
        """The `class_bias` entry of a checkpoint's config."""
        return {"values": list(self.values), **self.gain.entry}


def find_class_bias(logits: Tensor, labels: Tensor, tiles: Tensor) -> tuple[float, ...]:
    """Return constants to be added to the logits, by which the sum of mean IoU and accuracy is high.

    They are the mean of those that four searches find, each without a quarter of the tiles: what a few images ask for
    is mostly chance. A search takes the best constant of a class while all others stay, class by class, until none
    changes. So there may be better ones.

    Parameters
    ----------
    logits : Tensor of float32, shape (n, C)
        Of labelled pixels.
    labels : Tensor of int64, shape (n,)
        Their true classes.
    tiles : Tensor of int64, shape (n,)
        The number of the tile that each lies in.

    Returns
    -------
    tuple of float
        A constant for each class; 0 for one that the labels do not show, and where no other is better.
    """
    parts = [tiles % _PARTS != part for part in range(_PARTS)]
    found = [_search(logits[part], labels[part]) for part in parts if part.any()]
    return tuple(torch.stack(found).mean(dim=0).tolist()) if found else (0.0,) * logits.shape[1]


def _search(logits: Tensor, labels: Tensor) -> Tensor:
    bias = torch.zeros(logits.shape[1])
    best = _score(labels, logits.argmax(dim=1), len(bias))
    shown = torch.unique(labels).tolist()
    for _ in range(_ROUNDS):
        before = bias.clone()
        for index in shown:
            for value, score in _tried(logits + bias, labels, index):
                if score > best + LEAST_GAIN:
                    best, bias[index] = score, before[index] + value
        if torch.equal(bias, before):
            break
    return bias


def _tried(logits: Tensor, labels: Tensor, index: int) -> Iterator[tuple[float, float]]:
    """Yield what is added to the logits of a class, and the score with that; small changes first."""
    own = logits[:, index].clone()
    rest = logits.index_fill(1, torch.tensor(index), -torch.inf)
    highest, others = rest.max(dim=1)
    for value in sorted(np.arange(-REACH, REACH + STEP, STEP).tolist(), key=abs):
        yield value, _score(labels, torch.where(own + value > highest, index, others), logits.shape[1])


def _score(labels: Tensor, predicted: Tensor, classes: int) -> float:
    """Return mean IoU over the classes that occur, plus accuracy."""
    counts = torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    right, true = counts.diagonal(), counts.sum(dim=1)
    iou = right / (true + counts.sum(dim=0) - right).clamp(min=1)
    return float(iou[true > 0].mean() + right.sum() / true.sum())
