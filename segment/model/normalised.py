"""The network with its normalisation in front, so that one byte per sample goes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segment.model.checkpoint import Normalisation


class Normalised(nn.Module):
    """Uint8 tiles (N, 3, h, w) in, logits (N, C, h / 4, w / 4) out.

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
