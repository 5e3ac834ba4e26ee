"""The Trainer of noseam: its loss, its metrics, and what it says meanwhile."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerCallback

from segment.errors import TrainError
from segment.evaluation.metrics import confusion, measure, percent
from segment.training.dataset import CropDataset
from tiler.classes import NO_LABEL

Row = dict[str, float | None]
"""One epoch: epoch, step, train_loss, val_loss, miou, accuracy."""
Advance = Callable[[int, int], None]
"""Takes the number of steps that are done, and of steps in all."""

_ESTIMATE_STEPS = 20
_WARM_UP_STEPS = 2
_MOST_WEIGHT = 10
_CHECK_STEPS = 50
_log = logging.getLogger(__name__)


def pixel_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, share: float = 1.0) -> Tensor:
    """Return the sum of the cross entropy over the labelled pixels, divided by how many a batch has on average.

    The divisor is a fixed number, not the batch's own number of labelled pixels. So the losses of accumulated batches
    and of several devices add up to the loss of one large batch, and every labelled pixel of a training counts alike.

    Parameters
    ----------
    logits : Tensor, float32 of shape (N, C, h, w)
        At the resolution of the labels.
    labels : Tensor, int64 of shape (N, h, w)
        Class ids, 255 = no label.
    weights : Tensor or None
        Weight per class.
    share : float
        Mean weight of a pixel over all crops, where a pixel without a label weighs 0. With it the mean loss is a
        mean over labelled pixels.
    """
    total = nn.functional.cross_entropy(logits, labels, weight=weights, ignore_index=NO_LABEL, reduction="sum")
    return total / (labels.numel() * share)


def balance_classes(pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a weight per class by median frequency balancing.

    The frequency of a class is its share of the labelled pixels of the crops that show it. Its weight is the median
    of all frequencies, divided by its own (Eigen and Fergus, Predicting Depth, Surface Normals and Semantic Labels,
    ICCV 2015). Unlike there, the weight is at least 0.1 and at most 10, so that a few stray pixels do not rule the
    loss. A class without any pixel has weight 1.

    Parameters
    ----------
    pixels : ndarray of int64, shape (crops, classes)
        Pixels of each class in each crop.
    """
    counts = pixels.sum(axis=0)
    around = (pixels.sum(axis=1, keepdims=True) * (pixels > 0)).sum(axis=0)
    frequency = np.divide(counts, around, out=np.ones(counts.shape), where=counts > 0)
    median = np.median(frequency[counts > 0]) if counts.any() else 1.0
    weights = np.clip(median / frequency, 1 / _MOST_WEIGHT, _MOST_WEIGHT)
    return np.where(counts > 0, weights, 1).astype(np.float32)


class Scores:
    """Metrics over a validation set. They follow from one confusion matrix, so memory does not grow with the set."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._matrix = self._none()

    def _none(self) -> NDArray[np.int64]:
        return np.zeros((self._classes, self._classes + 1), np.int64)

    def __call__(self, batch: EvalPrediction, compute_result: bool) -> dict[str, float]:
        """Count one batch; after the last, return miou, accuracy and iou_ID of the classes in the truth."""
        truth, predicted = (array.cpu().numpy().astype(np.uint8) for array in (batch.label_ids, batch.predictions))
        self._matrix += confusion(truth, predicted, self._classes)
        if not compute_result:
            return {}
        metrics = measure(self._matrix)
        self._matrix = self._none()
        per_class = {f"iou_{index}": metrics.iou[index] for index in metrics.present}
        return {"miou": metrics.miou, "accuracy": metrics.accuracy, **per_class}


class Learner(Trainer):  # type: ignore[misc]
    """A Trainer whose loss counts labelled pixels only.

    Parameters
    ----------
    class_weights : Tensor or None
        See `pixel_loss`.
    share : float
        See `pixel_loss`.
    channels_last : bool
        Whether the channels of a pixel lie together.
    **options
        The Trainer's own.
    """

    def __init__(
        self, *, class_weights: Tensor | None, share: float, channels_last: bool = False, **options: Any
    ) -> None:
        super().__init__(**options, preprocess_logits_for_metrics=_best_class)
        self.model_accepts_loss_kwargs = False  # so that the Trainer averages over accumulated batches itself
        self.remove_callback(PrinterCallback)  # it prints to stdout
        self._share = share
        self._order = torch.channels_last if channels_last else torch.contiguous_format
        self._class_weights = None if class_weights is None else class_weights.to(self.args.device)

    def compute_loss(self, model: nn.Module, inputs: Mapping[str, Tensor], return_outputs: bool = False,
                     num_items_in_batch: Any = None) -> Any:  # fmt: skip
        """Return the loss of a batch, and the logits at label resolution if asked."""
        labels = inputs["labels"]
        pixels = inputs["pixel_values"].contiguous(memory_format=self._order)
        coarse = model(pixel_values=pixels).logits.float()
        logits = nn.functional.interpolate(coarse, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        loss = pixel_loss(logits, labels, self._class_weights, share=self._share)
        if model.training and self.state.global_step % _CHECK_STEPS == 0 and not self.args.fp16:
            _refuse_divergence(loss.item(), self.state.global_step)  # in fp16 a step may overflow; the scaler skips it
        return (loss, {"logits": logits}) if return_outputs else loss


def _refuse_divergence(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainError(
            f"the loss is {loss} after {step} steps: the training diverged; "
            "lower the learning rate, or use precision fp32"
        )


def _best_class(logits: Tensor, _: Tensor) -> Tensor:
    return logits.argmax(dim=1).to(torch.uint8)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tell the dataset its epoch, and the user how the training goes.

    Parameters
    ----------
    dataset : CropDataset
        The crops to train on.
    steps_per_epoch : int
        Optimizer steps.
    advance : callable
        Called with (steps done, steps in all) after every step, in the main process.
    publish : callable
        Called with the rows so far after every epoch, in the main process.
    """

    def __init__(
        self, dataset: CropDataset, *, steps_per_epoch: int, advance: Advance, publish: Callable[[list[Row]], None]
    ) -> None:
        self._dataset = dataset
        self._steps_per_epoch = steps_per_epoch
        self._advance = advance
        self._publish = publish
        self._steps = 0
        self._began = self._warm = time.monotonic()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell the dataset its epoch, before the workers of the loader copy the dataset."""
        self._dataset.epoch = state.global_step // self._steps_per_epoch
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step; after a few, estimate the whole time."""
        self._steps += 1
        if state.is_world_process_zero:
            self._advance(state.global_step, state.max_steps)
        if self._steps == _WARM_UP_STEPS:
            self._warm = time.monotonic()
        if self._steps == _ESTIMATE_STEPS and state.is_world_process_zero:
            each = (time.monotonic() - self._warm) / (_ESTIMATE_STEPS - _WARM_UP_STEPS)
            left = each * (state.max_steps - state.global_step)
            _log.info("%.2f s per step: about %s for the %d steps left, validation aside",
                      each, duration(left), state.max_steps - state.global_step)  # fmt: skip

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Stop a training that has diverged."""
        if not args.fp16:
            _refuse_divergence(logs.get("loss", 0), state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how the epoch went, and publish the curve."""
        rows = history_rows(state.log_history)
        if state.is_world_process_zero and rows:
            row = rows[-1]
            _log.info("epoch %.3g, step %d of %d: loss %.4f, validation loss %.4f, mIoU %s %%, %.0f s",
                      row["epoch"], row["step"], state.max_steps, row["train_loss"] or math.nan,
                      row["val_loss"] or math.nan, percent(row["miou"]), time.monotonic() - self._began)  # fmt: skip
            self._publish(rows)


def history_rows(history: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one row per epoch from the Trainer's log history; None where an entry is missing."""
    losses = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    return [
        {
            "epoch": entry["epoch"], "step": entry["step"], "train_loss": losses.get(entry["step"]),
            "val_loss": entry.get("eval_loss"), "miou": entry["eval_miou"], "accuracy": entry.get("eval_accuracy"),
        }
        for entry in history if "eval_miou" in entry
    ]  # fmt: skip


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
