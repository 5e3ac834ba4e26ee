"""Write a network as a checkpoint folder that `segment.model.checkpoint` and transformers load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from segment.model.config import Normalisation

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import SegformerForSemanticSegmentation


def write_checkpoint(
    network: SegformerForSemanticSegmentation,
    folder: Path,
    normalisation: Normalisation,
    input_px: int,
    *,
    half: bool = False,
) -> None:
    """Write `config.json`, `model.safetensors` and `preprocessor_config.json`.

    Parameters
    ----------
    network : SegformerForSemanticSegmentation
        Its config names the classes and holds the `tiling` entry.
    folder : Path
        Made if it is not there.
    normalisation : Normalisation
        How the network wants its input.
    input_px : int
        Side of a tile, model pixels.
    half : bool
        Store matrices and kernels as float16, half the bytes. Vectors (biases, norms, the running
        variance, which float16 cannot always hold) stay float32, and so does the loaded network.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    weights = network.state_dict()
    network.save_pretrained(folder, state_dict=_halve(weights) if half else weights)
    processing = {
        "image_processor_type": "SegformerImageProcessor",
        "do_rescale": True, "rescale_factor": normalisation.rescale,
        "do_normalize": True, "image_mean": normalisation.mean, "image_std": normalisation.std,
        "do_resize": True, "size": {"height": input_px, "width": input_px},
        "do_reduce_labels": False,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processing, indent=2) + "\n")


def _halve(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in weights.items()}
