"""Read a SegFormer's weights into its network: tensors and numbers, nothing that a file could run."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segment.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import SegformerForSemanticSegmentation

NETWORK_KEYS = (
    "batch_norm_eps",
    "decoder_hidden_size",
    "depths",
    "hidden_act",
    "hidden_sizes",
    "layer_norm_eps",
    "mlp_ratios",
    "num_attention_heads",
    "num_channels",
    "num_encoder_blocks",
    "patch_sizes",
    "reshape_last_stage",
    "sr_ratios",
    "strides",
)
"""Entries of a config that decide the logits."""
_TRAINING_KEYS = (
    "attention_probs_dropout_prob",
    "classifier_dropout_prob",
    "drop_path_rate",
    "hidden_dropout_prob",
    "initializer_range",
)
_PART = re.compile(r"\w[\w.-]{,200}", re.ASCII)
_WHOLE = ("model.safetensors", "pytorch_model.bin")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    CheckpointError
        If the file cannot be read or holds anything else.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: an object expected, {type(content).__name__} found")
    return content


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a checkpoint's weights: safetensors rather than pickles, one file rather than its parts.

    Raises
    ------
    CheckpointError
        If there are none, or an index names anything but weight files beside it.
    """
    for name in _WHOLE:
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _parts(index, Path(name).suffix)
    raise CheckpointError(f"{folder}: no weights there; expected {_WHOLE[0]}, such as noseam train writes")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint by their names in its files, on the CPU.

    Raises
    ------
    CheckpointError
        If there are none, or they cannot be read.
    """
    return {name: tensor for file in weight_files(folder) for name, tensor in _read(file).items()}


def load_network(folder: Path, **entries: Any) -> tuple[SegformerForSemanticSegmentation, dict[str, Any]]:
    """Return a network with the weights of a checkpoint, and transformers' report on what was missing or did not fit.

    Of `config.json` only the numbers that shape a SegFormer count. Any other entry might make transformers import a
    package or fetch code, as `attn_implementation` does where the package kernels is installed. transformers gets no
    folder, because it would load adapters from there.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    **entries
        Entries of the config that replace its own, or stand beside them, such as its classes.

    Raises
    ------
    CheckpointError
        If the weights or the config cannot be read.
    """
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = folder / "config.json"
    content = read_json(path)
    known = {key: content[key] for key in (*NETWORK_KEYS, *_TRAINING_KEYS) if key in content}
    weights = read_weights(folder)
    try:
        network, report = SegformerForSemanticSegmentation.from_pretrained(
            None,
            config=SegformerConfig(**(known | entries)),
            state_dict=weights,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that the report lists them; whoever calls refuses them
        )
    except Exception as error:  # torch and transformers each raise classes of their own
        raise CheckpointError(f"{path}: no SegFormer can be made from it: {error}") from error
    return network, report


def _parts(index: Path, suffix: str) -> tuple[Path, ...]:
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise CheckpointError(f"{index}: weight_map expected, a file name for each weight, {files!r:.80} found")
    names = sorted(set(map(str, files.values())))
    for name in names:
        if not (_PART.fullmatch(name) and name.endswith(suffix)):
            raise CheckpointError(f"{index}: the name of a {suffix} file beside it expected, {name!r:.80} found")
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index}: no file {name} beside it; copy or download the checkpoint again")
    return tuple(index.parent / name for name in names)


def _read(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # of torch; its text says how to run the code
        raise CheckpointError(
            f"{path}: the weights cannot be loaded: a pickle of plain tensors expected, found a damaged one or one "
            "that could run code; get the checkpoint as model.safetensors"
        ) from error
    except Exception as error:  # torch and safetensors each raise classes of their own
        raise CheckpointError(
            f"{path}: the weights cannot be loaded: {error}; copy or download the checkpoint again"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise CheckpointError(f"{path}: the weights cannot be loaded: tensors by name expected, other objects found")
    return found
