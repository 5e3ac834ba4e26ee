"""The operations counted from a config are those that PyTorch counts; odd configs count as MiT-B0."""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from segment.model.checkpoint import describe_checkpoint
from segment.model.cost import balance_px, count_work
from segment.model.network import Segformer, Shape
from segment.model.presets import SIZES, Size, make_config
from tests.models import checkpoint_folder, class_table
from tiler.grid.tiling import Tiling

SHAPES = ((128, 128), (96, 224))


def config_of(size: Size, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = make_config(size, class_table(24), Tiling(), **more).to_dict()
    return found


@torch.inference_mode()
def counted(shape: Shape, height: int, width: int) -> tuple[int, int]:
    """Return the multiplications and the values of layers and of upsampling, as the network really runs."""
    network = Segformer(shape)
    values: list[int] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        values.append(output.numel())

    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # fused attention is not counted
        network(torch.zeros(1, 3, height, width))
    for handle in handles:
        handle.remove()
    upsampled = 3 * shape.decoder_hidden_size * height * width // 16
    return counter.get_total_flops() // 2, sum(values) + upsampled


@pytest.mark.parametrize("size", ["nano", "mini", "b0"])
def test_operations_are_those_that_pytorch_counts(size: Size) -> None:
    shape = Shape(classes=24, **SIZES[size])
    work = count_work(config_of(size))
    for height, width in SHAPES:
        pixels = height * width
        products, values = counted(shape, height, width)
        assert products == pytest.approx(pixels * (work.products + pixels * work.attention), rel=1e-9)
        assert values == pytest.approx(pixels * work.values, rel=1e-9)


def test_a_network_of_another_make_is_counted_too() -> None:
    odd: dict[str, Any] = {
        "num_encoder_blocks": 3, "depths": [1, 3, 2], "hidden_sizes": [16, 48, 24], "num_attention_heads": [2, 1, 4],
        "mlp_ratios": [2, 3, 4], "patch_sizes": [5, 3, 3], "sr_ratios": [4, 1, 2], "strides": [4, 2, 1],
        "decoder_hidden_size": 40,
    }  # fmt: skip
    work = count_work({**odd, "id2label": dict.fromkeys(range(7), "any")})
    assert counted(Shape(classes=7, **odd), 64, 96)[0] == pytest.approx(
        6144 * (work.products + 6144 * work.attention), rel=1e-9
    )


def test_larger_networks_balance_at_larger_tiles_of_about_a_megapixel() -> None:
    found = [balance_px(config_of(size)) / 2**20 for size in ("b0", "b1", "b2", "b5")]
    assert found == sorted(found)
    assert 0.5 < found[0] < found[-1] < 2


def test_more_keys_make_attention_dear() -> None:
    assert balance_px(config_of("b0", sr_ratios=[4, 2, 1, 1])) < 0.5 * balance_px(config_of("b0"))


@pytest.mark.parametrize(
    "odd",
    [
        {}, {"depths": None}, {"depths": []}, {"depths": 3}, {"depths": "2222"}, {"depths": [2, 2, 2, -2]},
        {"hidden_sizes": [32, 64, 160, nan]}, {"hidden_sizes": [32, 64, 160, 1e300]}, {"strides": [4, 2, 2, 0]},
        {"sr_ratios": [[8], 4, 2, 1]}, {"decoder_hidden_size": -5}, {"decoder_hidden_size": None},
        {"num_encoder_blocks": "four"},
    ],
    ids=str,
)  # fmt: skip
def test_missing_and_odd_entries_count_as_those_of_b0(odd: dict[str, Any]) -> None:
    assert balance_px({"id2label": dict.fromkeys(range(24), "any"), **odd}) == balance_px(config_of("b0"))


def test_a_config_as_transformers_writes_it_counts_as_its_preset(tmp_path: Path) -> None:
    described = describe_checkpoint(str(checkpoint_folder(tmp_path, size="mini")))
    preset = {**SIZES["mini"], "id2label": dict.fromkeys(range(24), "any")}
    assert described.cost.balance_px == balance_px(preset) == balance_px(config_of("mini"))
