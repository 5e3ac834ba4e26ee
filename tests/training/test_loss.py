"""Losses are those of their definitions, written out slowly here."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from segment.training.loss import Objective, balance_classes, dice_loss, lovasz_loss, pixel_loss, quarter


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (2, 4, 6, 5) and labels (2, 6, 5): a quarter without a label, and class 3 nowhere."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 6, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.25] = 255
    return logits.requires_grad_(), labels


def pixels(logits: torch.Tensor, labels: torch.Tensor) -> list[tuple[np.ndarray, int]]:
    """Return probabilities and true class of each labelled pixel."""
    shares, found = logits.detach().softmax(dim=1).numpy(), []
    for image, row, col in product(*map(range, labels.shape)):
        if (label := int(labels[image, row, col])) != 255:
            found.append((shares[image, :, row, col], label))
    return found


def slow_dice(known: list[tuple[np.ndarray, int]]) -> float:
    losses = []
    for index in sorted({label for _, label in known}):
        both = sum(shares[index] for shares, label in known if label == index)
        areas = sum(shares[index] for shares, _ in known) + sum(label == index for _, label in known)
        losses.append(1 - (2 * both + 1) / (areas + 1))
    return float(np.mean(losses))


def slow_lovasz(known: list[tuple[np.ndarray, int]]) -> float:
    """Sum, over the errors from the greatest on, error times what the set of wrong pixels gains in 1 - IoU."""
    losses = []
    for index in sorted({label for _, label in known}):
        members = {at for at, (_, label) in enumerate(known) if label == index}
        errors = [abs((label == index) - shares[index]) for shares, label in known]
        wrong: set[int] = set()
        before = total = 0.0
        for at in sorted(range(len(known)), key=lambda at: -errors[at]):
            wrong.add(at)
            lost = 1 - len(members - wrong) / len(members | wrong)
            total += errors[at] * (lost - before)
            before = lost
        losses.append(total)
    return float(np.mean(losses))


def slow_ohem(known: list[tuple[np.ndarray, int]], bound: float, weights: list[float], pixels: int) -> float:
    hard = [(shares[label], label) for shares, label in known if shares[label] < bound]
    return sum(-math.log(share) * weights[label] for share, label in hard) / pixels


@pytest.mark.parametrize("seed", range(3))
def test_dice_and_lovasz_are_what_they_are_defined_to_be(seed: int) -> None:
    logits, labels = batch(seed)
    known = pixels(logits, labels)
    assert dice_loss(logits, labels).item() == pytest.approx(slow_dice(known), abs=1e-6)
    assert lovasz_loss(logits, labels).item() == pytest.approx(slow_lovasz(known), abs=1e-6)


@pytest.mark.parametrize("loss", [dice_loss, lovasz_loss])
def test_areas_that_are_right_cost_nothing_and_wrong_ones_all(loss: object) -> None:
    assert callable(loss)
    labels = torch.tensor([[[0, 0, 1, 255]]])
    right = 100 * torch.nn.functional.one_hot(labels.clamp(max=1), 2).movedim(-1, 1).float()
    assert loss(right, labels).item() == pytest.approx(0, abs=1e-6)
    assert loss(-right, labels).item() > 0.5


@pytest.mark.parametrize("loss", [dice_loss, lovasz_loss])
def test_areas_are_learned(loss: object) -> None:
    assert callable(loss)
    logits, labels = batch()
    before = loss(logits, labels)
    (slope,) = torch.autograd.grad(before, logits)
    assert loss(logits - 0.5 * slope, labels) < before
    assert not slope.movedim(1, -1)[labels == 255].any()


@pytest.mark.parametrize("kind", ["ce", "ce+dice", "ce+lovasz"])
@pytest.mark.parametrize("ohem", [0.7, 1.0])
def test_a_batch_without_a_label_costs_nothing_and_teaches_nothing(kind: object, ohem: float) -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    loss = Objective(kind=kind, ohem=ohem)(logits, torch.full((1, 8, 8), 255))  # type: ignore[arg-type]
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 1.0]])
def test_hard_pixels_alone_count(weights: list[float] | None) -> None:
    logits, labels = batch()
    expected = slow_ohem(pixels(logits, labels), 0.4, weights or [1.0] * 4, labels.numel())
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    assert pixel_loss(logits, labels, given, ohem=0.4).item() == pytest.approx(expected)
    assert pixel_loss(logits, labels, given, ohem=0.4) < pixel_loss(logits, labels, given)


def test_hard_pixels_of_batches_add_up() -> None:
    logits, labels = batch()
    parts = [pixel_loss(logits[at : at + 1], labels[at : at + 1], ohem=0.4, share=0.7) for at in range(2)]
    torch.testing.assert_close(sum(parts) / 2, pixel_loss(logits, labels, ohem=0.4, share=0.7))


def test_losses_of_areas_stand_beside_the_cross_entropy() -> None:
    logits, labels = batch()
    plain = Objective(share=0.5)(logits, labels)
    torch.testing.assert_close(Objective("ce+dice", share=0.5)(logits, labels), plain + dice_loss(logits, labels))
    torch.testing.assert_close(Objective("ce+lovasz", share=0.5)(logits, labels), plain + lovasz_loss(logits, labels))


def test_four_steps_count_each_pixel_once_and_lie_evenly_around_the_logits() -> None:
    places = torch.arange(2 * 6 * 8).view(2, 6, 8)
    quarters = [quarter(places, step) for step in range(4)]
    assert torch.equal(torch.cat([each.flatten() for each in quarters]).sort().values, places.flatten())
    assert torch.equal(quarter(places, 4), quarters[0])
    middles = torch.nn.functional.interpolate(places[None].float(), size=(3, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(torch.stack(quarters).float().mean(dim=0), middles[0])


def test_classes_are_balanced_by_less_where_that_is_asked_for() -> None:
    counts = np.array([[80, 20, 0, 0], [50, 0, 50, 0]], np.int64)
    np.testing.assert_allclose(balance_classes(counts, "sqrt"), np.sqrt(balance_classes(counts, "median")), rtol=1e-6)
    assert balance_classes(counts, "none").tolist() == [1, 1, 1, 1]
