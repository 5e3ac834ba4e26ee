"""How a training ended, and whether it has: by its steps, or because it got no better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import TrainError
from segment.training.plan import TrainPlan
from segment.training.scores import Row, history_rows
from segment.training.state import TrainState, trainer_state


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
    """The learning curve, one row per validation."""


def since_best(history: Sequence[Mapping[str, Any]]) -> int:
    """Return how many validations there were since the one with the best mIoU, the first of equal ones."""
    found = [entry["eval_miou"] for entry in history if "eval_miou" in entry]
    known = [0 if np.isnan(miou) else miou for miou in found]
    return len(known) - 1 - int(np.argmax(known)) if known else 0


def is_stale(history: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Return whether so many validations in a row brought no better mIoU, by the Trainer's log history."""
    return patience is not None and since_best(history) >= patience


def has_ended(plan: TrainPlan, newest: Path) -> bool:
    """Return whether the newest state of a training is its last."""
    record = trainer_state(newest)
    return record["global_step"] >= plan.steps or is_stale(record["log_history"], plan.request.patience)


def refuse_to_end_at_once(plan: TrainPlan, state: TrainState) -> None:
    """Raise unless a training that is to go on past its end has anything left to do, and a state to do it from.

    Raises
    ------
    TrainError
        If it has not.
    """
    if state.newest is None:
        raise TrainError(
            f"{state.checkpoints}: no state of the training there that it could go on from; give the model as --base, "
            "with another --out"
        )
    record = trainer_state(state.newest)
    if record["global_step"] > plan.steps:
        raise TrainError(
            f"{plan.request.out}: {record['global_step']} steps are done, and {plan.steps} are asked for in all; "
            "--extend needs more --epochs or --max-steps"
        )
    if is_stale(record["log_history"], plan.request.patience):
        raise TrainError(
            f"{plan.request.out}: {since_best(record['log_history'])} validations in a row brought no better mIoU, and "
            f"--patience is {plan.request.patience}; --extend needs a greater one, or none"
        )


def result_of(plan: TrainPlan, state: TrainState) -> TrainResult:
    """Return how a training ended, by its newest state."""
    nothing: dict[str, Any] = {"log_history": [], "global_step": plan.steps}
    record = nothing if state.newest is None else trainer_state(state.newest)
    rows = history_rows(record["log_history"], plan.crops.classes.names)
    best = max((row["miou"] for row in rows if row["miou"] is not None), default=math.nan)
    return TrainResult(plan.request.out, best, record["global_step"], tuple(rows))
