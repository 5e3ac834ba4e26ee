"""The quick head computes what the stock head computes, has its weights, and draws no random number."""

from __future__ import annotations

import ctypes
import resource
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import SegformerForSemanticSegmentation

from segment.model.presets import make_config
from segment.training.quick import QuickHead, attend_by_products, keep_memory, quicken
from tests.models import class_table
from tiler.grid.tiling import Tiling


def networks() -> tuple[SegformerForSemanticSegmentation, SegformerForSemanticSegmentation]:
    """Return a stock network in float64, whose batch norm is not the identity, and the same one with a quick head."""
    torch.manual_seed(0)
    stock = SegformerForSemanticSegmentation(make_config("nano", class_table(5), Tiling(64, 64, 0.5))).double()
    for tensor in (*stock.decode_head.parameters(), stock.decode_head.batch_norm.running_mean):
        torch.nn.init.normal_(tensor, std=0.3)
    torch.nn.init.uniform_(stock.decode_head.batch_norm.running_var, 0.5, 2)
    quick = deepcopy(stock)
    quicken(quick.float())
    quick.double().load_state_dict(stock.state_dict())
    return stock, quick


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_outputs_and_gradients_are_those_of_the_stock_head(training: bool, size: tuple[int, int]) -> None:
    found = []
    pixels = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for network in networks():
        network.train(training)
        network.decode_head.dropout.p = 0  # it drops by the order of memory, which differs
        torch.manual_seed(7)  # for whole branches of the encoder, which are dropped too
        logits = network(pixel_values=pixels).logits
        (logits**2).mean().backward()
        found.append((logits, [tensor.grad for tensor in network.parameters()], network.state_dict()))
    (stock, gradients, state), (quick, quick_gradients, quick_state) = found
    torch.testing.assert_close(quick, stock, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(quick_gradients, gradients, rtol=1e-7, atol=1e-11)
    torch.testing.assert_close(quick_state, state, rtol=1e-9, atol=1e-11)  # the running statistics too


def test_a_network_with_a_quick_head_is_written_as_any_other(tmp_path: Path) -> None:
    stock, quick = networks()
    assert isinstance(quick.decode_head, QuickHead)
    quick.save_pretrained(tmp_path)
    again = SegformerForSemanticSegmentation.from_pretrained(tmp_path)
    assert not isinstance(again.decode_head, QuickHead)
    torch.testing.assert_close(dict(again.double().state_dict()), dict(stock.state_dict()), rtol=0, atol=0)


def test_attention_by_products_is_the_same_and_is_not_written(tmp_path: Path) -> None:
    stock, other = networks()[0], networks()[0]
    stock.set_attn_implementation("sdpa")
    attend_by_products(other)
    pixels = torch.randn(2, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for network in (stock, other):
        logits = network.eval()(pixel_values=pixels).logits
        (logits**2).mean().backward()
        found.append((logits, [tensor.grad for tensor in network.parameters()]))
    assert stock.config._attn_implementation != other.config._attn_implementation
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-7)  # its softmax is in float32
    other.save_pretrained(tmp_path)
    assert "eager" not in (tmp_path / "config.json").read_text()


def test_nothing_is_drawn_and_the_mode_stays() -> None:
    stock, _ = networks()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert not quicken(stock.eval()).decode_head.training
    assert torch.equal(torch.rand(1), expected)
    assert quicken(stock.train()).decode_head.training


def faults(mib: int) -> int:
    """Return how many pages the system must find for a tensor."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(mib * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_freed_memory_is_not_fetched_page_by_page() -> None:
    for setting in (-1, -3):  # an earlier test may have called it
        ctypes.CDLL(None).mallopt(setting, 2**17)
    faults(400)
    given_back = faults(400)  # more than other tests leave behind
    keep_memory()
    faults(420)
    assert faults(400) < 100  # what is kept must be a little larger, because tensors begin at round addresses
    assert given_back > 150  # 400 MiB are 200 pages at least, of 2 MiB each
