"""SegFormer's decode head, folded into one matrix per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_NORM_EPS = 1e-5
"""What the batch norm of the decode head adds to a variance, in all releases of transformers."""
_HEAD = "decode_head."


class FoldedHead(nn.Module):
    """SegFormer's decode head as one 1 x 1 convolution per stage, at the stage's own resolution.

    The stock head (Xie et al., "SegFormer", NeurIPS 2021, section 3.2) projects every stage to D channels, upsamples
    all to the finest, concatenates, mixes them with a 1 x 1 convolution and normalises. All steps are linear.
    Upsampling acts on places alone, and every other step acts on channels alone. So they commute: projection, mixing
    and normalisation fold into one matrix per stage, which is applied before upsampling.

    Parameters
    ----------
    channels : sequence of int
        Channels of each stage, finest first.
    width : int
        D.
    classes : int
        Number of classes.
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(each, width, 1, bias=not index) for index, each in enumerate(channels))
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (N, classes, h, w) for features (N, channels, h / 2^i, w / 2^i) of the stages i."""
        finest, *coarser = (stage(feature) for stage, feature in zip(self.stages, features, strict=True))
        # PyTorch's compiler fuses PyTorch's own upsampling with what is around it.
        by_products = finest.is_cuda and not torch.compiler.is_compiling()
        upsample = upsampled_by_products if by_products else upsampled
        logits: Tensor = self.classifier(functional.relu(upsample(coarser, finest)))
        return logits


def upsampled(coarser: Sequence[Tensor], finest: Tensor) -> Tensor:
    """Return the sum of maps (N, D, h, w), all upsampled bilinearly to the finest of them."""
    for each in coarser:
        finest = finest + functional.interpolate(each, finest.shape[2:], mode="bilinear", align_corners=False)
    return finest


def upsampled_by_products(coarser: Sequence[Tensor], finest: Tensor) -> Tensor:
    """Return what `upsampled` does, by matrix products: rows of each map, then columns of all at once.

    On CUDA, PyTorch's own upsampling of maps with channels last takes several times as long.
    """
    if not coarser:
        return finest
    count, width, height, columns = finest.shape
    rows = [
        (_linear(each.shape[2], height, each) @ each.permute(0, 2, 3, 1).flatten(2)).view(count, height, -1, width)
        for each in coarser
    ]
    weights = torch.cat([_linear(each.shape[3], columns, each) for each in coarser], 1)
    return finest + (weights @ torch.cat(rows, 2)).permute(0, 3, 1, 2)


def _linear(few: int, many: int, like: Tensor) -> Tensor:
    """Return the weights of linear interpolation from few places to many, shape (many, few)."""
    unit = torch.eye(few, dtype=like.dtype, device=like.device)
    return functional.interpolate(unit[None], many, mode="linear", align_corners=False)[0].T


def folded(weights: Mapping[str, Tensor], stages: int) -> dict[str, Tensor]:
    """Return the weights of a `FoldedHead`, but for its classifier, by their names in the whole network.

    Parameters
    ----------
    weights : mapping
        Those of a file, by the names that all releases of transformers write.
    stages : int
        Number of stages.

    Raises
    ------
    LookupError
        If a weight of the stock head is missing.
    """
    head = {name.removeprefix(_HEAD): tensor.double() for name, tensor in weights.items() if name.startswith(_HEAD)}
    gain = head["batch_norm.weight"] / torch.sqrt(head["batch_norm.running_var"] + _NORM_EPS)
    bias = head["batch_norm.bias"] - gain * head["batch_norm.running_mean"]
    mixing = (head["linear_fuse.weight"][:, :, 0, 0] * gain[:, None]).chunk(stages, dim=1)
    found = {}
    for stage, share in enumerate(reversed(mixing)):  # the coarsest stage comes first there
        matrix = share @ head[f"linear_c.{stage}.proj.weight"]
        found[f"head.stages.{stage}.weight"] = matrix[:, :, None, None].float()
        bias = bias + share @ head[f"linear_c.{stage}.proj.bias"]
    return {**found, "head.stages.0.bias": bias.float()}
