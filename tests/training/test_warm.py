"""A training takes over what its base knows of the same classes, and nothing that another class meant."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SegformerModel

from segment.model.presets import make_config, write_untrained
from segment.training.base import load_base
from tests.models import class_table
from tiler.classes import ClassTable
from tiler.grid.tiling import Tiling

TILING = Tiling(64, 64)


def table(*names: str) -> ClassTable:
    return ClassTable(names, class_table(len(names)).colours)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    write_untrained(folder, table("grass", "roof", "water"), TILING)
    weights = load_file(folder / "model.safetensors")
    weights["decode_head.classifier.bias"] = torch.tensor([1.0, 2.0, 3.0])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def classifier(base: Path, *names: str) -> tuple[list[float], torch.Tensor]:
    """Return bias and weight of the classifier of a training for these classes."""
    network, _ = load_base(str(base), table(*names), TILING, seed=1)
    return network.decode_head.classifier.bias.tolist(), network.decode_head.classifier.weight.detach()


@pytest.mark.parametrize(
    ("names", "bias", "said"),
    [
        (("grass", "roof", "water"), [1, 2, 3], ["classifier: taken, because its classes have the same names"]),
        (("water", "grass", "roof"), [3, 1, 2], ["classifier: 3 of 3 classes taken by name: water, grass, roof"]),
        (
            ("car", "roof", "dog"),
            [0, 2, 0],
            ["classifier: 1 of 3 classes taken by name: roof", "no class of this name: car, dog",
             "left behind, because the crops have no such class: grass, water"],
        ),
        (("roof", "water"), [2, 3], ["2 of 2 classes taken by name: roof, water", "no such class: grass"]),
        (("car", "grass", "roof", "water"), [0, 1, 2, 3], ["3 of 4 classes taken by name: grass, roof, water"]),
        (("a", "b", "c"), [0, 0, 0], ["classifier: 0 of 3 classes taken by name; ", "knows none of them"]),
    ],
)  # fmt: skip
def test_each_class_gets_the_row_of_its_name(
    base: Path, names: tuple[str, ...], bias: list[float], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "segment"):
        found, weight = classifier(base, *names)
    assert found == bias
    stored = load_file(base / "model.safetensors")["decode_head.classifier.weight"]
    for row, value in zip(weight, bias, strict=True):
        same = [torch.equal(row, before) for before in stored]
        assert same == [value == index for index in (1, 2, 3)]
    assert "of the encoder all 108 tensors, of the head all 14 tensors taken" in caplog.text
    for text in said:
        assert text in caplog.text


def test_new_rows_follow_from_the_seed(base: Path) -> None:
    first, again = (classifier(base, "x", "y", "z")[1] for _ in range(2))
    assert torch.equal(first, again)
    assert 0.05 < float(first.std()) < 0.2  # the config says 0.1


def test_an_encoder_alone_has_no_head_to_take(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SegformerModel(make_config("nano", class_table(2), TILING)).save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO, "segment"):
        load_base(str(tmp_path), class_table(2), TILING, seed=0)
    assert "of the head none of 14 tensors taken" in caplog.text
    assert f"classifier: new, because {tmp_path} has none" in caplog.text


@pytest.mark.parametrize("start", ["nano", "a folder"])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_training_drops_as_much_as_it_is_told_whatever_its_base_dropped(base: Path, start: str, share: float) -> None:
    network, _ = load_base("nano" if start == "nano" else str(base), class_table(2), TILING, seed=0, dropout=share)
    branches = [each.drop_prob for each in network.modules() if hasattr(each, "drop_prob")]
    assert network.decode_head.dropout.p == share
    assert max(branches, default=0) == pytest.approx(share)
    assert (network.config.classifier_dropout_prob, network.config.drop_path_rate) == (share, share)
