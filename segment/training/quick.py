"""What makes a training quicker and changes nothing of what it computes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import SegformerForSemanticSegmentation
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

from segment.model.head import upsampled_by_products

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's malloc.h."""
_KEPT_BYTES = 2**30


class QuickHead(SegformerDecodeHead):  # type: ignore[misc]
    """SegFormer's decode head with its stock weights, which mixes channels before it upsamples.

    The stock head projects each stage to D channels, upsamples all to the finest, and mixes 4 D channels of each of its
    places. Projection and mixing act on channels, upsampling on places, and all are linear. So they commute, see
    `segment.model.head.FoldedHead`: here projection and mixing are one matrix per stage, which acts on the stage's own
    places. Batch norm comes after them, as in the stock head, because its statistics change with every batch.
    """

    def forward(self, encoder_hidden_states: Sequence[Tensor], **_: Any) -> Tensor:
        """Return logits (N, classes, h, w) for the maps of the stages, finest first."""
        projections = self.linear_projections if hasattr(self, "linear_projections") else self.linear_c
        shares = reversed(self.linear_fuse.weight[:, :, 0, 0].chunk(len(projections), dim=1))
        finest, *coarser = (
            _mixed(stage, share, projection.proj)
            for stage, share, projection in zip(encoder_hidden_states, shares, projections, strict=True)
        )
        mixed = self.activation(self.batch_norm(upsampled_by_products(coarser, finest)))
        logits: Tensor = self.classifier(self.dropout(mixed))
        return logits


def _mixed(stage: Tensor, share: Tensor, projection: nn.Linear) -> Tensor:
    """Return a stage, projected and then mixed."""
    matrix, bias = share @ projection.weight, share @ projection.bias
    return functional.conv2d(stage, matrix[:, :, None, None], bias)


def quicken(network: SegformerForSemanticSegmentation) -> SegformerForSemanticSegmentation:
    """Return a network, changed in place, with a `QuickHead` that holds the weights of its head."""
    stock = network.decode_head
    with torch.random.fork_rng(devices=[]):  # no weight that is drawn here is kept, so no draw shall count
        head = QuickHead(network.config).to(stock.classifier.weight.device)
    head.load_state_dict(stock.state_dict())
    network.decode_head = head.train(stock.training)
    return network


def attend_by_products(network: SegformerForSemanticSegmentation) -> None:
    """Let a network's attention be products of matrices, one after the other.

    In bf16, the way back of PyTorch's one function for all of it takes a CPU twice as long as these products do. In
    float32 that function is the faster one, because it never holds all weights of attention at once.
    """
    network.set_attn_implementation("eager")


def keep_memory() -> None:
    """Let this process keep memory that it frees, up to 1 GiB, where its C library is glibc.

    Else each step of a training gives its large tensors back to the system, and gets them anew, page by page.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
