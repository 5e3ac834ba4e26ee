"""The class bias is the one that a slow search finds, raises the scores, and is not kept where it does not."""

from __future__ import annotations

from statistics import mean

import numpy as np
import pytest
import torch
from torch import Tensor

from segment.evaluation.metrics import confusion, measure
from segment.training.class_bias import LEAST_GAIN, REACH, STEP, ClassBias, find_class_bias

CLASSES = 4


def drawn(count: int = 4000, *, tiles: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits that lean to class 0, labels and tiles; the last class never occurs."""
    random = torch.Generator().manual_seed(5)
    shares = torch.tensor([0.6, 0.3, 0.1, 0.0])
    labels = torch.multinomial(shares, count, replacement=True, generator=random)
    logits = 2 * torch.nn.functional.one_hot(labels, CLASSES) + torch.randn(count, CLASSES, generator=random)
    return logits + torch.tensor([1.5, 0.0, 0.0, -2.0]), labels, torch.arange(count) * tiles // count


def score(logits: Tensor, labels: Tensor, bias: list[float]) -> float:
    """Return the sum of mean IoU, over the classes that the labels show, and accuracy."""
    predicted = (logits + torch.tensor(bias)).argmax(dim=1).numpy().astype(np.uint8)
    found = measure(confusion(labels.numpy().astype(np.uint8), predicted, CLASSES))
    return found.miou + found.accuracy


def searched(logits: Tensor, labels: Tensor) -> list[float]:
    """Return constants by trying each on all pixels, class by class, four times."""
    tried = sorted((STEP * number for number in range(-8, 9)), key=abs)
    assert (tried[0], max(tried)) == (0, REACH)
    bias = [0.0] * CLASSES
    best = score(logits, labels, bias)
    for _ in range(4):
        for index in range(3):
            start = bias[index]
            for value in tried:
                other = [*bias[:index], start + value, *bias[index + 1 :]]
                if (found := score(logits, labels, other)) > best + LEAST_GAIN:
                    best, bias = found, other
    return bias


def test_it_is_the_mean_of_slow_searches_that_each_leave_out_a_quarter_of_the_tiles() -> None:
    logits, labels, tiles = drawn(600)
    parts = [searched(logits[tiles % 4 != part], labels[tiles % 4 != part]) for part in range(4)]
    assert find_class_bias(logits, labels, tiles) == pytest.approx([mean(each) for each in zip(*parts, strict=True)])


def test_it_takes_back_what_was_added_and_raises_the_scores() -> None:
    logits, labels, tiles = drawn()
    found = find_class_bias(logits, labels, tiles)
    assert found[3] == 0  # never shown
    assert found[0] < -0.5 < -0.3 < min(found[1:3])
    fresh, truth = logits.flip(0)[::2], labels.flip(0)[::2]
    assert score(fresh, truth, list(found)) > score(fresh, truth, [0.0] * CLASSES) + 0.05


def test_a_network_that_is_right_keeps_its_bias() -> None:
    logits = 50 * torch.eye(CLASSES)[[0, 1, 2, 0, 1, 2, 0, 1]]
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    assert find_class_bias(logits, labels, torch.arange(8)) == (0, 0, 0, 0)


@pytest.mark.parametrize("tiles", [0, 1, 2])
def test_few_tiles_will_do(tiles: int) -> None:
    logits, labels, numbers = (each[: 200 * tiles] for each in drawn(1600))
    found = find_class_bias(logits, labels, numbers)
    assert len(found) == CLASSES
    assert any(found) == (tiles > 0)


@pytest.mark.parametrize(("miou", "accuracy", "kept"), [(0.3, 0.6, True), (0.3, 0.5, False), (0.2, 0.6, False)])
def test_it_is_kept_where_the_sum_of_both_scores_is_higher(miou: float, accuracy: float, kept: bool) -> None:
    def scores(miou: float, accuracy: float) -> object:
        return type("Scores", (), {"miou": miou, "accuracy": accuracy})

    found = ClassBias.judged((0.5, -1.0), scores(0.2, 0.6), scores(miou, accuracy))  # type: ignore[arg-type]
    assert found.helps == kept
    assert found.entry == {
        "values": [0.5, -1.0] if kept else [0.0, 0.0], "miou_before": 0.2, "accuracy_before": 0.6,
        "miou_after": miou if kept else 0.2, "accuracy_after": accuracy if kept else 0.6,
    }  # fmt: skip
