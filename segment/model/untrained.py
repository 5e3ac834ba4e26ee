"""Make a small SegFormer checkpoint with random weights: the real files and formats, meaningless labels."""

from __future__ import annotations

from pathlib import Path

from segment.model.checkpoint import Normalisation
from segment.model.presets import Size, make_config
from segment.model.save import write_checkpoint
from tiler.classes import ClassTable
from tiler.grid.tiling import Tiling


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
        A preset, see `segment.model.presets`.
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
