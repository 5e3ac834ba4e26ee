"""The network as engines run it: its decode head folded, its normalisation in front."""

from __future__ import annotations

import copy
import logging
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from segment.model.config import Normalisation

_TOLERANCE = 1e-4
_FINEST_SIDE = 16
_log = logging.getLogger(__name__)


class Normalised(nn.Module):
    """A network with its normalisation in front: uint8 tiles (N, 3, h, w) in, logits (N, C, h / 4, w / 4) out.

    One byte per sample crosses to the device.

    Parameters
    ----------
    network : nn.Module
        `SegformerForSemanticSegmentation`, its head folded or not.
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
        logits: Tensor = self.network(pixel_values=tiles.float() * self.gain + self.bias).logits
        return logits


class FusedHead(nn.Module):
    """SegFormer's decode head as one 1 x 1 convolution per stage, at the stage's own resolution.

    The stock head (Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation
    with Transformers", 2021, section 3.2) projects every stage to D channels, upsamples all to the
    finest, concatenates, mixes them with a 1 x 1 convolution and normalises. All steps are linear. Upsampling acts on
    places alone, and every other step acts on channels alone. So they commute: projection, mixing and normalisation
    fold into one matrix per stage, which is applied before upsampling.

    Parameters
    ----------
    matrices : sequence of Tensor
        Per stage, finest first, the folded matrix (D, channels of the stage).
    bias : Tensor
        What all stages together add, shape (D,).
    classifier : nn.Conv2d
        The stock head's own, D channels to C classes.
    """

    def __init__(self, matrices: list[Tensor], bias: Tensor, classifier: nn.Conv2d) -> None:
        super().__init__()
        self.channels = [matrix.shape[1] for matrix in matrices]
        self.stages = nn.ModuleList(nn.Conv2d(matrix.shape[1], matrix.shape[0], 1, bias=False) for matrix in matrices)
        for stage, matrix in zip(self.stages, matrices, strict=True):
            stage.weight = nn.Parameter(matrix.float()[:, :, None, None], requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.classifier = classifier

    def forward(self, features: tuple[Tensor, ...], *_: Any, **__: Any) -> Tensor:
        """Return logits (N, C, h, w) for features (N, channels, h / 2^i, w / 2^i) of the stages i."""
        finest = features[0].shape[2:]
        mixed = self.stages[0](features[0]) + self.bias[:, None, None]
        for stage, feature in zip(self.stages[1:], features[1:], strict=True):
            mixed = mixed + functional.interpolate(stage(feature), size=finest, mode="bilinear", align_corners=False)
        logits: Tensor = self.classifier(functional.relu(mixed))
        return logits


def fuse_head(network: nn.Module) -> nn.Module:
    """Return a network with its decode head folded; it shares all other weights with the one given.

    The head is recognised by its structure, because releases of transformers name its parts differently. The folded
    head is compared with it on random features. If the structure is another, or the two differ by more than 1e-4 of
    the largest logit, the network itself is returned and the log says so.

    Parameters
    ----------
    network : nn.Module
        `SegformerForSemanticSegmentation` in evaluation mode, float32, on the CPU.
    """
    for name, head in network.named_children():
        fused = _fold(head)
        if fused is None or getattr(network.config, "reshape_last_stage", True) is False:
            continue
        error = _relative_error(head, fused)
        if error > _TOLERANCE:
            _log.warning("the folded decode head differs by %.1e of the largest logit; the stock head runs", error)
            return network
        twin = copy.copy(network)
        twin._modules = {**network._modules, name: fused.eval()}
        return twin
    _log.warning("the decode head has a structure that cannot be folded; the stock head runs")
    return network


def _fold(head: nn.Module) -> FusedHead | None:
    """Return a head folded, or None if it is not made of the parts that SegFormer's is made of."""
    projections = [part for part in head.modules() if isinstance(part, nn.Linear)]
    convolutions = [part for part in head.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in head.modules() if isinstance(part, nn.BatchNorm2d)]
    if not projections or len(convolutions) != 2 or len(norms) != 1:
        return None
    (mix, classifier), (norm,) = convolutions, norms
    widths = [projection.out_features for projection in projections]
    pointwise = mix.kernel_size == classifier.kernel_size == (1, 1)
    if not pointwise or mix.in_channels != sum(widths) or not norm.affine or norm.running_var is None:
        return None
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    assert norm.running_mean is not None
    bias = norm.bias.double() - gain * norm.running_mean.double()
    if mix.bias is not None:
        bias = bias + gain * mix.bias.double()
    mixing = mix.weight[:, :, 0, 0].double() * gain[:, None]
    matrices = []
    for projection, reach in zip(projections, accumulate(widths), strict=True):
        start = mix.in_channels - reach  # in the mix the coarsest stage comes first
        share = mixing[:, start : start + projection.out_features]
        matrices.append(share @ projection.weight.double())
        if projection.bias is not None:
            bias = bias + share @ projection.bias.double()
    return FusedHead([matrix.detach() for matrix in matrices], bias.detach(), classifier)


@torch.inference_mode()
def _relative_error(head: nn.Module, fused: FusedHead) -> float:
    """Return the largest difference of two heads on random features, as a fraction of the largest logit."""
    generator = torch.Generator().manual_seed(0)
    sides = (max(_FINEST_SIDE >> index, 1) for index in range(len(fused.channels)))
    features = tuple(
        torch.randn(1, channels, side, side, generator=generator)
        for channels, side in zip(fused.channels, sides, strict=True)
    )
    try:
        expected = head(features)
    except Exception as error:  # another release's head may want other arguments
        _log.debug("the stock head did not run on its own: %s", error)
        return float("inf")
    return float((fused(features) - expected).abs().max() / expected.abs().max())
