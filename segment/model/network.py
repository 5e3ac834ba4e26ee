"""SegFormer as noseam runs it: plain PyTorch, its normalisation in front, its decode head folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from segment.model.config import Normalisation
from segment.model.head import FoldedHead

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": partial(functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "swish": functional.silu,
}
"""What `hidden_act` of a config may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The entries of a config that shape a SegFormer, with transformers' names and defaults: MiT-B0.

    `layer_norm_eps` and `batch_norm_eps` are not among them: no release of transformers reads these two.

    Raises
    ------
    ValueError
        If the network is of a kind that only transformers runs.
    """

    classes: int
    """Number of classes."""
    num_encoder_blocks: int = 4
    """Number of stages."""
    depths: Sequence[int] = (2, 2, 2, 2)
    """Blocks, for each stage."""
    hidden_sizes: Sequence[int] = (32, 64, 160, 256)
    """Channels of a token, for each stage."""
    num_attention_heads: Sequence[int] = (1, 2, 5, 8)
    """Heads of attention, for each stage."""
    mlp_ratios: Sequence[float] = (4, 4, 4, 4)
    """Channels inside the perceptron for each channel of a token, for each stage."""
    patch_sizes: Sequence[int] = (7, 3, 3, 3)
    """Side of the convolution that makes tokens, for each stage."""
    strides: Sequence[int] = (4, 2, 2, 2)
    """Step of that convolution, for each stage."""
    sr_ratios: Sequence[int] = (8, 4, 2, 1)
    """Tokens along the side of a key, for each stage."""
    decoder_hidden_size: int = 256
    """Channels of the decode head."""
    hidden_act: str = "gelu"
    """Activation inside the perceptron."""
    reshape_last_stage: bool = True
    """Whether the last stage gives a map, as the others do."""

    def __post_init__(self) -> None:
        lists = (self.depths, self.hidden_sizes, self.num_attention_heads, self.mlp_ratios, self.patch_sizes,
                 self.strides, self.sr_ratios)  # fmt: skip
        if {len(each) for each in lists} != {self.num_encoder_blocks}:
            raise ValueError(f"an entry for each of {self.num_encoder_blocks} stages expected")
        if any(size % heads for size, heads in zip(self.hidden_sizes, self.num_attention_heads, strict=True)):
            raise ValueError("channels that heads of attention share evenly expected")
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {self.hidden_act!r:.80}: one of {', '.join(ACTIVATIONS)} expected")
        if not self.reshape_last_stage:
            raise ValueError("reshape_last_stage true expected")


class Normalised(nn.Module):
    """A network with its normalisation in front: uint8 tiles (N, 3, h, w) in, logits (N, C, h / 4, w / 4) out.

    One byte per sample crosses to the device. Normalisation is computed in float32, whatever the network's weights are.

    Parameters
    ----------
    network : nn.Module
        Takes normalised tiles in the precision of its weights, and returns logits.
    normalisation : Normalisation
        How its input is scaled.
    """

    gain: Tensor
    bias: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        scale = torch.tensor(normalisation.std).reciprocal()
        self.register_buffer("gain", (scale * normalisation.rescale).view(3, 1, 1), persistent=False)
        self.register_buffer("bias", (-torch.tensor(normalisation.mean) * scale).view(3, 1, 1), persistent=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return logits."""
        pixels = tiles.float() * self.gain + self.bias
        logits: Tensor = self.network(pixels.to(next(self.network.parameters()).dtype))
        return logits


def in_precision(segmenter: Normalised, dtype: torch.dtype) -> Normalised:
    """Return a network, changed in place, whose weights and values are of a type; its normalisation stays float32."""
    segmenter.network.to(dtype)
    return segmenter


def add_offsets(segmenter: Normalised, offsets: Sequence[float]) -> Normalised:
    """Return a network, changed in place, whose logits are larger by a constant for each class; none: unchanged.

    The bias of its classifier takes them up, so that they cost nothing.
    """
    if offsets:
        classifier: Any = segmenter.network.classifier
        classifier.bias = nn.Parameter(classifier.bias + torch.tensor(offsets), requires_grad=False)
    return segmenter


class Segformer(nn.Module):
    """SegFormer (Xie et al., NeurIPS 2021): normalised tiles (N, 3, h, w) in, logits (N, C, h / 4, w / 4) out.

    Between layers, places are the rows of matrices (N, h * w, channels): tokens. Convolutions take the same memory as
    maps with channels last. So nothing is copied to change from one to the other.

    Parameters
    ----------
    shape : Shape
        Its numbers. All sides of tiles are multiples of the product of its strides.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_Stage(shape, index) for index in range(shape.num_encoder_blocks))
        self.head = FoldedHead(shape.hidden_sizes, shape.decoder_hidden_size, shape.classes)

    @property
    def classifier(self) -> nn.Module:
        """The last layer, whose bias is a constant for each class."""
        return self.head.classifier

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits."""
        features = [pixels.contiguous(memory_format=torch.channels_last)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        logits: Tensor = self.head(features[1:])
        return logits


class _Stage(nn.Module):
    """A stage of the encoder: a map in, a coarser one out."""

    def __init__(self, shape: Shape, index: int) -> None:
        super().__init__()
        channels, patch = shape.hidden_sizes[index], shape.patch_sizes[index]
        before = shape.hidden_sizes[index - 1] if index else 3
        self.embedding = nn.Conv2d(before, channels, patch, shape.strides[index], patch // 2)
        self.embedding_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(_Block(shape, index) for _ in range(shape.depths[index]))
        self.norm = nn.LayerNorm(channels)

    def forward(self, pixels: Tensor) -> Tensor:
        embedded = self.embedding(pixels)
        size = embedded.shape[2:]
        tokens = self.embedding_norm(_as_tokens(embedded))
        for block in self.blocks:
            tokens = block(tokens, size)
        return _as_map(self.norm(tokens), size)


class _Block(nn.Module):
    def __init__(self, shape: Shape, index: int) -> None:
        super().__init__()
        channels = shape.hidden_sizes[index]
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = _Attention(channels, shape.num_attention_heads[index], shape.sr_ratios[index])
        self.perceptron_norm = nn.LayerNorm(channels)
        inner = int(channels * shape.mlp_ratios[index])
        self.perceptron = _Perceptron(channels, inner, ACTIVATIONS[shape.hidden_act])

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens), size)
        mixed: Tensor = tokens + self.perceptron(self.perceptron_norm(tokens), size)
        return mixed


class _Attention(nn.Module):
    """Attention of all tokens to keys, each of which stands for `reduction` x `reduction` tokens."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(channels, channels)
        self.keys_values = nn.Linear(channels, 2 * channels)
        self.output = nn.Linear(channels, channels)
        self.reduction = nn.Conv2d(channels, channels, reduction, reduction) if reduction > 1 else None
        self.reduction_norm = nn.LayerNorm(channels) if reduction > 1 else None

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        count, places, channels = tokens.shape
        reduced = tokens
        if self.reduction is not None and self.reduction_norm is not None:
            reduced = self.reduction_norm(_as_tokens(self.reduction(_as_map(tokens, size))))
        queries = self.queries(tokens).view(count, places, self.heads, -1).transpose(1, 2)
        both = self.keys_values(reduced).view(count, -1, 2, self.heads, channels // self.heads)
        keys, values = both.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(queries, keys, values)
        output: Tensor = self.output(attended.transpose(1, 2).reshape(count, places, channels))
        return output


class _Perceptron(nn.Module):
    """Two layers, and a convolution between them that tells tokens where they lie."""

    def __init__(self, channels: int, inner: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.widen = nn.Linear(channels, inner)
        self.depthwise = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.activation = activation
        self.narrow = nn.Linear(inner, channels)

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        mixed = _as_tokens(self.depthwise(_as_map(self.widen(tokens), size)))
        output: Tensor = self.narrow(self.activation(mixed))
        return output


def _as_map(tokens: Tensor, size: Any) -> Tensor:
    """Return tokens (N, h * w, channels) as a map (N, channels, h, w) with channels last, in the same memory."""
    return tokens.transpose(1, 2).view(tokens.shape[0], tokens.shape[2], *size)


def _as_tokens(pixels: Tensor) -> Tensor:
    """Return a map (N, channels, h, w) as tokens (N, h * w, channels), in the same memory."""
    return pixels.flatten(2).transpose(1, 2)
