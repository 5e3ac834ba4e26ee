"""Train a SegFormer on crops; go on where an earlier run was stopped."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch.utils.data import default_collate
from transformers import SegformerForSemanticSegmentation

from segment.engine.device import round_factors
from segment.errors import TrainError
from segment.evaluation.figures import draw_learning_curve
from segment.evaluation.metrics import percent
from segment.guard.lock import hold_folder
from segment.model.config import Normalisation
from segment.model.save import write_checkpoint
from segment.training.balance import FoundBalance, find_balance
from segment.training.base import load_base, load_state, refuse_missing
from segment.training.card import Facts, model_card
from segment.training.dataset import CropDataset
from segment.training.learner import Advance, Learner, Row, Scores, Watch, balance_classes, history_rows
from segment.training.plan import TrainPlan, plan_training
from segment.training.request import TrainRequest
from segment.training.state import (
    CARD,
    CLASSES,
    CURVE,
    MODEL_FILES,
    PICTURE,
    TrainState,
    begin,
    publish,
    read_normalisation,
    read_state,
    trainer_state,
    write_text,
)
from segment.training.temperature import Temperature, find_temperature, sampled_logits
from tiler.classes import write_class_table
from tiler.errors import NoseamError

_COLUMNS = ("epoch", "step", "train_loss", "val_loss", "miou", "accuracy")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a training ended."""

    folder: Path
    """The model, as `noseam segment --model` takes it."""
    best_miou: float
    """Mean IoU of the model on the validation crops, over the classes that they show."""
    steps: int
    """Steps of the optimizer in all."""
    rows: tuple[Row, ...]
    """The learning curve, one row per epoch."""


def train(request: TrainRequest, advance: Advance = lambda done, total: None) -> TrainResult:
    """Train a model, or go on with its training; write checkpoint folder, model card and learning curve.

    If `out/state` holds a whole state of the training, it goes on from the newest one. The result is the same as if it
    had never been stopped. Of all epochs, the model with the highest mean IoU on the validation crops is kept. Under
    `torchrun` the crops of a batch are spread over the devices.

    Parameters
    ----------
    request : TrainRequest
        What to train, on what and how.
    advance : callable
        Called with (steps done, steps in all) after every step.

    Raises
    ------
    CropIndexError
        If the index of the crops is missing or malformed.
    TrainError
        If the crops, the output folder or the settings are unfit, or the training diverges.
    CheckpointError
        If the base cannot be found or loaded.
    FolderInUseError
        If another run writes to the output folder.
    DeviceError
        If this machine lacks the device, or the device cannot compute in the precision.
    """
    plan = plan_training(request)
    state = read_state(request.out, plan.settings, fresh=request.fresh)
    if not state.finished and state.newest is None:
        refuse_missing(request.base)  # before anything is written
    with hold_folder(request.out) if plan.arguments.should_save else nullcontext():  # one process holds it for all
        return _train(plan, advance)


def _train(plan: TrainPlan, advance: Advance) -> TrainResult:
    request = plan.request
    state = read_state(request.out, plan.settings, fresh=request.fresh)
    if state.finished:
        result = _result(plan, state)
        _log.info(
            "%s is trained already: mIoU %s %% after %d steps", request.out, percent(result.best_miou), result.steps
        )
        return result
    network, normalisation = _start(plan, state)
    with plan.arguments.main_process_first():
        if plan.arguments.should_save:
            begin(state, plan.settings, normalisation, fresh=request.fresh)
    _announce(plan, state)
    newest = _run(plan, state, network, normalisation, advance)
    with plan.arguments.main_process_first():  # no process returns before the model is there
        if plan.arguments.should_save:
            _finish(plan, newest, normalisation)
    return _result(plan, replace(state, newest=newest))


def _start(plan: TrainPlan, state: TrainState) -> tuple[SegformerForSemanticSegmentation, Normalisation]:
    if state.newest is None:
        return load_base(plan.request.base, plan.crops.classes, plan.tiling, seed=plan.request.seed)
    return load_state(state.newest), read_normalisation(state)


def _announce(plan: TrainPlan, state: TrainState) -> None:
    if not plan.arguments.should_save:
        return
    request, crops = plan.request, plan.crops
    _log.info(
        "%s, %s, base %s; %d crops to train (%d per epoch), %d to validate, %d classes; %s",
        plan.arguments.device, plan.precision, request.base, crops.train.files, len(crops.train.crops),
        crops.val.files, len(crops.classes), plan.tiling,
    )  # fmt: skip
    _log.info("%d steps in all, %d per epoch", plan.steps, plan.steps_per_epoch)
    if state.newest is not None:
        _log.info("going on after %d steps", trainer_state(state.newest)["global_step"])


def _run(plan: TrainPlan, state: TrainState, network: SegformerForSemanticSegmentation, normalisation: Normalisation,
         advance: Advance) -> Path:  # fmt: skip
    """Train what is left to train; return the newest checkpoint."""
    if state.newest is not None and trainer_state(state.newest)["global_step"] >= plan.steps:
        return state.newest  # stopped between the last step and the model
    round_factors(plan.precision)
    if plan.channels_last:
        network = network.to(memory_format=torch.channels_last)
    dataset = _dataset(plan, normalisation, train=True)
    pixels = plan.crops.train.pixels
    weights = balance_classes(pixels) if plan.request.class_weights else np.ones(pixels.shape[1], np.float32)
    learner = Learner(
        class_weights=torch.from_numpy(weights) if plan.request.class_weights else None,
        share=float(pixels.sum(axis=0) @ weights) / (len(pixels) * plan.crops.window_px**2),
        channels_last=plan.channels_last,
        model=network,
        args=plan.arguments,
        data_collator=default_collate,
        train_dataset=dataset,
        eval_dataset=_dataset(plan, normalisation, train=False),
        compute_metrics=Scores(len(plan.crops.classes)),
        callbacks=[
            Watch(dataset, steps_per_epoch=plan.steps_per_epoch, advance=advance, publish=_publisher(plan.request.out))
        ],
    )
    with _explained():
        learner.train(resume_from_checkpoint=None if state.newest is None else str(state.newest))
    learner.accelerator.wait_for_everyone()  # the main process writes the last state
    return state.checkpoints / f"checkpoint-{learner.state.global_step}"


@contextmanager
def _explained() -> Iterator[None]:
    """Say in one line what users can mend: bad crops, too little memory, a full disk."""
    try:
        yield
    except NoseamError as error:  # a loader's worker wraps its whole traceback around the message
        raise type(error)(str(error).strip().splitlines()[-1].removeprefix(f"{_name(error)}: ")) from error
    except torch.OutOfMemoryError as error:
        raise TrainError(
            "the GPU's memory is not enough: lower --batch-size and raise --accumulate by as much, "
            "or take a smaller --input or --base"
        ) from error
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
            raise
        raise TrainError(f"the state of the training cannot be written: {error}") from error


def _name(error: Exception) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _dataset(plan: TrainPlan, normalisation: Normalisation, *, train: bool) -> CropDataset:
    return CropDataset(
        (plan.crops.train if train else plan.crops.val).crops,
        classes=len(plan.crops.classes),
        input_px=plan.request.input_px,
        normalisation=normalisation,
        seed=plan.request.seed if train and plan.request.augment else None,
    )


def _publisher(out: Path) -> Callable[[list[Row]], None]:
    def publish_curve(rows: list[Row]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(out / CURVE, text.getvalue())
        draw_learning_curve(rows, out / PICTURE)

    return publish_curve


def _finish(plan: TrainPlan, newest: Path, normalisation: Normalisation) -> None:
    """Write the model of the best epoch and what belongs to it; the config last."""
    out, record = plan.request.out, trainer_state(newest)
    if record["best_global_step"] is None:
        raise TrainError(f"{plan.crops.where}: at {plan.request.input_px} px no validation crop shows a label")
    best = newest.with_name(f"checkpoint-{record['best_global_step']}")
    folder = newest.with_name("model")
    network = load_state(best)
    network.config.class_frequencies = plan.crops.train.class_frequencies
    temperature, balance = _calibrated(plan, network, normalisation)
    write_checkpoint(network.cpu(), folder, normalisation, plan.request.input_px, half=plan.request.half)
    write_class_table(folder / CLASSES, plan.crops.classes)
    scores = next(entry for entry in record["log_history"]
                  if "eval_miou" in entry and entry["step"] == record["best_global_step"])  # fmt: skip
    facts = Facts(plan.request, plan.crops, plan.tiling, plan.precision, plan.steps, scores, temperature, balance)
    (folder / CARD).write_text(model_card(facts), "utf-8")
    _publisher(out)(history_rows(record["log_history"]))
    publish(folder, (CLASSES, CARD, *MODEL_FILES), out)
    _log.info("%s: the model of step %d, mIoU %s %%", out, record["best_global_step"], percent(scores["eval_miou"]))


def _calibrated(
    plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation
) -> tuple[Temperature | None, FoundBalance | None]:
    """Find temperature and balance of a network by the validation crops, and let its config tell them."""
    crops, classes = _dataset(plan, normalisation, train=False), len(plan.crops.classes)
    with _explained():
        sampled = sampled_logits(network, crops, classes, plan.arguments.device, plan.request.batch_size)
    found, balance = find_temperature(*sampled), find_balance(*sampled, plan.crops.train.class_frequencies)
    network.config.calibration = found.entry if found else None
    network.config.class_balance = balance.entry if balance else None
    if found is not None:
        hardly = ", the end of what is tried: the model is hardly trained, and its confidence says little"
        _log.info(
            "confidence: temperature %.3g%s; expected calibration error %s %% before, %s %% after",
            found.value, hardly if found.at_bound else "", percent(found.ece_before), percent(found.ece_after),
        )  # fmt: skip
    if balance is not None:
        _log.info("segment --balance-classes auto: %s", balance)
    return found, balance


def _result(plan: TrainPlan, state: TrainState) -> TrainResult:
    rows = [] if state.newest is None else history_rows(trainer_state(state.newest)["log_history"])
    best = max((row["miou"] for row in rows if row["miou"] is not None), default=math.nan)
    return TrainResult(plan.request.out, best, plan.steps, tuple(rows))
