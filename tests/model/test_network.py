"""noseam's own SegFormer computes what transformers' does, in any shape and precision, and copies nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from segment.model.config import Normalisation
from segment.model.head import upsampled, upsampled_by_products
from segment.model.network import ACTIVATIONS, Normalised, Segformer, Shape, in_precision
from segment.model.presets import SIZES


def small(**changes: Any) -> Shape:
    return Shape(classes=5, **{**SIZES["nano"], **changes})


def tiles(count: int = 2, height: int = 64, width: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def segmenter(shape: Shape | None = None) -> Normalised:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Normalised(Segformer(shape or small()), Normalisation()).requires_grad_(False).eval()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": [1, 1, 1]}, "an entry for each of 4 stages expected"),
        ({"num_encoder_blocks": 3}, "an entry for each of 3 stages expected"),
        ({"num_attention_heads": [1, 3, 3, 4]}, "channels that heads of attention share evenly expected"),
        ({"hidden_act": "quick_gelu"}, "hidden_act 'quick_gelu': one of gelu, .* expected"),
        ({"reshape_last_stage": False}, "reshape_last_stage true expected"),
    ],
)
def test_a_shape_that_only_transformers_runs_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_defaults_are_those_of_transformers() -> None:
    ours, theirs = Shape(classes=2), SegformerConfig()
    for field in Shape.__slots__:
        expected = getattr(theirs, field, 2)
        assert getattr(ours, field) == (tuple(expected) if isinstance(expected, list) else expected)


@pytest.mark.parametrize("hidden_act", ACTIVATIONS)
def test_activations_are_those_of_transformers(hidden_act: str) -> None:
    from transformers.activations import ACT2FN

    values = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(ACTIVATIONS[hidden_act](values), ACT2FN[hidden_act](values))


@torch.inference_mode()
def test_normalisation_is_exact_in_any_precision() -> None:
    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, pixels: Tensor) -> Tensor:
            return pixels

    expected = Normalised(Seen(), Normalisation())(tiles())
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (Normalisation().mean, Normalisation().std))
    torch.testing.assert_close(expected, (tiles() / 255 - mean) / std, atol=1e-6, rtol=1e-6)
    rounded = in_precision(Normalised(Seen(), Normalisation()), torch.bfloat16)(tiles())
    assert torch.equal(rounded, expected.bfloat16())


@pytest.mark.parametrize(("dtype", "near"), [(torch.float16, 0.01), (torch.bfloat16, 0.06)])
@torch.inference_mode()
def test_logits_in_low_precision_are_near(dtype: torch.dtype, near: float) -> None:
    exact = segmenter()(tiles())
    found = in_precision(segmenter(), dtype)(tiles())
    assert found.dtype == dtype
    assert found.shape == exact.shape == (2, 5, 16, 24)
    assert float((found - exact).abs().max()) < near * float(exact.abs().max())


@pytest.mark.parametrize("sides", [[(16, 24), (8, 12), (4, 6), (2, 3)], [(15, 9), (7, 5), (1, 1)], [(8, 8)]])
def test_upsampling_by_products_is_bilinear(sides: list[tuple[int, int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    finest, *coarser = (torch.randn(2, 6, *side, generator=generator) for side in sides)
    expected = upsampled(coarser, finest)
    torch.testing.assert_close(upsampled_by_products(coarser, finest), expected, atol=1e-5, rtol=0)
    with_channels_last = [each.to(memory_format=torch.channels_last) for each in coarser]
    found = upsampled_by_products(with_channels_last, finest.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.is_contiguous(memory_format=torch.channels_last)


class Names(TorchDispatchMode):
    """Notes the names of all operations of this thread."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.overloadpacket.__name__)
        return func(*args, **kwargs or {})


@torch.no_grad()
def test_nothing_is_copied_between_layers() -> None:
    """Each copy would read and write the whole memory of a layer: a quarter of the time on a GPU."""
    network = segmenter().network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    with Names() as names:
        network(pixels)
    assert names.seen.count("addmm") == 20
    assert {"clone", "copy_", "_to_copy", "contiguous"} & set(names.seen) == set()


def test_it_exports_with_any_count_and_size() -> None:
    sizes = {0: torch.export.Dim("tiles", min=1, max=64), 2: 32 * torch.export.Dim("rows", min=2, max=64),
             3: 32 * torch.export.Dim("columns", min=2, max=64)}  # fmt: skip
    exported = torch.export.export(segmenter(), (tiles(),), dynamic_shapes={"tiles": sizes}).module()
    for given in (tiles(1, 128, 64), tiles(3, 64, 160)):
        torch.testing.assert_close(exported(given), segmenter()(given))


def test_it_exports_with_any_count_of_one_size() -> None:
    counts = {"tiles": {0: torch.export.Dim("tiles", min=1, max=64)}}
    exported = torch.export.export(segmenter(), (tiles(),), dynamic_shapes=counts).module()
    torch.testing.assert_close(exported(tiles(5)), segmenter()(tiles(5)))


@torch.inference_mode()
def test_it_computes_what_transformers_does_in_odd_shapes() -> None:
    """The names of weights are those of a file; `test_segmenter.py` holds that."""
    odd: dict[str, Any] = {
        "num_encoder_blocks": 3, "depths": [1, 3, 2], "hidden_sizes": [16, 48, 24], "num_attention_heads": [2, 1, 4],
        "mlp_ratios": [2, 3, 4], "patch_sizes": [5, 3, 3], "sr_ratios": [4, 1, 2], "strides": [4, 2, 1],
        "decoder_hidden_size": 40, "hidden_act": "relu",
    }  # fmt: skip
    stock = SegformerForSemanticSegmentation(SegformerConfig(**odd, num_labels=7)).eval()
    ours = Segformer(Shape(classes=7, **odd))
    assert ours(torch.zeros(1, 3, 64, 96)).shape == stock(torch.zeros(1, 3, 64, 96)).logits.shape


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.float16, 0.01), (torch.bfloat16, 0.06)])
@torch.inference_mode()
def test_logits_on_cuda_are_near(dtype: torch.dtype, near: float, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    exact = segmenter()(tiles())
    there: Any = in_precision(segmenter(), dtype).to("cuda")
    found = there.to(memory_format=torch.channels_last)(tiles().to("cuda"))
    assert float((found.cpu() - exact).abs().max()) < near * float(exact.abs().max())
