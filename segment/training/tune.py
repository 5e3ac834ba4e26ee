"""What is found when the weights are trained: the bias of the classifier, a temperature, a strength of balance."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import SegformerForSemanticSegmentation

from segment.evaluation.metrics import measure, percent
from segment.model.config import Normalisation
from segment.model.cost import balance_px
from segment.training.balance import FoundBalance, find_balance
from segment.training.class_bias import MOST_LOGITS, ClassBias, find_class_bias
from segment.training.dataset import Crop
from segment.training.plan import TrainPlan
from segment.training.sample import Sample, sample
from segment.training.temperature import Temperature, find_temperature
from segment.training.tiles import TileDataset, choose_tiles

_SHARE = 0.15
"""So much of the area that training showed is looked at again for the bias. That takes about a tenth of its time
(benchmarks/README.md)."""
_LEAST_CROPS, _MOST_PX = 16, 2**28
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found; None where no validation tile has a label."""

    tiles: int
    """Number of tiles of validation."""
    bias: ClassBias | None = None
    """What its classifier was changed by; None: nobody asked."""
    temperature: Temperature | None = None
    """What makes its confidence come true."""
    balance: FoundBalance | None = None
    """The strength to which its classes are best balanced."""


def tune(plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation) -> Tuned:
    """Find what a trained network still lacks, by tiles as `segment` will show them, and let its config tell it.

    The bias is found by tiles of training, and kept if it is better on those of validation. By these, temperature and
    balance are found.
    """
    found = _class_bias(plan, network, normalisation) if plan.request.class_bias else ()
    none = (0.0,) * len(plan.crops.classes)
    shown = _tiles(plan, network, normalisation, plan.crops.val.crops)
    seen = _seen(plan, network, shown, biases=(none, found) if found else ())
    logits, bias = seen.logits, None
    if found and len(seen.labels):
        bias = ClassBias.judged(found, *map(measure, seen.confusions))
        logits = logits + torch.tensor(bias.values)
        classifier = network.decode_head.classifier
        classifier.bias.data += torch.tensor(bias.values, device=classifier.bias.device)
        _log.info("class bias, on %d validation tiles: %s", len(shown), bias)
    temperature = find_temperature(logits, seen.labels)
    balance = find_balance(logits, seen.labels, plan.crops.train.class_frequencies)
    network.config.class_bias = None if bias is None else bias.entry
    network.config.calibration = temperature.entry if temperature else None
    network.config.class_balance = balance.entry if balance else None
    if temperature is not None:
        hardly = ", the end of what is tried: the model is hardly trained, and its confidence says little"
        _log.info(
            "confidence: temperature %.3g%s; expected calibration error %s %% before, %s %% after", temperature.value,
            hardly if temperature.at_bound else "", percent(temperature.ece_before), percent(temperature.ece_after),
        )  # fmt: skip
    if balance is not None:
        _log.info("segment --balance-classes auto: %s", balance)
    return Tuned(len(shown), bias, temperature, balance)


def _class_bias(
    plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation
) -> tuple[float, ...]:
    """Return the constants that tiles of training ask for."""
    request = plan.request
    crops = plan.steps * request.batch_size * request.accumulate * plan.arguments.world_size
    most_px = min(max(_SHARE * crops, _LEAST_CROPS) * request.input_px**2, _MOST_PX)
    shown = _tiles(plan, network, normalisation, plan.crops.train.crops, most_px=most_px)
    _log.info("looking at %d tiles of training for the class bias", len(shown))
    seen = _seen(plan, network, shown, most=MOST_LOGITS)
    return find_class_bias(seen.logits, seen.labels, seen.tiles)


def _seen(plan: TrainPlan, network: SegformerForSemanticSegmentation, shown: TileDataset, **known: Any) -> Sample:
    """Return what a network says of tiles. They are larger than crops, so a GPU that trained may not hold them."""
    classes = len(plan.crops.classes)
    try:
        return sample(network, shown, classes, plan.arguments.device, **known)
    except torch.OutOfMemoryError:
        _log.warning("the GPU's memory does not hold tiles as segment takes them; the CPU looks at them instead")
        return sample(network, shown, classes, torch.device("cpu"), **known)


def _tiles(
    plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation, crops: Sequence[Crop],
    *, most_px: float = float("inf"),
) -> TileDataset:  # fmt: skip
    cost = balance_px(network.config.to_dict())
    tiles = choose_tiles(crops, plan.tiling, cost, most_px=most_px, seed=plan.request.seed)
    return TileDataset(tiles, classes=len(plan.crops.in_masks), normalisation=normalisation, lookup=plan.crops.lookup)
