"""SegFormers of preset shape: their configs, and checkpoints of them with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segment.model.config import Normalisation, class_entries, tiling_entry
from segment.model.save import write_checkpoint
from tiler.classes import ClassTable
from tiler.grid.tiling import Tiling

if TYPE_CHECKING:
    from transformers import SegformerConfig

Size = Literal["nano", "mini", "b0", "b1", "b2", "b3", "b4", "b5"]


def _shape(depths: list[int], hidden: list[int], heads: list[int], decoder: int) -> dict[str, Any]:
    return {"depths": depths, "hidden_sizes": hidden, "num_attention_heads": heads, "decoder_hidden_size": decoder}


_NARROW, _WIDE, _HEADS = [32, 64, 160, 256], [64, 128, 320, 512], [1, 2, 5, 8]

SIZES: Mapping[Size, dict[str, Any]] = {
    "nano": _shape([1, 1, 1, 1], [8, 16, 24, 32], [1, 2, 3, 4], 32),
    "mini": _shape([2, 2, 2, 2], [32, 64, 128, 192], [1, 2, 4, 6], 128),
    "b0": _shape([2, 2, 2, 2], _NARROW, _HEADS, 256),
    "b1": _shape([2, 2, 2, 2], _WIDE, _HEADS, 256),
    "b2": _shape([3, 4, 6, 3], _WIDE, _HEADS, 768),
    "b3": _shape([3, 4, 18, 3], _WIDE, _HEADS, 768),
    "b4": _shape([3, 8, 27, 3], _WIDE, _HEADS, 768),
    "b5": _shape([3, 6, 40, 3], _WIDE, _HEADS, 768),
}
"""Keywords of `SegformerConfig` per preset: `b0` to `b5` are MiT-B0 to MiT-B5 (Xie et al., SegFormer,
NeurIPS 2021, table 6); `nano` (58 thousand weights) and `mini` (2.3 million) are ours, for tests and CPUs."""


def make_config(preset: Size, classes: ClassTable, tiling: Tiling, **more: Any) -> SegformerConfig:
    """Return the config of a network of preset shape.

    Parameters
    ----------
    preset : str
        A key of `SIZES`.
    classes : ClassTable
        Names and colours.
    tiling : Tiling
        Goes into the `tiling` entry.
    **more
        Other keywords of `SegformerConfig`.
    """
    from transformers import SegformerConfig

    return SegformerConfig(**SIZES[preset], **class_entries(classes), tiling=tiling_entry(tiling, classes), **more)


def write_untrained(folder: Path, classes: ClassTable, tiling: Tiling, *, preset: Size = "nano", seed: int = 0) -> None:
    """Write a checkpoint folder with random weights.

    The weights are drawn wider than for training, and the classifier without bias, so that every
    class wins somewhere.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    classes : ClassTable
        Names and colours.
    tiling : Tiling
        Goes into the config's `tiling` entry.
    preset : str
        A key of `SIZES`.
    seed : int
        The same seed gives the same weights.
    """
    import torch
    from transformers import SegformerForSemanticSegmentation

    config = make_config(preset, classes, tiling, initializer_range=0.1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegformerForSemanticSegmentation(config)
    write_checkpoint(network, folder, Normalisation(), tiling.input_px)
