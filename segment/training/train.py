"""Train a SegFormer on crops; go on where an earlier run was stopped."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch.utils.data import default_collate
from transformers import SegformerForSemanticSegmentation

from segment.engine.device import round_factors
from segment.errors import TrainError
from segment.evaluation.metrics import percent
from segment.guard.lock import hold_folder
from segment.model.config import Normalisation
from segment.model.save import write_checkpoint
from segment.training.average import Average, read_mean
from segment.training.base import find_licence, load_base, load_state, refuse_missing
from segment.training.card import Facts, model_card
from segment.training.ending import TrainResult, has_ended, refuse_to_end_at_once, result_of
from segment.training.learner import Learner
from segment.training.loss import Objective, balance_classes
from segment.training.plan import TrainPlan, plan_training
from segment.training.quick import attend_by_products, keep_memory, quicken
from segment.training.readers import readers_end
from segment.training.recipe import recipe_in_words
from segment.training.request import TrainRequest
from segment.training.scores import Scores, history_rows, publisher
from segment.training.state import (
    CARD,
    CLASSES,
    CONFUSION,
    MODEL_FILES,
    TrainState,
    begin,
    end,
    publish,
    read_licence,
    read_normalisation,
    read_state,
    trainer_state,
)
from segment.training.tune import tune
from segment.training.watch import Advance, Watch
from tiler.classes import write_class_table
from tiler.errors import NoseamError

__all__ = ["TrainResult", "train"]
_log = logging.getLogger(__name__)


def train(request: TrainRequest, advance: Advance = lambda done, total: None) -> TrainResult:
    """Train a model, or go on with its training; write checkpoint folder, model card and learning curve.

    If `out/state` holds a whole state of the training, it goes on from the newest one. The result is the same as if it
    had never been stopped. Of all validations, the model with the highest mean IoU on the validation crops is kept.
    Under `torchrun` the crops of a batch are spread over the devices.

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
    state = read_state(request.out, plan.settings, fresh=request.fresh, extend=request.extend)
    if not state.finished and state.newest is None:
        refuse_missing(request.base)  # before anything is written
    with (
        hold_folder(request.out) if plan.arguments.should_save else nullcontext(),  # one process holds it for all
        _threads(request.threads),
    ):
        return _train(plan, advance)


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """Let PyTorch compute with so many threads of the CPU for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(plan: TrainPlan, advance: Advance) -> TrainResult:
    request = plan.request
    state = read_state(request.out, plan.settings, fresh=request.fresh, extend=request.extend)
    if state.finished:
        result = result_of(plan, state)
        _log.info(
            "%s is trained already: mIoU %s %% after %d steps; --extend goes on, with more --epochs or --max-steps",
            request.out, percent(result.best_miou), result.steps,
        )  # fmt: skip
        return result
    if request.extend:
        refuse_to_end_at_once(plan, state)
    licence = find_licence(request.base) if state.newest is None else read_licence(request.out)
    network, normalisation = _start(plan, state)
    with plan.arguments.main_process_first():
        if plan.arguments.should_save:
            begin(state, plan.settings, normalisation, licence, fresh=request.fresh)
    _announce(plan, state)
    newest = _run(plan, state, network, normalisation, advance)
    with plan.arguments.main_process_first():  # no process returns before the model is there
        if plan.arguments.should_save:
            _finish(plan, newest, normalisation)
    return result_of(plan, replace(state, newest=newest))


def _start(plan: TrainPlan, state: TrainState) -> tuple[SegformerForSemanticSegmentation, Normalisation]:
    if state.newest is None:
        request = plan.request
        assert request.dropout is not None
        return load_base(request.base, plan.crops.classes, plan.tiling, seed=request.seed, dropout=request.dropout)
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
    _log.info("recipe %s", recipe_in_words(plan.asked))
    _log.info("%d steps in all, %d per epoch", plan.steps, plan.steps_per_epoch)
    if state.newest is not None:
        _log.info("going on after %d steps", trainer_state(state.newest)["global_step"])


def _run(plan: TrainPlan, state: TrainState, network: SegformerForSemanticSegmentation, normalisation: Normalisation,
         advance: Advance) -> Path:  # fmt: skip
    """Train what is left to train; return the newest checkpoint."""
    if state.newest is not None and has_ended(plan, state.newest):
        return state.newest  # stopped between the last step and the model
    round_factors(plan.precision)
    network = quicken(network)
    if plan.channels_last:
        network = network.to(memory_format=torch.channels_last)
    else:
        keep_memory()
        if plan.precision == "bf16":
            attend_by_products(network)
    dataset, request = plan.shown(plan.crops.train.crops, normalisation, varied=True), plan.request
    assert request.head_lr_factor is not None
    assert request.coarse_first is not None
    watch = Watch(plan, dataset, advance=advance, publish=publisher(plan.request.out, plan.crops.classes.names))
    learner = Learner(
        objective=_objective(plan),
        head_lr_factor=request.head_lr_factor,
        coarse_steps=round(request.coarse_first * plan.steps),
        average=Average(request.ema, state.newest) if request.ema else None,
        channels_last=plan.channels_last,
        model=network,
        args=plan.arguments,
        data_collator=default_collate,
        train_dataset=dataset,
        eval_dataset=plan.shown(plan.crops.val.crops, normalisation),
        scores=Scores(plan.crops.classes.names),
        callbacks=[watch],
    )
    with _explained(), readers_end():
        learner.train(resume_from_checkpoint=None if state.newest is None else str(state.newest))
    learner.accelerator.wait_for_everyone()  # the main process writes the last state
    return state.checkpoints / f"checkpoint-{learner.state.global_step}"


def _objective(plan: TrainPlan) -> Objective:
    """Return the loss of a training."""
    request, pixels = plan.request, plan.crops.train.pixels
    assert request.loss is not None
    weights = balance_classes(pixels, request.class_weights)
    share = float(pixels.sum(axis=0) @ weights) / (len(pixels) * plan.crops.window_px**2)
    on_device = None if request.class_weights == "none" else torch.from_numpy(weights).to(plan.arguments.device)
    return Objective(request.loss, on_device, share, request.ohem)


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


def _finish(plan: TrainPlan, newest: Path, normalisation: Normalisation) -> None:
    """Write the model of the best validation and what belongs to it; the config last."""
    out, record = plan.request.out, trainer_state(newest)
    if record["best_global_step"] is None:
        raise TrainError(f"{plan.crops.where}: at {plan.request.input_px} px no validation crop shows a label")
    best = newest.with_name(f"checkpoint-{record['best_global_step']}")
    folder = newest.with_name("model")
    network = load_state(best)
    if plan.request.ema:
        network.load_state_dict(read_mean(best))
    network.config.class_frequencies = plan.crops.train.class_frequencies
    with _explained():
        tuned = tune(plan, network, normalisation)
    write_checkpoint(network.cpu(), folder, normalisation, plan.request.input_px, half=plan.request.half)
    write_class_table(folder / CLASSES, plan.crops.classes)
    scores = next(entry for entry in record["log_history"]
                  if "eval_miou" in entry and entry["step"] == record["best_global_step"])  # fmt: skip
    facts = Facts(plan.asked, plan.request, plan.crops, plan.precision, record["global_step"], scores,
                  read_licence(out), tuned)  # fmt: skip
    (folder / CARD).write_text(model_card(facts), "utf-8")
    publisher(plan.request.out, plan.crops.classes.names)(history_rows(record["log_history"], plan.crops.classes.names))
    judged = [CONFUSION] if (best / CONFUSION).exists() else []  # no state of an earlier version has it
    for name in judged:
        shutil.copyfile(best / name, folder / name)
    publish(folder, (CLASSES, *judged, CARD, *MODEL_FILES), out)
    end(plan.request.out)
    _log.info("%s: the model of step %d, mIoU %s %%", out, record["best_global_step"], percent(scores["eval_miou"]))
