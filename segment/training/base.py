"""Make the network that a training starts from: a preset with random weights, or a trained SegFormer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import SegformerForSemanticSegmentation
from transformers.utils import logging as transformers_logging

from segment.errors import CheckpointError, ModelNameError
from segment.model.checkpoint import locate_base
from segment.model.config import Normalisation, class_entries, tiling_entry
from segment.model.presets import Size, make_config
from segment.model.weights import load_network, read_json, read_weights
from segment.training.licence import Licence, licence_of
from segment.training.warm import HEAD, names_of, take_over_classes, taken_over
from tiler.classes import ClassTable
from tiler.grid.tiling import Tiling

_log = logging.getLogger(__name__)


def load_base(
    base: str, classes: ClassTable, tiling: Tiling, *, seed: int, dropout: float = 0.1
) -> tuple[SegformerForSemanticSegmentation, Normalisation]:
    """Return a network for the classes, float32 on the CPU, and how it wants its input.

    The base must have all weights of the encoder. Those of the head that it lacks are drawn at random. So are the rows
    of the classifier for classes whose names it does not have; the others get the row of their name. The log says what
    was taken.

    Parameters
    ----------
    base : str
        A preset of `segment.model.presets`, whose weights are all random; or the folder or hub id of a checkpoint,
        of an encoder such as nvidia/mit-b0 or of a whole model.
    classes : ClassTable
        The classes of the network.
    tiling : Tiling
        Goes into the `tiling` entry of its config.
    seed : int
        Seed of the weights that are drawn.
    dropout : float
        What training drops, see `TrainRequest.dropout`. The default is that of SegFormer's authors.

    Raises
    ------
    CheckpointError
        If the base cannot be found or loaded, or weights of its encoder are missing.
    """
    dropped = {"classifier_dropout_prob": dropout, "drop_path_rate": dropout}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if (preset := _preset(base)) is not None:
            return SegformerForSemanticSegmentation(make_config(preset, classes, tiling, **dropped)), Normalisation()
        return _load(base, classes, tiling, dropped)


def find_licence(base: str) -> Licence:
    """Return what is known of the licence of a base that was found."""
    return licence_of(base, None if _preset(base) is not None else locate_base(base)[0])


def refuse_missing(base: str) -> None:
    """Raise unless a base is a preset or a SegFormer that can be found; no weight is read.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    if _preset(base) is None:
        try:
            locate_base(base)
        except ModelNameError as error:
            if "/" in base:
                raise
            raise ModelNameError(f"{error}; or give a size for random weights: {', '.join(get_args(Size))}") from error


def _preset(base: str) -> Size | None:
    for preset in get_args(Size):
        if base == preset:
            if Path(base).is_dir():
                raise ModelNameError(f"{base} is a preset and a folder here: say ./{base} for the folder")
            return preset  # type: ignore[no-any-return]
    return None


def load_state(checkpoint: Path) -> SegformerForSemanticSegmentation:
    """Return the network of a checkpoint that the Trainer wrote, float32 on the CPU.

    transformers 5.23 stores nearly all weights of a SegFormer under their old names. The Trainer's own loading passes
    over those without a word. `from_pretrained` knows both names.

    Raises
    ------
    CheckpointError
        If weights of the config are missing, or others are there.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    network, report = SegformerForSemanticSegmentation.from_pretrained(
        checkpoint, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    if report["missing_keys"] or report["unexpected_keys"]:
        raise CheckpointError(
            f"{checkpoint}: its weights are not those of its config; delete it to go back to the state before it"
        )
    return network.float()


def _load(
    base: str, classes: ClassTable, tiling: Tiling, dropped: Mapping[str, float]
) -> tuple[SegformerForSemanticSegmentation, Normalisation]:
    folder, normalisation = locate_base(base)
    network, report = load_network(folder, **class_entries(classes), **dropped)
    lacking = _lacking(report)
    _refuse_gaps(base, lacking)
    config = read_json(folder / "config.json")
    kept, new = take_over_classes(network, read_weights(folder), names_of(config), classes)
    for line in taken_over(network, lacking, names_of(config), kept, new).lines(base):
        _log.info("%s", line)
    _warn_of_another_input(base, config.get("tiling"), tiling)
    network.config.tiling, network.config.calibration = tiling_entry(tiling, classes), None
    return network.float(), normalisation


def _warn_of_another_input(base: str, before: Any, tiling: Tiling) -> None:
    """Say if the base saw windows of this size at another resolution, because all things change their size for it."""
    if not isinstance(before, dict) or before.get("window_px") != tiling.window_px:
        return
    if (side := before.get("input_px", tiling.input_px)) != tiling.input_px:
        _log.warning("%s saw windows of %s px at an input of %s px, and goes on at %d px, another scale; "
                     "--input %s keeps its own", base, tiling.window_px, side, tiling.input_px, side)  # fmt: skip


def _lacking(report: dict[str, Any]) -> set[str]:
    """Return the names of weights that a base lacks, or has in another shape."""
    return {*map(str, report["missing_keys"]), *(str(key) for key, *_ in report["mismatched_keys"])}


def _refuse_gaps(base: str, lacking: set[str]) -> None:
    encoder = sorted(key for key in lacking if not key.startswith(HEAD))
    if encoder:
        raise CheckpointError(
            f"{base}: {len(encoder)} weights of the encoder are missing or of another shape, such as "
            f"{', '.join(encoder[:3])}; only the head ({HEAD}*) may be"
        )
