"""The Trainer of noseam: its loss, the rates of its weights, and by which weights it is judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PrinterCallback, Trainer

from segment.errors import TrainError
from segment.training.average import Average
from segment.training.loss import Objective, quarter
from segment.training.readers import read_by_readers
from segment.training.scores import Scores
from segment.training.warm import HEAD

_CHECK_STEPS = 50


class Learner(Trainer):  # type: ignore[misc]
    """A Trainer whose loss counts labelled pixels only.

    Parameters
    ----------
    objective : Objective
        The loss.
    head_lr_factor : float
        So many times the learning rate is that of the decode head.
    coarse_steps : int
        The first so many steps show crops at half of their size.
    average : Average or None
        The mean of the weights, by which the network is judged and which is kept beside it; None: its own weights.
    scores : Scores or None
        What judges the network on the validation crops; None: nothing does.
    channels_last : bool
        Whether the channels of a pixel lie together.
    **options
        The Trainer's own.
    """

    def __init__(
        self, *, objective: Objective, head_lr_factor: float = 1.0, coarse_steps: int = 0,
        average: Average | None = None, scores: Scores | None = None, channels_last: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options, compute_metrics=scores, preprocess_logits_for_metrics=_best_class)
        self._scores = scores
        self.model_accepts_loss_kwargs = False  # so that the Trainer averages over accumulated batches itself
        self.remove_callback(PrinterCallback)  # it prints to stdout
        self._objective = objective
        self._head_lr_factor = head_lr_factor
        self._coarse_steps = coarse_steps
        self._average = average
        if average is not None:
            self.add_callback(average)
        self._order = torch.channels_last if channels_last else torch.contiguous_format

    def create_optimizer(self, model: nn.Module | None = None) -> Any:
        """Return the optimizer, whose rate for the head is a multiple of that for the encoder."""
        if self._head_lr_factor == 1:
            return super().create_optimizer(model)
        kind, known = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = kind(list(self._groups()), **known)
        return self.optimizer

    def _groups(self) -> Iterator[dict[str, Any]]:
        """Yield the weights of encoder and head, each with and without decay, as the Trainer tells these apart."""
        decaying = set(self.get_decay_parameter_names(self.model))
        for factor, of_head in ((1.0, False), (self._head_lr_factor, True)):
            for decays in (True, False):
                chosen = [
                    tensor for name, tensor in self.model.named_parameters()
                    if name.startswith(HEAD) == of_head and (name in decaying) == decays
                ]  # fmt: skip
                yield {
                    "params": chosen,
                    "weight_decay": self.args.weight_decay * decays,
                    "lr": factor * self.args.learning_rate,
                }

    def evaluate(self, *args: Any, **known: Any) -> Any:
        """Return the metrics on the validation crops, of the mean of the weights where there is one."""
        with self._average.in_place() if self._average else nullcontext():
            return super().evaluate(*args, **known)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights, their mean and how they were judged, before the Trainer writes that the state is whole."""
        super().save_model(output_dir, _internal_call)
        folder = Path(output_dir or self.args.output_dir)
        if self._average is not None and self.args.should_save:
            self._average.write(folder)
        if self._scores is not None and self.args.should_save:
            self._scores.write(folder)

    def get_train_dataloader(self) -> Any:
        """Return the loader of the crops to train on."""
        return read_by_readers(super().get_train_dataloader())

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Return the loader of the crops to validate on."""
        return read_by_readers(super().get_eval_dataloader(eval_dataset))

    def compute_loss(self, model: nn.Module, inputs: Mapping[str, Tensor], return_outputs: bool = False,
                     num_items_in_batch: Any = None) -> Any:  # fmt: skip
        """Return the loss of a batch, and the logits at the resolution of its labels if asked.

        A step of training counts a quarter of the pixels, see `quarter`; a validation counts all.
        """
        pixels, labels = inputs["pixel_values"], inputs["labels"]
        if model.training:
            if self.state.global_step < self._coarse_steps:
                pixels, labels = functional.avg_pool2d(pixels, 2), quarter(labels, self.state.global_step // 4)
            labels = quarter(labels, self.state.global_step)
        coarse = model(pixel_values=pixels.contiguous(memory_format=self._order)).logits.float()
        logits = functional.interpolate(coarse, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        loss = self._objective(logits, labels)
        if model.training and self.state.global_step % _CHECK_STEPS == 0 and not self.args.fp16:
            refuse_divergence(loss.item(), self.state.global_step)  # in fp16 a step may overflow; the scaler skips it
        return (loss, {"logits": logits}) if return_outputs else loss


def refuse_divergence(loss: float, step: int) -> None:
    """Raise TrainError if the loss after a step is no number."""
    if not math.isfinite(loss):
        raise TrainError(
            f"the loss is {loss} after {step} steps: the training diverged; "
            "lower the learning rate, or use precision fp32"
        )


def _best_class(logits: Tensor, _: Tensor) -> Tensor:
    return logits.argmax(dim=1).to(torch.uint8)
