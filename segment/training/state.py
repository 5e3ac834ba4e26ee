"""What a training left on disk: whether it finished, where it can go on, whether its settings are the same."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from segment.errors import TrainError
from segment.model.config import Normalisation
from segment.training.licence import Licence
from tiler.files.atomic import replacing

CARD, CURVE, PICTURE, CLASSES = "README.md", "learning_curve.csv", "learning_curve.png", "classes.csv"
CONFUSION = "confusion.csv"
MODEL_FILES = ("model.safetensors", "preprocessor_config.json", "config.json")
"""The files of a checkpoint folder. The config comes last: a folder that has it is whole."""
_OURS = (*MODEL_FILES, CARD, CURVE, PICTURE, CLASSES, CONFUSION)
_NAME = re.compile(r"checkpoint-([0-9]+)")
_REQUEST, _NORMALISATION, _LICENCE = "request.json", "normalisation.json", "licence.json"
_GOING_ON = "going-on"
"""A file that stands beside these while a training goes on past an end at which it had left its model."""
_EXTENDABLE = {"steps", "patience", "tile", "class_bias"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a training stands."""

    folder: Path
    """The training's output folder."""
    finished: bool
    """Whether the model is there."""
    newest: Path | None
    """The newest whole checkpoint of the Trainer."""

    @property
    def checkpoints(self) -> Path:
        """Folder of the Trainer's checkpoints."""
        return self.folder / "state"


def read_state(out: Path, request: Mapping[str, Any], *, fresh: bool, extend: bool = False) -> TrainState:
    """Return where the training in an output folder stands; changes nothing.

    Parameters
    ----------
    out : Path
        Output folder; need not be there.
    request : mapping
        Settings that decide the result, JSON-able.
    fresh : bool
        Start over, whatever is there of an earlier training.
    extend : bool
        The training may have had another end.

    Raises
    ------
    TrainError
        If the folder holds files but no training, or a training with other settings that has a whole checkpoint.
    """
    state = out / "state"
    if not (state / _REQUEST).exists():
        if any(path.is_file() and not path.name.startswith(".") for path in out.rglob("*")):
            raise TrainError(f"{out} is not empty and holds no training (no state/{_REQUEST}); choose another folder")
        return TrainState(out, False, None)
    if fresh:
        return TrainState(out, False, None)
    finished = all((out / name).exists() for name in MODEL_FILES) and not (state / _GOING_ON).exists()
    newest = next((path for path in _checkpoints(state) if is_whole(path)), None)
    if finished or newest is not None:
        changed = _changes(state / _REQUEST, request)
        if changed.keys() - (_EXTENDABLE if extend else set()):
            raise TrainError(_refusal(out, changed))
        finished &= not changed
    return TrainState(out, finished, newest)


def begin(
    state: TrainState, request: Mapping[str, Any], normalisation: Normalisation, licence: Licence, *, fresh: bool
) -> None:
    """Make the output folder ready: remember the settings, remove what is half-written or, if `fresh`, all of ours.

    A model that an earlier end left stays until the next one replaces it.
    """
    if fresh:
        shutil.rmtree(state.checkpoints, ignore_errors=True)
        for name in _OURS:
            (state.folder / name).unlink(missing_ok=True)
    state.checkpoints.mkdir(parents=True, exist_ok=True)
    for path in _checkpoints(state.checkpoints):
        if not is_whole(path):
            _log.warning("%s was written in part only, and is removed", path)
            shutil.rmtree(path)
    if (state.folder / MODEL_FILES[-1]).exists():
        (state.checkpoints / _GOING_ON).touch()
    write_text(state.checkpoints / _LICENCE, json.dumps(asdict(licence)) + "\n")
    write_text(state.checkpoints / _NORMALISATION, json.dumps(asdict(normalisation)) + "\n")
    write_text(state.checkpoints / _REQUEST, json.dumps(request, indent=2) + "\n")


def end(out: Path) -> None:
    """Remember that the model of a training is that of its last end."""
    (out / "state" / _GOING_ON).unlink(missing_ok=True)


def read_normalisation(state: TrainState) -> Normalisation:
    """Return how the network of a training that has begun wants its input.

    Raises
    ------
    TrainError
        If the file cannot be read, or holds no normalisation.
    """
    path = state.checkpoints / _NORMALISATION
    try:
        found = json.loads(path.read_bytes())
        return Normalisation(found["rescale"], tuple(found["mean"]), tuple(found["std"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: cannot be read ({error}); --fresh starts over") from error


def read_licence(out: Path) -> Licence:
    """Return the licence of the base of a training that has begun, as it was known then; nothing where that is lost."""
    try:
        return Licence(**json.loads((out / "state" / _LICENCE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return Licence()


def trainer_state(checkpoint: Path) -> dict[str, Any]:
    """Return what the Trainer wrote about a checkpoint: `global_step`, `best_global_step`, `log_history` and more."""
    content: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_bytes())
    return content


def is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint of the Trainer was written to its end."""
    try:
        trainer_state(checkpoint)
        with safe_open(checkpoint / "model.safetensors", "pt"):  # refuses a file shorter than its header says
            pass
    except (OSError, ValueError, SafetensorError):
        return False
    archives = checkpoint / "optimizer.pt", checkpoint / "scheduler.pt", *checkpoint.glob("rng_state*.pth")
    return len(archives) > 2 and all(zipfile.is_zipfile(path) for path in archives)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def publish(folder: Path, names: Iterable[str], out: Path) -> None:
    """Bring files of a folder to where they belong, in this order, each whole, and remove the folder.

    The files are copied, not moved, because safetensors makes its files readable for their owner alone.
    """
    for name in names:
        with replacing(out / name) as temporary:
            shutil.copyfile(folder / name, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
    shutil.rmtree(folder)


def _checkpoints(state: Path) -> list[Path]:
    """Return the checkpoints, newest first."""
    found = [(int(match[1]), path) for path in state.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _changes(path: Path, request: Mapping[str, Any]) -> dict[str, str]:
    """Return what changed of the settings of a training, in words, by name."""
    try:
        before = json.loads(path.read_bytes())
    except ValueError as error:
        raise TrainError(f"{path}: cannot be read ({error}); --fresh starts over") from error
    now = json.loads(json.dumps(request))
    return {
        key: f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    }


def _refusal(out: Path, changed: Mapping[str, str]) -> str:
    extend = "" if changed.keys() - _EXTENDABLE else "--extend goes on to the new end, "
    return (
        f"{out} holds a training with other settings: {'; '.join(changed.values())}. "
        f"{extend}--fresh starts over, or choose another folder"
    )
