"""Presets have the published shapes; what is saved can be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import SegformerForSemanticSegmentation

from segment.model.checkpoint import describe_checkpoint, load_checkpoint
from segment.model.config import Normalisation, tiling_entry
from segment.model.presets import SIZES, Size, make_config
from segment.model.save import write_checkpoint
from tests.models import class_table
from tiler.grid.tiling import Tiling

TILING = Tiling(2000, 512, 0.25)


def parameters(size: Size) -> float:
    with torch.device("meta"):
        network = SegformerForSemanticSegmentation(make_config(size, class_table(150), TILING))
    return float(network.num_parameters()) / 1e6


@pytest.mark.parametrize(
    ("size", "millions"), [("b0", 3.8), ("b1", 13.7), ("b2", 27.5), ("b3", 47.3), ("b4", 64.1), ("b5", 84.7)]
)
def test_the_presets_have_the_published_numbers_of_weights(size: Size, millions: float) -> None:
    # Xie et al., table 1 (150 classes), which rounds
    assert parameters(size) == pytest.approx(millions, rel=0.025)


def test_the_small_presets_are_small() -> None:
    assert parameters("nano") < 0.07
    assert parameters("mini") < 2.5
    assert set(SIZES) == set(get_args(Size))


def test_a_config_names_its_classes_and_tiling() -> None:
    classes = class_table(3)
    config = make_config("mini", classes, Tiling(100, 64, 0.0, gsd_m=0.1), drop_path_rate=0.0)
    assert config.id2label == dict(enumerate(classes.names))
    assert config.tiling == {**tiling_entry(Tiling(100, 64, 0.0), classes), "gsd_m": 0.1}
    assert config.drop_path_rate == 0


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_network_loads_with_its_tiling_classes_and_normalisation(tmp_path: Path, half: bool) -> None:
    normalisation = Normalisation(1.0, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    network = SegformerForSemanticSegmentation(make_config("nano", class_table(3), TILING)).eval()
    network.decode_head.batch_norm.running_var.fill_(1e6)  # beyond float16
    write_checkpoint(network, tmp_path, normalisation, TILING.input_px, half=half)
    description = describe_checkpoint(str(tmp_path))
    loaded = load_checkpoint(description).network
    assert description.tiling == TILING
    assert description.tiling_source == "the checkpoint"
    assert description.classes == class_table(3)
    assert description.normalisation == normalisation
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = network(pixel_values=pixels).logits, loaded(pixel_values=pixels).logits
    torch.testing.assert_close(found, expected, rtol=2e-2 if half else 0, atol=1e-3 if half else 0)


def test_half_the_bytes(tmp_path: Path) -> None:
    network = SegformerForSemanticSegmentation(make_config("mini", class_table(3), TILING))
    for half in (False, True):
        write_checkpoint(network, tmp_path / str(half), Normalisation(), 512, half=half)
    whole, halved = ((tmp_path / str(half) / "model.safetensors").stat().st_size for half in (False, True))
    assert 0.49 < halved / whole < 0.56
    assert json.loads((tmp_path / "True" / "config.json").read_text())["dtype"] == "float32"


def test_a_model_of_the_shape_of_the_drone_model_loads_from_either_kind_of_file(tmp_path: Path) -> None:
    with torch.device("meta"):
        empty = SegformerForSemanticSegmentation(make_config("b5", class_table(24), TILING))
    network = empty.to_empty(device="cpu")  # drawing 85 million random weights takes longer
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape, generator=generator))
    write_checkpoint(network, tmp_path, Normalisation(), 512)
    safe = load_checkpoint(describe_checkpoint(str(tmp_path)))
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    pickled = load_checkpoint(describe_checkpoint(str(tmp_path)))
    (tmp_path / "pytorch_model.bin").unlink()
    assert all(map(torch.equal, safe.network.state_dict().values(), pickled.network.state_dict().values()))
    assert len(safe.description.classes) == 24
