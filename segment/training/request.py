"""What a user can ask of a training; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.engine.request import Precision
from segment.errors import TrainError
from segment.training.variation import Variation
from tiler.grid.fit import TileSize, parse_tile
from tiler.grid.tiles import LATTICE_PX, MIN_TILE_PX
from tiler.grid.tiling import DEFAULT_INPUT_PX, DEFAULT_OVERLAP
from tiler.option import REQUIRED, check, option
from tiler.remap.options import RemapOptions

Schedule = Literal["linear", "poly", "cosine", "constant"]
SCHEDULES: dict[Schedule, str] = {
    "linear": "linear", "poly": "polynomial", "cosine": "cosine", "constant": "constant_with_warmup",
}  # fmt: skip
"""Learning rate schedules, and what transformers calls them."""
Recipe = Literal["auto", "scratch", "finetune", "adapt"]
"""What says the options of a training that its user does not say; see `segment.training.recipe`."""
Loss = Literal["ce", "ce+dice", "ce+lovasz"]
"""What a training makes less."""
Balance = Literal["none", "sqrt", "median"]
"""How much more pixels of rare classes weigh."""
_BY_RECIPE = "by the recipe"


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
        "Training starts from this: a hub id or folder of an encoder or a whole SegFormer; bundled:start, which "
        "comes with noseam; or a size (nano, mini, b0 to b5) for random weights. The last two need no download.",
        unit="ID|DIR|SIZE|bundled:start",
    )
    epochs: float = option(10.0, "Training shows every crop N times.", unit="N", above=0)
    max_steps: int | None = option(
        None, "The optimizer takes N steps in all.", unit="N", shown="by the epochs", least=1
    )
    validate_every: int | None = option(
        None,
        "The validation crops judge the model every N steps, and a training that was stopped goes on from there.",
        unit="N",
        shown="after each epoch, and within epochs of more than 500 steps",
        least=1,
    )
    patience: int | None = option(
        None,
        "Training stops when N validations in a row brought no better mIoU.",
        unit="N",
        shown="it goes to its end",
        least=1,
    )
    recipe: Recipe = option(
        "auto",
        "This sets the loss, learning rate, schedule, warm-up, weight decay, dropout, change of colours, rate of the "
        "head and mean of weights that no option sets: scratch for random weights, finetune for those of a model, "
        "adapt for those of a bundled one; auto goes by the base.",
    )
    lr: float | None = option(
        None,
        "The learning rate of AdamW rises to this.",
        unit="RATE",
        above=0,
        shown=f"{_BY_RECIPE}: 6e-4, 6e-5 or 4e-4",
    )
    head_lr_factor: float | None = option(
        None,
        "The decode head learns at N times the rate, because its weights are new where those of the encoder are not.",
        unit="N",
        above=0,
        shown=f"{_BY_RECIPE}: 1 or 10",
    )
    schedule: Schedule | None = option(
        None,
        "The learning rate falls in this way; poly: by the power of 0.9.",
        shown=f"{_BY_RECIPE}: cosine or linear",
    )
    warmup: float | None = option(
        None,
        "The learning rate rises from 0 in this share of the steps.",
        unit="FRACTION",
        least=0,
        most=1,
        shown=f"{_BY_RECIPE}: 0.05 or 0.02",
    )
    weight_decay: float | None = option(
        None, "AdamW shrinks the weights at this rate.", unit="RATE", least=0, shown=f"{_BY_RECIPE}: 0.01"
    )
    ema: float | None = option(
        None,
        "The model is a running mean of the weights, which keeps this share of itself with each step; 0: the weights "
        "of a step.",
        unit="SHARE",
        least=0,
        below=1,
        shown=f"{_BY_RECIPE}: 0.999",
    )
    dropout: float | None = option(
        None,
        "Each step leaves out this share of the values in the decode head, and whole branches of the encoder: none in "
        "its first block, and up to this share in its last. 0: nothing.",
        unit="SHARE",
        least=0,
        below=1,
        shown=f"{_BY_RECIPE}: 0.1 or 0",
    )
    coarse_first: float | None = option(
        None,
        "This share of the steps, the first ones, shows crops at half of the input, which takes less than half of the "
        "time.",
        unit="SHARE",
        least=0,
        most=1,
        shown=f"{_BY_RECIPE}: 0 or 0.5",
    )
    loss: Loss | None = option(
        None,
        "Training makes this less: the cross entropy of pixels, or with the Dice or Lovasz loss of areas beside it.",
        shown=f"{_BY_RECIPE}: ce or ce+dice",
    )
    ohem: float = option(
        1.0,
        "Pixels whose true class has this probability or more do not count in the cross entropy; 1: all count.",
        unit="P",
        above=0,
        most=1,
    )
    class_weights: Balance = option(
        "none", "Rare classes weigh more in the cross entropy: by median frequency, or by its square root."
    )
    class_bias: bool = option(
        True,
        "When the weights are trained, the bias of the classifier is found anew, a constant for each class: that by "
        "which the sum of mean IoU and accuracy is highest where training crops are tiled as segment does. It is kept "
        "if validation crops are better with it too.",
    )
    remap: RemapOptions = RemapOptions()
    """Which classes are left out or merged, as crops are read."""
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
    tile: TileSize | None = option(
        None,
        "The model will ask `segment` for tiles of this size, in model pixels; auto: those that suit each image.",
        unit="PX|HxW|auto",
        shown="squares of --input where validation crops are labelled better by them, else auto",
        read=parse_tile,
    )
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
        "The network computes in this arithmetic; auto: bf16, or where the device has no instructions for it fp32 on "
        "the CPU and fp16 on CUDA. On CUDA, tf32 is fp32 with rounded factors, which is faster; fp32 rounds nothing.",
    )
    workers: int | Literal["auto"] = option(
        "auto",
        "N processes read crops; auto: 2 on the CPU, whose cores train, and on CUDA one for every core, up to 16.",
        unit="N|auto",
        read=parse_readers,
    )
    threads: int | None = option(
        None, "The CPU computes with N threads.", unit="N", shown="as PyTorch chooses", least=1
    )
    seed: int = option(
        0, "Another seed gives other random weights, order and augmentation.", unit="N", least=0, most=2**32 - 1
    )
    half: bool = option(False, "The weights are stored as float16: half the size.")
    tensorboard: bool = option(False, "Logs for TensorBoard are written too.")
    fresh: bool = option(False, "Training starts over, where the same command would go on.")
    extend: bool = option(
        False,
        "A training goes on past the end that it had, with the --epochs, --max-steps, --patience, --tile and "
        "--class-bias of now.",
    )

    def __post_init__(self) -> None:
        check(self, TrainError)
        if self.workers != "auto" and self.workers < 0:
            raise TrainError(f"workers: a whole number from 0, or auto expected, {self.workers} found")
        if self.fresh and self.extend:
            raise TrainError("extend: fresh starts over, and extend goes on; give one of them")
        base = Path(self.base).expanduser()
        if base.exists() and base.resolve().is_relative_to(self.out.resolve()):
            raise TrainError(f"the base {self.base} lies in the output folder {self.out}; choose another --out")
