"""What a user can ask of a training; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.engine.request import Precision
from segment.errors import TrainError
from segment.training.variation import Variation
from tiler.grid.tiles import LATTICE_PX, MIN_TILE_PX
from tiler.grid.tiling import DEFAULT_INPUT_PX, DEFAULT_OVERLAP
from tiler.option import REQUIRED, check, option

Schedule = Literal["linear", "cosine", "constant"]
SCHEDULES: dict[Schedule, str] = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Learning rate schedules, and what transformers calls them."""


def parse_readers(text: str) -> int | Literal["auto"]:
    """Return the number of processes that a text means; `auto` stays.

    Raises
    ------
    TrainError
        If the text is neither.
    """
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII):
        raise TrainError(f"a whole number from 0, or auto expected; {text!r:.40} found")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What the user asked of a training."""

    crops: tuple[Path, ...] = option(
        REQUIRED,
        "These folders of crops train, as `noseam crop` and `noseam review --import` made them; their windows and "
        "classes are the same.",
        unit="CROPS",
        path="folder",
        exists=True,
        positional=True,
    )
    out: Path = option(
        REQUIRED, "This folder gets the model; the state of the training lies in it too.", unit="DIR", path="folder"
    )
    base: str = option(
        "nvidia/mit-b5",
        "Training starts from this: a hub id or folder of an encoder or a whole SegFormer, or a size (nano, mini, b0 "
        "to b5) for random weights, which needs no download.",
        unit="ID|DIR|SIZE",
    )
    epochs: float = option(10.0, "Training shows every crop N times.", unit="N", above=0)
    max_steps: int | None = option(
        None, "The optimizer takes N steps in all.", unit="N", shown="by the epochs", least=1
    )
    lr: float = option(6e-5, "The learning rate of AdamW rises to this.", unit="RATE", above=0)
    schedule: Schedule = option("linear", "The learning rate falls in this way.")
    warmup: float = option(
        0.0, "The learning rate rises from 0 in this share of the steps.", unit="FRACTION", least=0, most=1
    )
    weight_decay: float = option(0.01, "AdamW shrinks the weights at this rate.", unit="RATE", least=0)
    batch_size: int = option(4, "A device takes CROPS crops at a time.", unit="CROPS", least=1)
    accumulate: int = option(
        1,
        "A step of the optimizer sums BATCHES batches, which is a larger batch in the same memory.",
        unit="BATCHES",
        least=1,
    )
    input_px: int = option(
        DEFAULT_INPUT_PX,
        f"The network sees crops resized to this side, in model pixels; a multiple of {LATTICE_PX}.",
        unit="PX",
        least=MIN_TILE_PX,
        multiple=LATTICE_PX,
    )
    overlap: float = option(
        DEFAULT_OVERLAP,
        "The model will ask `segment` for tiles that share at least this fraction.",
        unit="FRACTION",
        least=0,
        below=1,
    )
    class_weights: bool = option(False, "Rare classes weigh more in the loss.")
    augment: bool = option(
        True, "Crops change at random each time that they are shown; otherwise nothing does, whatever is said of how."
    )
    variation: Variation = Variation()
    """How crops change."""
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", "Training runs on this device; on all GPUs: torchrun --nproc-per-node=gpu -m cli train ..."
    )
    precision: Precision = option(
        "auto",
        "The network computes in this arithmetic; auto: fp32 on the CPU, bf16 on CUDA, or fp16 where the device lacks "
        "it. On CUDA, tf32 is fp32 with rounded factors, which is faster; fp32 rounds nothing.",
    )
    workers: int | Literal["auto"] = option(
        "auto",
        "N processes read crops; auto: 2 on the CPU, whose cores train, and on CUDA one for every core, up to 16.",
        unit="N|auto",
        read=parse_readers,
    )
    seed: int = option(
        0, "Another seed gives other random weights, order and augmentation.", unit="N", least=0, most=2**32 - 1
    )
    half: bool = option(False, "The weights are stored as float16: half the size.")
    tensorboard: bool = option(False, "Logs for TensorBoard are written too.")
    fresh: bool = option(False, "Training starts over, where the same command would go on.")

    def __post_init__(self) -> None:
        check(self, TrainError)
        if self.workers != "auto" and self.workers < 0:
            raise TrainError(f"workers: a whole number from 0, or auto expected, {self.workers} found")
        base = Path(self.base).expanduser()
        if base.exists() and base.resolve().is_relative_to(self.out.resolve()):
            raise TrainError(f"the base {self.base} lies in the output folder {self.out}; choose another --out")
