"""What is found when the weights are trained: tiles, the bias of the classifier, a temperature, a balance."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import SegformerForSemanticSegmentation

from segment.evaluation.metrics import percent
from segment.model.config import Normalisation, tiling_entry
from segment.model.cost import balance_px
from segment.training.balance import FoundBalance, find_balance
from segment.training.class_bias import MOST_LOGITS, ClassBias, find_class_bias
from segment.training.dataset import Crop
from segment.training.plan import TrainPlan
from segment.training.quick import quicken
from segment.training.sample import Sample, sample, scores_of
from segment.training.temperature import Temperature, find_temperature
from segment.training.tiles import FoundTile, TileDataset, choose_tiles
from tiler.grid.fit import AUTO, TileSize
from tiler.grid.tiling import Tiling

_SHARE = 0.15
"""So much of the area that training showed is looked at again for the bias. That takes about a tenth of its time
(benchmarks/README.md)."""
_LEAST_CROPS, _MOST_PX = 16, 2**28
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found; None where no validation tile has a label."""

    tiling: Tiling
    """How the model wants its images cut."""
    tiles: int
    """Number of tiles of validation that show a label."""
    tile: FoundTile | None = None
    """By which tiles it labels best; None: nobody asked, or all tiles are alike."""
    bias: ClassBias | None = None
    """What its classifier was changed by; None: nobody asked."""
    temperature: Temperature | None = None
    """What makes its confidence come true."""
    balance: FoundBalance | None = None
    """The strength to which its classes are best balanced."""


def tune(plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation) -> Tuned:
    """Find what a trained network still lacks, by tiles as `segment` will show them, and let its config tell it.

    The size of these tiles comes first. The bias is found by tiles of training, and kept if it is better on those of
    validation. By these, temperature and balance are found.
    """
    tiling, seen, tile = _validation(plan, quicken(network), normalisation)
    logits, bias = seen.logits, None
    if plan.request.class_bias and len(logits):
        found = _class_bias(plan, tiling, network, normalisation)
        scores = (scores_of(each, seen.labels) for each in (logits, logits + torch.tensor(found)))
        bias = ClassBias.judged(found, *scores)
        logits = logits + torch.tensor(bias.values)
        classifier = network.decode_head.classifier
        classifier.bias.data += torch.tensor(bias.values, device=classifier.bias.device)
        _log.info("class bias, on %d validation tiles: %s", seen.count, bias)
    temperature = find_temperature(logits, seen.labels)
    balance = find_balance(logits, seen.labels, plan.crops.train.class_frequencies)
    network.config.tiling = tiling_entry(tiling, plan.crops.classes)
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
    return Tuned(tiling, seen.count, tile, bias, temperature, balance)


def _validation(
    plan: TrainPlan, network: SegformerForSemanticSegmentation, normalisation: Normalisation
) -> tuple[Tiling, Sample, FoundTile | None]:
    """Return how images are best cut, and what a network says of the ground of validation crops when they are.

    The last is None where the user has chosen, or tiles that suit each image and squares are the same.
    """
    crops, side = plan.crops.val.crops, plan.request.input_px
    shown = _tiles(plan, plan.tiling, network, normalisation, crops)
    squares = replace(plan.tiling, tile=TileSize((side, side)))
    others = _tiles(plan, squares, network, normalisation, crops)
    if plan.request.tile is not None or others.windows == shown.windows:
        return plan.tiling, _seen(plan, network, shown), None
    _log.info("looking at %d tiles of validation, and at %d squares of the same ground", len(shown), len(others))
    seen = _seen(plan, network, shown)
    by_squares = _seen(plan, network, others)
    found = FoundTile.judged(side, *(scores_of(each.logits, each.labels) for each in (seen, by_squares)))
    _log.info("on %d validation tiles, %s", by_squares.count, found)
    return (plan.tiling, seen, found) if found.tile == AUTO else (squares, by_squares, found)


def _class_bias(
    plan: TrainPlan, tiling: Tiling, network: SegformerForSemanticSegmentation, normalisation: Normalisation
) -> tuple[float, ...]:
    """Return the constants that tiles of training ask for."""
    request = plan.request
    crops = plan.steps * request.batch_size * request.accumulate * plan.arguments.world_size
    most_px = min(max(_SHARE * crops, _LEAST_CROPS) * request.input_px**2, _MOST_PX)
    shown = _tiles(plan, tiling, network, normalisation, plan.crops.train.crops, most_px=most_px)
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
    plan: TrainPlan, tiling: Tiling, network: SegformerForSemanticSegmentation, normalisation: Normalisation,
    crops: Sequence[Crop], *, most_px: float = float("inf"),
) -> TileDataset:  # fmt: skip
    cost = balance_px(network.config.to_dict())
    tiles = choose_tiles(crops, tiling, cost, most_px=most_px, seed=plan.request.seed)
    return TileDataset(tiles, classes=len(plan.crops.in_masks), normalisation=normalisation, lookup=plan.crops.lookup)
