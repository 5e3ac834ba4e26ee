"""Load a SegFormer checkpoint folder or hub id, and refuse whatever would load as a random model."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segment.errors import CheckpointError, ModelNameError
from segment.model.config import (
    Normalisation,
    chosen_balance,
    class_entries,
    read_classes,
    read_frequencies,
    read_measured,
    read_normalisation,
    read_temperature,
    read_tiling,
    read_tuned_balance,
)
from segment.model.cost import TileCost, cost_of
from segment.model.hub import fetch_checkpoint
from segment.model.weights import NETWORK_KEYS, load_network, read_json, weight_files
from tiler.balance import OFF, Balance
from tiler.classes import ClassTable, read_class_table
from tiler.errors import ClassTableError, TilerError
from tiler.grid.tiling import DEFAULT_OVERLAP, Tiling

if TYPE_CHECKING:
    from torch import nn

DRONE_MODEL = "deep-learning-analytics/segformer_semantic_segmentation"
"""Hub id of the model fine-tuned on the Semantic Drone Dataset; its config holds no tiling."""
_DRONE_TILING = Tiling(
    window_px=2000, input_px=512, overlap=DEFAULT_OVERLAP, trained_gsd_m=(0.001 * 2000 / 512, 0.008 * 2000 / 512)
)
"""Its photos are 6000 pixels wide and were taken from 5 to 30 m: 0.1 to 0.8 cm per pixel."""

DEMO_MODEL, START_MODEL = "bundled:demo", "bundled:start"
"""Names of the models that come with noseam: one for its demo, and one that training starts from."""
BUNDLED_MODELS = {
    DEMO_MODEL: Path(__file__).parents[1] / "demo_model",
    START_MODEL: Path(__file__).parents[1] / "start_model",
}
"""Checkpoints that come with noseam. `demo` means `bundled:demo`, unless a folder `demo` holds a checkpoint."""
BUNDLED_BY_SHORT_NAME = {name.partition(":")[2]: name for name in BUNDLED_MODELS}
"""Their full names, by what stands after the colon."""

_NEAR = 0.7
"""A name that is so like that of a bundled model, from 0 to 1, may be a slip of the hand."""

_LARGEST_WEIGHT = 1e12
"""No training leads to a larger weight. A flipped bit of an exponent leads to one, more often than to NaN."""
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a value of the wrong kind raises."""
_log = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Description:
    """What the text files of a checkpoint say; no weights are read."""

    name: str
    """The folder or hub id that the user gave, or the full name of a bundled model."""
    folder: Path
    """Where its files lie."""
    classes: ClassTable
    """Names from `id2label`; colours from the `tiling` entry, or made up."""
    tiling: Tiling
    """From the `tiling` entry, or else what the preprocessor's size says, at scale 1."""
    tiling_source: str
    """Where the tiling came from, for the log."""
    normalisation: Normalisation
    """From `preprocessor_config.json`."""
    cost: TileCost
    """What tiles cost; from the network's shape."""
    temperature: float = 1.0
    """What logits are divided by before they say how sure a label is; from the `calibration` entry."""
    frequencies: tuple[float, ...] = ()
    """How often training showed each class, shares of 1; from the `class_frequencies` entry; empty without it."""
    tuned_balance: float | None = None
    """To which strength training would have classes balanced; from the `class_balance` entry; None without it."""
    measured: str = ""
    """In words how good it is on photos that it does not know; from the `measured` entry; empty without it."""
    balance: Balance = OFF
    """What is added to the logits; nothing, unless the user asks for it, see `balanced`."""

    def balanced(self, asked: float | Literal["auto"]) -> Description:
        """Return the checkpoint with its classes balanced as a user asks; see `chosen_balance`."""
        found = chosen_balance(asked, name=self.name, frequencies=self.frequencies, tuned=self.tuned_balance)
        return replace(self, balance=found)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model ready to run."""

    description: Description
    """What its text files say."""
    network: nn.Module
    """`SegformerForSemanticSegmentation`, in evaluation mode, float32, on the CPU."""


def describe_checkpoint(model: str) -> Description:
    """Return what the text files of a checkpoint say.

    Parameters
    ----------
    model : str
        A folder; a hub id of the form owner/name, which is downloaded unless it is cached; or `bundled:demo`, the
        checkpoint that comes with noseam. `demo` is that one too, unless a folder `demo` holds a checkpoint.

    Raises
    ------
    ModelNameError
        If there is no such folder or hub model, or it is not SegFormer's.
    CheckpointError
        If the hub does not answer, or a file is malformed.
    """
    model = _meant(model)
    folder, config, processing = _read_files(model)
    try:
        if model == DRONE_MODEL and config.get("tiling") is None:
            tiling, source = _DRONE_TILING, "the published recipe of this model"
        else:
            tiling, source = read_tiling(config, processing)
        classes, cost = read_classes(config), cost_of(config)
        normalisation, temperature = read_normalisation(processing), read_temperature(config)
        return Description(
            model, folder, classes, tiling, source, normalisation, cost, temperature,
            read_frequencies(config, len(classes)), read_tuned_balance(config), read_measured(config),
        )  # fmt: skip
    except (TilerError, *_NONSENSE) as error:
        raise CheckpointError(f"{model}: {error}") from error


def locate_base(model: str) -> tuple[Path, Normalisation]:
    """Return the folder and the normalisation of a SegFormer to start training from; its head may be missing.

    Raises
    ------
    CheckpointError
        See `describe_checkpoint`. Its classes do not matter.
    """
    folder, _, processing = _read_files(_meant(model))
    try:
        return folder, read_normalisation(processing)
    except _NONSENSE as error:
        raise CheckpointError(f"{model}: {error}") from error


def is_bundled(model: str) -> bool:
    """Return whether a name means a model that comes with noseam; a checkpoint in a folder here goes first."""
    if model in BUNDLED_BY_SHORT_NAME:
        return not (Path(model) / "config.json").is_file()
    return model in BUNDLED_MODELS


def fit_classes(description: Description, table: Path | None) -> ClassTable:
    """Return the class table to use: the one in a CSV file if given, else the checkpoint's own.

    Raises
    ------
    ClassTableError
        If the file is malformed, or has another number of classes than the checkpoint; the message lists both.
    """
    own = description.classes
    if table is None:
        return own
    classes = read_class_table(table)
    if len(classes) != len(own):
        raise ClassTableError(
            f"{table} has {len(classes)} classes ({', '.join(classes.names)}), "
            f"{description.name} has {len(own)} ({', '.join(own.names)})"
        )
    return classes


def load_checkpoint(description: Description) -> Checkpoint:
    """Load the weights of a described checkpoint.

    Raises
    ------
    CheckpointError
        If weights are missing, damaged, of another shape than the config says, or not finite.
    """
    network, report = load_network(description.folder, **class_entries(description.classes))
    _refuse_gaps(description.name, report)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool((tensor.abs() < _LARGEST_WEIGHT).all()):
            raise CheckpointError(
                f"{description.name}: weights {name} hold NaN, infinity or numbers beyond {_LARGEST_WEIGHT:g}; "
                "the file is damaged, or the training failed"
            )
    return Checkpoint(description, network.float().eval())


def weights_digest(description: Description) -> str:
    """Return 32 hex digits of a checkpoint's weights, shape and normalisation: all that decides its logits.

    Raises
    ------
    CheckpointError
        If it has no weights or they cannot be read.
    """
    files = weight_files(description.folder)
    config = read_json(description.folder / "config.json")
    shape = {key: config.get(key) for key in NETWORK_KEYS} | {"classes": len(description.classes)}
    hasher = hashlib.sha256(json.dumps(shape).encode() + repr(description.normalisation).encode())
    try:
        for path in files:
            hasher.update(path.name.encode())
            with path.open("rb") as file:
                hasher.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise CheckpointError(f"{description.name}: the weights cannot be read: {error}") from error
    return hasher.hexdigest()[:32]


def _read_files(model: str) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return the folder of a SegFormer, its config, and what its preprocessor says, if anything."""
    folder = _locate(model)
    if not (folder / "config.json").is_file():
        raise ModelNameError(f"{model}: no config.json there; expected a SegFormer folder, such as noseam train writes")
    config = read_json(folder / "config.json")
    if config.get("model_type") != "segformer":
        raise ModelNameError(
            f"{model}: model_type 'segformer' expected, {config.get('model_type')!r} found; noseam runs no other kind"
        )
    if config.get("num_channels", 3) != 3:
        raise ModelNameError(f"{model}: num_channels 3 expected (red, green, blue), {config['num_channels']!r} found")
    preprocessor = folder / "preprocessor_config.json"
    return folder, config, read_json(preprocessor) if preprocessor.is_file() else {}


def _meant(model: str) -> str:
    """Return the full name of a bundled model where a name means one; the log says so where a folder has it too."""
    full = BUNDLED_BY_SHORT_NAME.get(model, model)
    if full == model or not Path(model).exists():
        return full
    if not is_bundled(model):
        _log.info("model %s is the folder here, which holds a checkpoint; %s comes with noseam", model, full)
        return model
    _log.info("model %s comes with noseam (%s); the folder of that name here holds no checkpoint", model, full)
    return full


def _locate(model: str) -> Path:
    """Return the folder of a checkpoint; a name that looks like a path never reaches the hub."""
    folder = BUNDLED_MODELS.get(model) or Path(model)
    with suppress(RuntimeError):  # no such user
        folder = folder.expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(model) or folder.parent.exists():
        near = get_close_matches(model.lower(), [*BUNDLED_MODELS, *BUNDLED_BY_SHORT_NAME], cutoff=_NEAR)
        meant = f"; did you mean {BUNDLED_BY_SHORT_NAME.get(near[0], near[0])}?" if near else ""
        raise ModelNameError(
            f"{model}: no such folder (a hub id has the form owner/name, such as {DRONE_MODEL}){meant}"
        )
    return fetch_checkpoint(model)


def _refuse_gaps(name: str, report: dict[str, Any]) -> None:
    missing = sorted(map(str, report["missing_keys"]))
    if missing:
        raise CheckpointError(
            f"{name}: {len(missing)} weights are missing and would be random, such as {missing[0]}; "
            "an encoder alone cannot segment, it needs fine-tuning first"
        )
    mismatched = [_name_mismatch(entry) for entry in report["mismatched_keys"]]
    if mismatched:
        raise CheckpointError(
            f"{name}: {len(mismatched)} weights do not fit the config: {'; '.join(sorted(mismatched))}; "
            "config.json and the weights are of two models"
        )


def _name_mismatch(entry: Any) -> str:
    """Say what does not fit; transformers 4 names the weight alone, 5 its two shapes too."""
    if isinstance(entry, str):
        return entry
    key, found, expected = entry
    return f"{key} is {tuple(found)} in the file and {tuple(expected)} by the config"
