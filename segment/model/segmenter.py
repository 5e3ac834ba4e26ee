"""Load a checkpoint as the network that engines run, without transformers once the two were seen to agree."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segment.model.checkpoint import Description, load_checkpoint
from segment.model.head import folded
from segment.model.kept import kept_folder
from segment.model.network import Normalised, Segformer, Shape
from segment.model.weights import NETWORK_KEYS, read_json, read_weights
from tiler.files.atomic import write_whole

NOISE_SHAPES = ((256, 256), (192, 320))
"""Shapes of the tiles of noise on which networks are compared."""
_FORM = 1  # raised by one when the network computes something else, so that it is compared with transformers' again
_TOLERANCE = 1e-4
_NOT_READ = {"num_channels", "layer_norm_eps", "batch_norm_eps"}
"""The first is 3 wherever a checkpoint is described. No release of transformers reads the others."""
_MISFIT = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What is raised where a network of another kind is built or filled."""
_NAMES = (
    (r"segformer\.encoder\.patch_embeddings\.(\d+)\.proj\.", r"stages.\1.embedding."),
    (r"segformer\.encoder\.patch_embeddings\.(\d+)\.layer_norm\.", r"stages.\1.embedding_norm."),
    (r"segformer\.encoder\.layer_norm\.(\d+)\.", r"stages.\1.norm."),
    (r"segformer\.encoder\.block\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.layer_norm_1\.", ".attention_norm."),
    (r"\.attention\.self\.query\.", ".attention.queries."),
    (r"\.attention\.self\.sr\.", ".attention.reduction."),
    (r"\.attention\.self\.layer_norm\.", ".attention.reduction_norm."),
    (r"\.attention\.output\.dense\.", ".attention.output."),
    (r"\.layer_norm_2\.", ".perceptron_norm."),
    (r"\.mlp\.dense1\.", ".perceptron.widen."),
    (r"\.mlp\.dwconv\.dwconv\.", ".perceptron.depthwise."),
    (r"\.mlp\.dense2\.", ".perceptron.narrow."),
    (r"decode_head\.classifier\.", "head.classifier."),
)
"""Parts of names in a file, and here. All releases of transformers write the same names."""
_KEYS = ".attention.self.key."
_log = logging.getLogger(__name__)


def load_segmenter(description: Description, digest: str) -> Normalised:
    """Return the network of a checkpoint: uint8 tiles in, logits out; float32, on the CPU, for inference.

    It is noseam's own. The first run with a checkpoint compares its logits with those of transformers' network, on two
    tiles of noise in float32, and notes in the user's cache folder that they agreed. Later runs import no transformers.
    If the two differ by more than 1e-4 of the largest logit, or noseam's own cannot be made from the checkpoint,
    transformers' network runs, and the log says so.

    Parameters
    ----------
    description : Description
        The checkpoint.
    digest : str
        Digest of its weights, see `weights_digest`.

    Raises
    ------
    CheckpointError
        If weights are missing, damaged, of another shape than the config says, or not finite.
    """
    note = kept_folder("agreed") / f"{digest}-{_release('torch')}-{_release('transformers')}-{_FORM}"
    network: nn.Module | None = _own(description)
    if network is None or not note.exists():
        network = _judged(description, network, load_checkpoint(description).network, note)
    return Normalised(network, description.normalisation).requires_grad_(False).eval()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Return a tile of noise, shape (1, 3, height, width), the same at each call."""
    return np.random.default_rng(0).integers(0, 256, (1, 3, height, width), dtype=np.uint8)


class Stock(nn.Module):
    """A network of transformers, called as `Normalised` calls networks.

    Parameters
    ----------
    network : nn.Module
        `SegformerForSemanticSegmentation`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def classifier(self) -> nn.Module:
        """The last layer, whose bias is a constant for each class."""
        head: Any = self.network.decode_head
        last: nn.Module = head.classifier
        return last

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


def _own(description: Description) -> Segformer | None:
    """Return noseam's own network for a checkpoint; None if its config or its names of weights are of another kind."""
    weights = read_weights(description.folder)
    config = read_json(description.folder / "config.json")
    entries = {key: config[key] for key in NETWORK_KEYS if key in config and key not in _NOT_READ}
    try:
        shape = Shape(classes=len(description.classes), **entries)
        with torch.device("meta"):
            network = Segformer(shape)
        found = {**dict(_renamed(weights)), **folded(weights, shape.num_encoder_blocks)}
        network.load_state_dict({name: found[name] for name in network.state_dict()}, assign=True)
    except _MISFIT as error:
        kind = type(error).__name__
        _log.info("%s is of another kind than noseam's own network: %s (%s)", description.name, error, kind)
        return None
    return network.eval()


def _renamed(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of the encoder and the classifier by their names here; keys and values as one matrix."""
    for name, tensor in weights.items():
        if _KEYS in name:
            tensor = torch.cat([tensor, weights[name.replace(_KEYS, ".attention.self.value.")]])
            name = name.replace(_KEYS, ".attention.keys_values.")
        for theirs, ours in _NAMES:
            name = re.sub(theirs, ours, name)
        yield name, tensor.float()


def _judged(description: Description, own: nn.Module | None, stock: nn.Module, note: Path) -> nn.Module:
    """Return noseam's own network, and note so, if its logits are those of transformers' network; else that one."""
    theirs = Stock(stock)
    if own is None:
        _log.warning("%s: noseam's own network cannot be made from it, so that of transformers runs", description.name)
        return theirs
    difference = _difference(*(Normalised(network, description.normalisation) for network in (own, theirs)))
    if not difference <= _TOLERANCE:
        _log.warning(
            "%s: the logits of noseam's own network differ from those of transformers' by %.1e of the largest, so that "
            "of transformers runs", description.name, difference,
        )  # fmt: skip
        return theirs
    with suppress(OSError):  # then the next run compares them again
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, f"{difference:.1e}\n".encode())
    return own


@torch.inference_mode()
def _difference(found: Normalised, expected: Normalised) -> float:
    """Return by how much the logits of tiles of noise differ at most, in parts of the largest; NaN if any is none."""
    tiles = [torch.from_numpy(noise(*shape)) for shape in NOISE_SHAPES]
    pairs = [(found(tile), expected(tile)) for tile in tiles]
    return float(torch.stack([(one - other).abs().max() / other.abs().max() for one, other in pairs]).max())


def _release(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
