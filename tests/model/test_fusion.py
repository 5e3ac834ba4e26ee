"""A folded decode head gives the stock head's logits; a head of another make stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from segment.model.fusion import FusedHead, fuse_head
from tests.models import checkpoint


@pytest.fixture
def network(tmp_path: Path) -> Any:
    network = checkpoint(tmp_path).network
    generator = torch.Generator().manual_seed(1)
    norm: Any = network.decode_head.batch_norm  # type: ignore[union-attr]
    for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)  # an untrained norm would do nothing
    return network


@torch.inference_mode()
def logits(network: nn.Module, side: int = 128) -> torch.Tensor:
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    found: torch.Tensor = network(pixel_values=pixels).logits
    return found


def test_a_folded_head_gives_the_same_logits(network: Any) -> None:
    fused = fuse_head(network)
    assert isinstance(fused.decode_head, FusedHead)
    expected, found = logits(network), logits(fused)
    assert found.shape == expected.shape == (2, 24, 32, 32)
    assert float((found - expected).abs().max() / expected.abs().max()) < 2e-6
    assert torch.equal(found.argmax(1), expected.argmax(1))


def test_the_network_given_keeps_its_own_head(network: Any) -> None:
    before = logits(network)
    fused = fuse_head(network)
    assert not isinstance(network.decode_head, FusedHead)
    assert torch.equal(logits(network), before)
    assert fused.segformer is network.segformer


def test_the_folded_head_has_fewer_multiplications(network: Any) -> None:
    stock, fused = network.decode_head, fuse_head(network).decode_head
    width = stock.config.decoder_hidden_size
    assert [stage.out_channels for stage in fused.stages] == [width] * 4  # type: ignore[union-attr]
    assert [stage.in_channels for stage in fused.stages] == stock.config.hidden_sizes  # type: ignore[union-attr]


def test_a_head_that_computes_something_else_is_left_alone(network: Any, caplog: pytest.LogCaptureFixture) -> None:
    network.decode_head.activation = nn.GELU()
    assert fuse_head(network) is network
    assert "differs by" in caplog.text


def test_a_head_with_its_stages_in_another_order_is_left_alone(network: Any, caplog: pytest.LogCaptureFixture) -> None:
    weight = network.decode_head.linear_fuse.weight
    stock = network.decode_head.linear_fuse.forward
    network.decode_head.linear_fuse.forward = lambda mixed: stock(mixed.flip(1))
    assert weight.requires_grad
    assert fuse_head(network) is network
    assert "the stock head runs" in caplog.text


def test_a_head_of_other_parts_is_left_alone(network: Any, caplog: pytest.LogCaptureFixture) -> None:
    network.decode_head.batch_norm = nn.GroupNorm(1, network.config.decoder_hidden_size)
    assert fuse_head(network) is network
    assert "cannot be folded" in caplog.text
