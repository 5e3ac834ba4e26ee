"""The README of a trained model: what it is, what it was trained on, how well it does."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from segment.evaluation.metrics import percent
from segment.training.data import CropSet, Split
from segment.training.licence import Licence
from segment.training.recipe import option_of, recipe_in_prose
from segment.training.request import TrainRequest
from segment.training.temperature import Temperature
from segment.training.tiles import FoundTile
from segment.training.tune import Tuned
from tiler.extra import version_of
from tiler.option import options_in
from tiler.words import lengths

_CHOICE = "\nWhoever publishes this model chooses a licence and says so here; those of the images bear on it too."
_ASIDE = {"crops", "fresh", "extend"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model card tells."""

    asked: TrainRequest
    """What the user asked for."""
    request: TrainRequest
    """The same, with what the recipe says where nothing was asked."""
    crops: CropSet
    """The data."""
    precision: str
    """Arithmetic of the training."""
    steps: int
    """Steps of the optimizer that were taken."""
    scores: Mapping[str, Any]
    """The Trainer's log entry of the best validation: `epoch`, `step`, `eval_miou`, `eval_accuracy`, `eval_iou_ID`."""
    licence: Licence
    """The licence of the base."""
    tuned: Tuned
    """What was found when the weights were trained."""


def card_head(licence: Licence) -> str:
    """Return the head of a card, which hubs read."""
    return f"""\
---
library_name: transformers
pipeline_tag: image-segmentation
tags: [segformer, semantic-segmentation, aerial-imagery, noseam]
{licence.front_matter()}
---"""


def model_card(facts: Facts) -> str:
    """Return a model card as Markdown."""
    request, scores = facts.request, facts.scores
    return f"""\
{card_head(facts.licence)}

# {request.out.absolute().name}

A SegFormer for {len(facts.crops.classes)} classes of aerial images, trained with noseam from `{request.base}`.
Images are cut like this: {facts.tuned.tiling}. Segment a folder of images with it:

    noseam segment survey/ --out masks/ --model {shlex.quote(str(request.out))}

## Licence

{facts.licence.sentence(request.base)}{_CHOICE if facts.licence.kind != "restricted" else ""}

## Figures

On the validation crops, at the network's input resolution, each crop alone, after epoch {scores["epoch"]:.3g}
(step {scores["step"]} of {facts.steps}), which had the best mean IoU:

| class | IoU, % |
|---|---|
{_class_lines(facts)}
| **mean over the classes above that the validation crops show** | **{100 * scores["eval_miou"]:.1f}** |

Of all labelled pixels {100 * scores["eval_accuracy"]:.1f} % got the right class. That moment was chosen by these
same crops, so expect a little less elsewhere. `learning_curve.csv` and `learning_curve.png` show every validation, and
`confusion.csv` counts what was taken for what in that one: pixels by true class (row) and label (column).
{tuned_lines(facts.tuned)}
## Data

| | crops | sources | labelled pixels |
|---|---|---|---|
{_data_line("training", facts.crops.train)}
{_data_line("validation", facts.crops.val)}

Crops are squares of {facts.crops.window_px} source pixels, seen at {request.input_px}.{_resolution(facts)}
{len(facts.crops.train.crops)} crops are shown per epoch.

## Recipe

    {_command(facts.asked)}

{recipe_in_prose(request, steps=facts.steps, precision=facts.precision)}
Versions: {_versions()}.
"""


def _class_lines(facts: Facts) -> str:
    found = [facts.scores.get(f"eval_iou_{index}") for index in range(len(facts.crops.classes))]
    shown = ["not in the validation crops" if iou is None else f"{100 * iou:.1f}" for iou in found]
    return "\n".join(
        f"| {name.replace('|', '&#124;')} | {text} |"
        for name, text in zip(facts.crops.classes.names, shown, strict=True)
    )


def tuned_lines(found: Tuned) -> str:
    """Return paragraphs on what was found in the end, each after an empty line; empty without any."""
    balance = f"`segment --balance-classes auto` balances classes by {found.balance}.\n" if found.balance else ""
    lines = _tile_lines(found.tile), _bias_lines(found), _calibration_lines(found.temperature), balance
    return "".join(f"\n{each}" for each in lines if each)


def _tile_lines(found: FoundTile | None) -> str:
    return f"On tiles of the same crops, each alone: {found}.\n" if found else ""


def _bias_lines(found: Tuned) -> str:
    bias = found.bias
    if bias is None:
        return ""
    start = f"Tiled as `segment` does it ({found.tiles} tiles), the same crops have a mean IoU of"
    before = f"{percent(bias.gain.miou_before)} % and an accuracy of {percent(bias.gain.accuracy_before)} %"
    if not bias.helps:
        return f"{start} {before}.\nNo other bias of the classifier was found that is better.\n"
    return f"""\
When the weights were trained, the bias of the classifier was found anew by training crops, a constant for each class
(`class_bias` in `config.json`). The table above is of before.
{start} {percent(bias.gain.miou_after)} %
and an accuracy of {percent(bias.gain.accuracy_after)} % with it, {before} without it.
"""


def _calibration_lines(found: Temperature | None) -> str:
    if found is None:
        return ""
    before, after = f"{100 * found.ece_before:.2f} %", f"{100 * found.ece_after:.2f} %"
    return f"""\
Confidence is calibrated: logits are divided by a temperature of {found.value:.4g} (Guo et al. 2017); labels stay.
It was found by {found.pixels:,} labelled pixels of the same crops, tiled as `segment` does it. There the expected
calibration error of the best class's probability (15 bins) is {before} without it and {after} with it.
"""


def _resolution(facts: Facts) -> str:
    """Say at which resolutions the model learned; empty where no image says its own."""
    if facts.crops.gsd_m is None or facts.tuned.tiling.trained_gsd_m is None:
        return ""
    source, seen = lengths(*facts.crops.gsd_m), lengths(*facts.tuned.tiling.trained_gsd_m)
    return f" Pixels of the images cover {source} of ground, pixels that the network sees {seen}."


def _data_line(name: str, split: Split) -> str:
    return f"| {name} | {split.files} | {split.sources} | {split.labelled} |"


def _command(request: TrainRequest) -> str:
    """Return the command line of a request, without the options that have their default."""
    words = ["noseam", "train", *map(str, request.crops)]
    for asked in options_in(type(request)):
        value = option_of(request, asked.name)
        if asked.name in _ASIDE or (value == asked.default and asked.name != "base"):
            continue
        if asked.kind is bool:
            words.append(asked.flag if value else f"--no-{asked.flag[2:]}")
        elif get_args(asked.kind)[-1:] == (Ellipsis,):
            words += [word for text in value for word in (asked.flag, text)]
        else:
            words += [asked.flag, *map(_text, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _versions() -> str:
    return ", ".join(f"{name} {version_of(name)}" for name in ("noseam", "torch", "transformers"))
