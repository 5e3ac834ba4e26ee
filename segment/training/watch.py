"""Say how a training goes, judge it at its steps, and end it where it gets no better."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

from segment.evaluation.metrics import percent
from segment.training.dataset import CropDataset
from segment.training.ending import is_stale
from segment.training.learner import refuse_divergence
from segment.training.plan import TrainPlan
from segment.training.scores import Row, history_rows

Advance = Callable[[int, int], None]
"""Takes the number of steps that are done, and of steps in all."""

_ESTIMATE_STEPS = 20
_WARM_UP_STEPS = 2
_log = logging.getLogger(__name__)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tell the dataset its epoch, the Trainer when to judge the network and when to end, and the user how it goes.

    Parameters
    ----------
    plan : TrainPlan
        The training.
    dataset : CropDataset
        The crops to train on.
    advance : callable
        Called with (steps done, steps in all) after every step, in the main process.
    publish : callable
        Called with the rows so far after every validation, in the main process.
    """

    def __init__(
        self, plan: TrainPlan, dataset: CropDataset, *, advance: Advance, publish: Callable[[list[Row]], None]
    ) -> None:
        self._plan = plan
        self._dataset = dataset
        self._advance = advance
        self._publish = publish
        self._steps = 0
        self._began = self._warm = self._judged = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any, lr_scheduler: Any, **_: Any) -> None:
        """Set the rates to those of the step that is gone on from, whose schedule may have become a longer one."""
        self._began = self._judged = time.monotonic()
        for group, base, factor in zip(
            optimizer.param_groups, lr_scheduler.base_lrs, lr_scheduler.lr_lambdas, strict=True
        ):
            group["lr"] = base * factor(lr_scheduler.last_epoch)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell the dataset its epoch, before the workers of the loader copy the dataset."""
        self._dataset.epoch = state.global_step // self._plan.steps_per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step; after a few, estimate the whole time; judge and keep the network where that is due."""
        self._steps += 1
        if self._plan.validates_after(state.global_step):
            control.should_log = control.should_evaluate = control.should_save = True
        if not state.is_world_process_zero:
            return
        self._advance(state.global_step, state.max_steps)
        if self._steps == _WARM_UP_STEPS:
            self._warm = time.monotonic()
        if self._steps == _ESTIMATE_STEPS:
            each = (time.monotonic() - self._warm) / (_ESTIMATE_STEPS - _WARM_UP_STEPS)
            left = each * (state.max_steps - state.global_step)
            _log.info("%.2f s per step: about %s for the %d steps left, validation aside",
                      each, duration(left), state.max_steps - state.global_step)  # fmt: skip

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Stop a training that has diverged."""
        if not args.fp16:
            refuse_divergence(logs.get("loss", 0), state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how the network was judged, publish the curve, and end where it gets no better."""
        ends = is_stale(state.log_history, self._plan.request.patience)
        control.should_training_stop |= ends
        rows = history_rows(state.log_history, self._plan.crops.classes.names)
        if not (state.is_world_process_zero and rows):
            return
        row, now = rows[-1], time.monotonic()
        seconds = (now - self._began) / max(self._steps, 1) * (state.max_steps - state.global_step)
        left = f", about {duration(seconds)} left" if seconds else ""
        _log.info("epoch %.3g, step %d of %d: loss %.4f, validation loss %.4f, mIoU %s %%, %s%s",
                  row["epoch"], row["step"], state.max_steps, row["train_loss"] or math.nan,
                  row["val_loss"] or math.nan, percent(row["miou"]),
                  duration(now - self._judged), left)  # fmt: skip
        self._judged = now
        self._publish(rows)
        if ends:
            _log.info("training ends here: %d validations in a row brought no better mIoU", self._plan.request.patience)


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
