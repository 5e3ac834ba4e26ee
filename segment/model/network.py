"""Interim."""

from torch import Tensor, nn

from segment.model.checkpoint import Description, load_checkpoint
from segment.model.fusion import Normalised, fuse_head


class _Cast(Normalised):
    def forward(self, tiles: Tensor) -> Tensor:
        pixels = tiles.float() * self.gain.float() + self.bias.float()
        logits: Tensor = self.network(pixel_values=pixels.to(self.gain.dtype)).logits
        return logits


def load_segmenter(description: Description, digest: str) -> nn.Module:
    return (
        _Cast(fuse_head(load_checkpoint(description).network), description.normalisation).eval().requires_grad_(False)
    )
