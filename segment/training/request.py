"""What a user can ask of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.engine.contract import Precision
from segment.errors import TrainError
from tiler.grid.tiling import DEFAULT_INPUT_PX, DEFAULT_OVERLAP

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Names of learning rate schedules, and what transformers calls them."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the user asked of a training."""

    crops: Path
    """Folder that `noseam crop` made."""
    out: Path
    """Folder of the model; the state of the training lies in it too."""
    base: str = "nvidia/mit-b5"
    """Preset (random weights), checkpoint folder or hub id to start from."""
    epochs: float = 10.0
    """How often every crop is shown."""
    lr: float = 6e-5
    """Learning rate of AdamW at its highest."""
    batch_size: int = 4
    """Crops at a time, per device."""
    input_px: int = DEFAULT_INPUT_PX
    """Side of a tile as the network sees it, model pixels."""
    overlap: float = DEFAULT_OVERLAP
    """Least overlap of tiles that the model asks for in a survey, as a fraction."""
    accumulate: int = 1
    """Batches per step of the optimizer."""
    warmup: float = 0.0
    """Fraction of the steps in which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after that."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    class_weights: bool = False
    """Whether rare classes weigh more in the loss, see `balance_classes`."""
    augment: bool = True
    """Whether to turn, mirror and recolour training crops."""
    seed: int = 0
    """Of random weights, the order of crops and augmentation."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: Precision = "auto"
    """Arithmetic of the network; `auto`: fp32 on the CPU, bf16 or fp16 on CUDA."""
    workers: int = 2
    """Processes that read crops; 0: none beside the training itself."""
    max_steps: int | None = None
    """Steps of the optimizer in all; None: by `epochs`."""
    tensorboard: bool = False
    """Whether to log for TensorBoard too."""
    half: bool = False
    """Whether to store the weights as float16."""
    fresh: bool = False
    """Whether to start over instead of going on."""

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "batch_size", "accumulate", "max_steps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise TrainError(f"{name} must be a positive number, got {value}")
        if not 0 <= self.warmup <= 1:
            raise TrainError(f"warmup is a fraction of the steps, 0 to 1, got {self.warmup}")
        if self.workers < 0 or not 0 <= self.weight_decay < math.inf:
            raise TrainError("workers and weight_decay must not be negative")
        if not 0 <= self.seed < 2**32:
            raise TrainError(f"the seed must be 0 to {2**32 - 1}, got {self.seed}")
        base = Path(self.base).expanduser()
        if base.exists() and base.resolve().is_relative_to(self.out.resolve()):
            raise TrainError(f"the base {self.base} lies in the output folder {self.out}; choose another --out")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise TrainError(f"device {self.device!r}: expected auto, cpu or cuda")
        if self.schedule not in SCHEDULES:
            raise TrainError(f"schedule {self.schedule!r}: expected {', '.join(SCHEDULES)}")
