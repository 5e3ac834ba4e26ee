"""The strength that is found is the one whose labels have the highest sum of mean IoU and accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from segment.training.balance import STRENGTHS, find_balance

FREQUENCIES = (0.90, 0.08, 0.02, 0.0)


def drawn(count: int = 3000) -> tuple[Tensor, Tensor]:
    """Return logits that lean to the common class more than its share says, and labels; the last class never occurs."""
    random = torch.Generator().manual_seed(3)
    labels = torch.multinomial(torch.tensor(FREQUENCIES), count, replacement=True, generator=random)
    logits = 1.5 * torch.nn.functional.one_hot(labels, 4) + torch.randn(count, 4, generator=random)
    return logits + torch.tensor([3.0, 1.0, 0.0, -1.0]), labels


def scores(logits: Tensor, labels: Tensor, strength: float) -> tuple[float, float]:
    """Return the mean IoU over the classes that occur, and the accuracy, counted pixel by pixel."""
    right = 0
    found: dict[int, list[int]] = {}
    for scores, true in zip(logits.tolist(), labels.tolist(), strict=True):
        floor = [max(share, 0.9e-6) if share else 0.9 for share in FREQUENCIES]
        moved = [score - strength * math.log(share) for score, share in zip(scores, floor, strict=True)]
        label = moved.index(max(moved))
        right += label == true
        for each in {label, true}:
            found.setdefault(each, [0, 0])
            found[each][0] += label == true
            found[each][1] += 1
    miou = float(np.mean([found[each][0] / found[each][1] for each in set(labels.tolist())]))
    return miou, right / len(labels)


def test_the_best_of_all_strengths_is_found() -> None:
    logits, labels = drawn()
    expected = {strength: scores(logits, labels, strength) for strength in STRENGTHS}
    found = find_balance(logits, labels, FREQUENCIES)
    assert found is not None
    assert found.strength == max(expected, key=lambda strength: sum(expected[strength])) > 0
    assert (found.gain.miou_before, found.gain.accuracy_before) == pytest.approx(expected[0.0])
    assert (found.gain.miou_after, found.gain.accuracy_after) == pytest.approx(expected[found.strength])
    assert found.entry["strength"] == found.strength


def test_accuracy_counts_too() -> None:
    """A class of twenty pixels is found where another loses a hundred: mIoU gains 4 points, accuracy loses 8."""
    common = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(980, 1)
    common[:100, 1] = 0.9
    rare = torch.tensor([[1.0, 0.9, 0.0, 0.0]]).repeat(20, 1)
    labels = torch.cat([torch.zeros(980, dtype=torch.int64), torch.ones(20, dtype=torch.int64)])
    found = find_balance(torch.cat([common, rare]), labels, (0.98, 0.02, 0.0, 0.0))
    assert found is not None
    assert found.strength == 0
    assert scores(torch.cat([common, rare]), labels, 0.05)[0] > found.gain.miou_before + 0.04


def test_a_network_that_needs_none_gets_none() -> None:
    logits = 50 * torch.eye(4)[[0, 0, 1, 2]]
    found = find_balance(logits, torch.tensor([0, 0, 1, 2]), FREQUENCIES)
    assert found is not None
    assert (found.strength, found.gain.miou_before, found.gain.miou_after, found.gain.accuracy_after) == (0, 1, 1, 1)


def test_without_a_label_there_is_none() -> None:
    assert find_balance(torch.empty(0, 4), torch.empty(0, dtype=torch.int64), FREQUENCIES) is None
