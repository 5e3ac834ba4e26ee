"""Make a small SegFormer checkpoint with random weights: the real files and formats, meaningless labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from segment.checkpoint import Normalisation
from tiler.classes import ClassTable
from tiler.tiling import Tiling

Size = Literal["nano", "b0"]
_SHAPES = {
    "nano": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 32,
             "num_attention_heads": [1, 2, 3, 4]},
    "b0": {"depths": [2, 2, 2, 2], "hidden_sizes": [32, 64, 160, 256], "decoder_hidden_size": 256,
           "num_attention_heads": [1, 2, 5, 8]},
}  # fmt: skip


def write_untrained(folder: Path, classes: ClassTable, tiling: Tiling, *, size: Size = "nano", seed: int = 0) -> None:
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
    size : str
        `nano` (34 thousand weights) or `b0` (3.7 million, the shape of MiT-B0).
    seed : int
        The same seed gives the same weights.
    """
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation
    from transformers.utils import logging

    logging.disable_progress_bar()
    entry = {"window_px": tiling.window_px, "input_px": tiling.input_px, "overlap": tiling.overlap}
    if tiling.gsd_m is not None:
        entry["gsd_m"] = tiling.gsd_m
    config = SegformerConfig(
        **_SHAPES[size],
        initializer_range=0.1,
        id2label=dict(enumerate(classes.names)),
        label2id={name: index for index, name in enumerate(classes.names)},
        tiling={**entry, "colors": [list(colour) for colour in classes.colours]},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegformerForSemanticSegmentation(config)
    network.save_pretrained(folder)
    default = Normalisation()
    processing = {
        "image_processor_type": "SegformerImageProcessor",
        "do_rescale": True, "rescale_factor": default.rescale,
        "do_normalize": True, "image_mean": default.mean, "image_std": default.std,
        "do_resize": True, "size": {"height": tiling.input_px, "width": tiling.input_px},
        "do_reduce_labels": False,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processing, indent=2) + "\n")
