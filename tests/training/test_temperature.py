"""The temperature is the one with the greatest likelihood, and makes probabilities truer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from segment.training.sample import sample
from segment.training.temperature import Temperature, best_temperature, find_temperature

CPU = torch.device("cpu")


def drawn(true: float, count: int = 40_000, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Return logits, and labels that are drawn from the probabilities of these, divided by the true temperature."""
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, classes, generator=random)
    labels = torch.multinomial((logits / true).softmax(dim=1), 1, generator=random).flatten()
    return logits, labels


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5, 6.0])
def test_the_true_temperature_is_found(true: float) -> None:
    found = best_temperature(*drawn(true))
    assert found == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize("true", [0.5, 3.0])
def test_no_other_temperature_is_likelier(true: float) -> None:
    logits, labels = drawn(true, 2000)
    found = best_temperature(logits, labels)
    loss = {each: nn.functional.cross_entropy(logits / (each * found), labels).item() for each in (0.98, 1, 1.02)}
    assert min(loss, key=loss.__getitem__) == 1


def test_labels_that_are_always_right_or_never_give_a_temperature_within_bounds() -> None:
    logits = torch.eye(3).repeat(20, 1)
    right = torch.arange(3).repeat(20)
    assert 0.05 <= best_temperature(logits, right) < 0.3
    assert best_temperature(logits, (right + 1) % 3) == 20
    assert [Temperature(value, 0.6, 0.5, 60).at_bound for value in (0.05, 0.06, 1, 20)] == [True, False, False, True]


class Coarse(nn.Module):
    """A network that gives what it gets, at a quarter of the size."""

    def forward(self, pixel_values: Tensor) -> Coarse:
        self.logits = nn.functional.avg_pool2d(pixel_values, 4)
        return self


class Crops(Dataset[dict[str, Tensor]]):
    """Crops of a square, whose class is drawn by what the network says of it, divided by 3."""

    def __init__(self, count: int, *, labelled: bool = True) -> None:
        random = torch.Generator().manual_seed(1)
        self.logits = 4 * torch.randn(count, 3, 1, 1, generator=random)
        self.labels = torch.multinomial((self.logits[..., 0, 0] / 3).softmax(dim=1), 1, generator=random)
        self.labelled = labelled

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        labels = torch.full((16, 16), 255)
        if self.labelled:
            labels[:, 4:] = self.labels[index]
        return {"pixel_values": self.logits[index].expand(3, 16, 16), "labels": labels}


def looked_at(crops: Crops, **known: int) -> tuple[Tensor, Tensor]:
    found = sample(Coarse(), crops, 3, CPU, **known)
    return found.logits, found.labels


def test_crops_give_the_temperature_and_smaller_errors() -> None:
    found = find_temperature(*looked_at(Crops(600)))
    assert found is not None
    assert found.value == pytest.approx(3, rel=0.15)
    assert found.pixels == 600 * 16 * 12
    assert found.ece_after < 0.3 * found.ece_before
    assert find_temperature(*looked_at(Crops(600))) == found


def test_a_part_of_many_pixels_will_do() -> None:
    whole = find_temperature(*looked_at(Crops(100)))
    part = find_temperature(*looked_at(Crops(100), most=9000))
    assert whole is not None
    assert part is not None
    assert part.pixels < 3000 < whole.pixels
    assert part.value == pytest.approx(whole.value, rel=0.02)


def test_a_network_that_is_true_already_keeps_its_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segment.training.temperature._ece", lambda _, __, temperature: abs(temperature - 1))
    found = find_temperature(*looked_at(Crops(100)))
    assert found is not None
    assert (found.value, found.ece_before, found.ece_after) == (1, 0, 0)


def test_without_a_label_there_is_none() -> None:
    assert find_temperature(*looked_at(Crops(3, labelled=False))) is None
    assert find_temperature(*looked_at(Crops(0))) is None
