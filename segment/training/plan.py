"""Plan a training: what follows from a request before any weight is loaded."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import joblib
import torch
from transformers import TrainingArguments
from transformers.utils import logging as transformers_logging

from segment.engine.device import choose_device, choose_precision
from segment.engine.request import Precision
from segment.errors import TrainError
from segment.model.config import Normalisation
from segment.training.data import CropSet, read_crop_set
from segment.training.dataset import Crop, CropDataset
from segment.training.recipe import complete
from segment.training.request import SCHEDULES, TrainRequest
from tiler.grid.fit import AUTO
from tiler.grid.tiling import Tiling

_READERS_ON_CPU, _MOST_READERS = 2, 16
_LONG_EPOCH = 500
"""Steps of an epoch; within longer ones the model is judged too."""
_NEVER = 10**9
_POLY = {"power": 0.9, "lr_end": 0.0}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """A request, with all that follows from it before any weight is loaded."""

    asked: TrainRequest
    """What was asked."""
    request: TrainRequest
    """The same, with what the recipe says where nothing was asked."""
    crops: CropSet
    """The crops to train on and to validate on."""
    tiling: Tiling
    """How the trained model will cut images, where `tune` finds nothing better."""
    arguments: Any
    """`TrainingArguments` of transformers."""
    precision: str
    """`fp32`, `tf32`, `bf16` or `fp16`."""
    steps_per_epoch: int
    """Steps of the optimizer in one epoch."""
    steps: int
    """Steps of the optimizer in all."""

    @property
    def channels_last(self) -> bool:
        """Whether the channels of a pixel lie together, as tensor cores want it."""
        return bool(self.arguments.device.type == "cuda")

    def validates_after(self, step: int) -> bool:
        """Return whether the model is judged after a step, and the state of the training kept.

        That follows from the number of the step alone, so a training that was stopped is judged at the same steps.
        Epochs of more than 500 steps are parted evenly.
        """
        if (every := self.request.validate_every) is not None:
            return step % every == 0 or step == self.steps
        parts = math.ceil(self.steps_per_epoch / _LONG_EPOCH)
        return step * parts // self.steps_per_epoch > (step - 1) * parts // self.steps_per_epoch or step == self.steps

    def shown(self, crops: Sequence[Crop], normalisation: Normalisation, *, varied: bool = False) -> CropDataset:
        """Return crops as the network takes them: as they are, or varied at random as the user asks."""
        return CropDataset(
            crops,
            classes=len(self.crops.in_masks),
            lookup=self.crops.lookup,
            input_px=self.request.input_px,
            normalisation=normalisation,
            seed=self.request.seed if varied and self.request.augment else None,
            variation=self.request.variation,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result, and so must not change when a training goes on."""
        names = ("base", "lr", "batch_size", "input_px", "overlap", "accumulate", "warmup", "schedule",
                 "weight_decay", "class_weights", "class_bias", "augment", "seed", "half", "head_lr_factor", "ema",
                 "dropout", "coarse_first", "loss", "ohem", "validate_every", "patience")  # fmt: skip
        asked = {name: getattr(self.request, name) for name in names}
        devices = self.arguments.world_size
        varied = asdict(self.request.variation) if self.request.augment else {}
        tile = self.request.tile and str(self.request.tile)
        return {**asked, **varied, **asdict(self.request.remap), "tile": tile, "precision": self.precision,
                "devices": devices, "steps": self.steps, "crops": self.crops.digest}  # fmt: skip


def plan_training(asked: TrainRequest) -> TrainPlan:
    """Return the plan of a training.

    Raises
    ------
    CropIndexError, TrainError, DeviceError
        See `train`.
    """
    request = complete(asked)
    crops = read_crop_set(*request.crops, remap=request.remap)
    tiling = _tiling(crops, request)
    device = choose_device(request.device)
    precision = _choose_precision(device, request.precision)
    if request.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise TrainError("TensorBoard is not installed: pip install tensorboard, or train without it")
    arguments = _arguments(request, device, precision)
    if arguments.n_gpu > 1:
        _log.warning("%d GPUs are here and one is used; for all: torchrun --nproc-per-node=gpu -m cli train ...",
                     arguments.n_gpu)  # fmt: skip
        arguments._n_gpu = 1  # else the Trainer falls back on nn.DataParallel, which knows no mixed precision
    batches = math.ceil(len(crops.train.crops) / (arguments.train_batch_size * arguments.world_size))
    steps_per_epoch = math.ceil(batches / request.accumulate)
    steps = request.max_steps or math.ceil(request.epochs * steps_per_epoch)
    assert request.warmup is not None
    arguments.max_steps, arguments.warmup_steps = steps, min(round(request.warmup * steps), steps - 1)
    return TrainPlan(asked, request, crops, tiling, arguments, precision, steps_per_epoch, steps)


def _choose_precision(device: torch.device, asked: Precision) -> str:
    """Return the precision of a training: its gradients need the range of bf16 more than the digits of fp16."""
    if asked != "auto":
        return choose_precision(device, asked)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _cpu_multiplies_bf16() else "fp32"


def _cpu_multiplies_bf16() -> bool:
    """Return whether this CPU has instructions for products of bf16; elsewhere they are emulated, which is slow."""
    asks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(ask is not None and ask() for ask in asks)


def _readers(asked: int | Literal["auto"], device: torch.device) -> int:
    """Return how many processes read crops for one device; under torchrun the devices share the cores."""
    if asked != "auto":
        return asked
    if device.type == "cpu":
        return _READERS_ON_CPU
    cores = int(joblib.cpu_count()) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(max(cores, 1), _MOST_READERS)


def _for_cuda(readers: int) -> dict[str, Any]:
    """Return the arguments that keep a device at work: readers that stay, and copies that nobody waits for.

    On the CPU they are left alone, so that the same command gives the same bits as ever: a reader that stays draws no
    seed in later epochs.
    """
    return {
        "dataloader_pin_memory": True,
        "dataloader_persistent_workers": readers > 0,
        "accelerator_config": {"non_blocking": True},
    }


def _tiling(crops: CropSet, request: TrainRequest) -> Tiling:
    """Return the cut that the model will ask for, and the resolutions that it learns to see."""
    seen = None
    if crops.gsd_m is not None:
        low, high = (metres * crops.window_px / request.input_px for metres in crops.gsd_m)
        seen = low, high
    tile = request.tile or AUTO
    return Tiling(crops.window_px, request.input_px, request.overlap, tile, trained_gsd_m=seen)


def _arguments(request: TrainRequest, device: torch.device, precision: str) -> Any:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    readers = _readers(request.workers, device)
    assert request.schedule is not None
    on_device = {"dataloader_pin_memory": False} if device.type == "cpu" else _for_cuda(readers)
    return TrainingArguments(
        output_dir=str((request.out / "state").absolute()),
        per_device_train_batch_size=request.batch_size,
        per_device_eval_batch_size=request.batch_size,
        gradient_accumulation_steps=request.accumulate,
        optim="adamw_torch_fused",
        learning_rate=request.lr,
        lr_scheduler_type=SCHEDULES[request.schedule],
        lr_scheduler_kwargs=_POLY if request.schedule == "poly" else None,
        weight_decay=request.weight_decay,
        seed=request.seed,
        data_seed=request.seed,
        use_cpu=device.type == "cpu",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        eval_strategy="steps",  # at the end; `Watch` says at which steps else
        eval_steps=_NEVER,
        save_strategy="steps",
        save_steps=_NEVER,
        logging_strategy="steps",
        logging_steps=_NEVER,
        save_total_limit=2,
        metric_for_best_model="miou",
        greater_is_better=True,
        batch_eval_metrics=True,
        logging_nan_inf_filter=False,  # a loss that is no number is an error, see Watch
        dataloader_num_workers=readers,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        label_names=["labels"],
        report_to="tensorboard" if request.tensorboard else "none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        **on_device,
    )
