"""How a training goes where its user does not say so: by what it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from segment.model.checkpoint import is_bundled
from segment.model.presets import Size
from segment.training.request import Recipe, TrainRequest

RECIPES: Mapping[Recipe, Mapping[str, Any]] = {
    "scratch": {
        "lr": 6e-4, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "head_lr_factor": 1.0, "ema": 0.999,
        "dropout": 0.1, "coarse_first": 0.0, "loss": "ce", "colour": 0.2,
    },
    "finetune": {
        "lr": 6e-5, "schedule": "linear", "warmup": 0.02, "weight_decay": 0.01, "head_lr_factor": 10.0, "ema": 0.999,
        "dropout": 0.1, "coarse_first": 0.0, "loss": "ce", "colour": 0.2,
    },
    "adapt": {
        "lr": 4e-4, "schedule": "linear", "warmup": 0.02, "weight_decay": 0.01, "head_lr_factor": 1.0, "ema": 0.999,
        "dropout": 0.0, "coarse_first": 0.5, "loss": "ce+dice", "colour": 0.0,
    },
}  # fmt: skip
"""Values of options by recipe. `finetune` is that of SegFormer's authors (Xie et al., NeurIPS 2021, and their code),
but for the mean of the weights: AdamW at 6e-5, 10 times that for the head, falling to 0 in a straight line. So small a
rate hardly moves random weights; `scratch` has ten times as much. `adapt` is for a small model that knows classes of
made-up scenes: on real photos 2e-4 for all of it was the best of the rates that `benchmarks/ablation.py` tries, and
the Dice loss raised the mean IoU. It has more to learn than it can in hours: nothing is
dropped, and colours stay."""


def recipe_of(request: TrainRequest) -> Recipe:
    """Return what was asked for, else `scratch` for a size, `adapt` for a bundled model and `finetune` for others."""
    if request.recipe != "auto":
        return request.recipe
    if request.base in get_args(Size):
        return "scratch"
    return "adapt" if is_bundled(request.base) else "finetune"


def complete(request: TrainRequest) -> TrainRequest:
    """Return a request in which the recipe has said all that the user did not."""
    said = {name: value for name, value in RECIPES[recipe_of(request)].items() if option_of(request, name) is None}
    varied = {name: said.pop(name) for name in [*said] if not hasattr(request, name)}
    return replace(request, variation=replace(request.variation, **varied), **said)


def option_of(request: TrainRequest, name: str) -> Any:
    """Return what an option of a training is, whichever part of the request holds it."""
    holder = next(each for each in (request, request.variation, request.remap) if hasattr(each, name))
    return getattr(holder, name)


def recipe_in_words(asked: TrainRequest) -> str:
    """Return which recipe a training follows and what it says, for the log; what the user said is marked."""
    given = {name for name in RECIPES["scratch"] if option_of(asked, name) is not None}
    marked = {name: " (given)" if name in given else "" for name in RECIPES["scratch"]}
    found = complete(asked)
    return (
        f"{recipe_of(asked)}: loss {found.loss}{marked['loss']}, rate {found.lr:g}{marked['lr']}, "
        f"of the head {found.head_lr_factor:g} x that{marked['head_lr_factor']}, {found.schedule}{marked['schedule']}, "
        f"warm-up over {found.warmup:.3g} of the steps{marked['warmup']}, weight decay {found.weight_decay:g}"
        f"{marked['weight_decay']}, dropout {found.dropout:g}{marked['dropout']}, "
        f"{found.coarse_first:.0%} of the steps at half of the input{marked['coarse_first']}, "
        f"colours change by {found.variation.colour:g}{marked['colour']}, "
        f"mean of weights {f'{found.ema:g}' if found.ema else 'none'}{marked['ema']}"
    )


def recipe_in_prose(request: TrainRequest, *, steps: int, precision: str) -> str:
    """Return a paragraph on how a model was trained, for its card; of a request that is complete."""
    head = f", that of the head {request.head_lr_factor:g} times as much" if request.head_lr_factor != 1 else ""
    assert request.coarse_first is not None
    coarse = f", the first {request.coarse_first:.0%} at half of the input" if request.coarse_first else ""
    mean = f"The model is a running mean of the weights (decay {request.ema:g})." if request.ema else ""
    crops = f"crops {request.variation.words if request.augment else 'as they are'}"
    return f"""\
By the recipe `{recipe_of(request)}` where the command does not say otherwise: AdamW, learning rate {request.lr:g}{head}
({request.schedule}, warm-up over {request.warmup:.0%} of the steps), weight decay {request.weight_decay:g},
dropout {request.dropout:g}, {request.batch_size * request.accumulate} crops per step and device, {steps} steps{coarse},
{precision}, seed {request.seed}.
{_loss(request)}; {crops}.
{mean}"""


def _loss(request: TrainRequest) -> str:
    balance = {"none": "", "median": ", classes balanced by median frequency",
               "sqrt": ", classes balanced by the square root of median frequency"}[request.class_weights]  # fmt: skip
    hard = f", of those whose true class has a probability below {request.ohem:g}" if request.ohem < 1 else ""
    assert request.loss is not None
    beside = {"ce": "", "ce+dice": ", with the Dice loss", "ce+lovasz": ", with the Lovasz loss"}[request.loss]
    return f"Cross entropy over labelled pixels{hard}{balance}{beside}"
