"""Give a model the statistics of a survey, and write it as a checkpoint of its own."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.adapt.look import Moments, look
from segment.adapt.request import AdaptRequest
from segment.engine.device import choose_device
from segment.errors import RecordError, RequestError
from segment.model.checkpoint import Description, load_checkpoint
from segment.model.config import tiling_entry
from segment.model.weights import read_json, read_weights
from segment.plan.request import Request
from segment.plan.survey import SurveyPlan
from segment.training.card import card_head
from segment.training.licence import licence_of
from tiler.files.atomic import write_whole
from tiler.grid.tiles import LOGITS_STRIDE
from tiler.words import counted

PRIOR = 24.0
"""The statistics of training count as those of so many squares of the size that the network was trained at."""
_KEY = "adapted"
_CONFIG, _WEIGHTS, _PROCESSING = "config.json", "model.safetensors", "preprocessor_config.json"
_NORM = "decode_head.batch_norm."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model that was made at home in a survey."""

    folder: Path
    """Where it is, as `noseam segment --model` takes it."""
    images: int
    """How many images it looked at."""
    squares: float
    """How much of them, in squares of the size that the network was trained at."""

    @property
    def share(self) -> float:
        """Share of the survey in its statistics; the rest is that of training."""
        return self.squares / (self.squares + PRIOR)

    def __str__(self) -> str:
        return (
            f"{counted(self.images, 'image')} ({self.squares:.0f} squares of the network's input) make "
            f"{self.share:.0%} of the statistics"
        )


def adapt(
    request: AdaptRequest,
    survey: SurveyPlan,
    resolved: Request,
    description: Description,
    advance: Callable[[int, int], None],
) -> Adapted:
    """Write a model whose batch norm has, for the most part, the statistics of a survey.

    The decode head of a SegFormer normalises each channel by the mean and variance that training saw. Photos of
    another camera, light or land have others. So these are replaced by a mean of both (Li et al., Revisiting Batch
    Normalization For Practical Domain Adaptation, ICLR 2017 workshop; the mean of both: Schneider et al., Improving
    robustness against common corruptions by covariate shift adaptation, NeurIPS 2020, equation 3). All else stays.

    Parameters
    ----------
    request : AdaptRequest
        What was asked.
    survey : SurveyPlan
        Its images, and inputs that cannot be read; these cost a warning each.
    resolved : Request
        How its images are read and cut.
    description : Description
        The model.
    advance : callable
        Called with (images done, images in all).

    Raises
    ------
    CheckpointError
        If the model cannot be loaded.
    RequestError
        If no image can be read, or `out` is the model itself or another one.
    RecordError
        If the folder cannot be written to.
    """
    _refuse_other_model(request.out, description)
    for refused in survey.refused:
        _log.warning("passed over: %s", refused.reason)
    found = look(load_checkpoint(description), survey.images, resolved, choose_device(request.device), advance)
    if not found.cells:
        raise RequestError(f"{counted(survey.inputs, 'image')}, none with a pixel that can be read; one is needed")
    cells_of_square = (resolved.tiling.input_px // LOGITS_STRIDE) ** 2
    adapted = Adapted(request.out, found.images, found.cells / cells_of_square)
    try:
        _write(request, description, found, adapted)
    except OSError as error:
        raise RecordError(f"{request.out}: the model cannot be written: {error.strerror or error}") from error
    _log.info("%s: %s", request.out, adapted)
    return adapted


def _refuse_other_model(out: Path, description: Description) -> None:
    """Raise unless a folder is free for an adapted model, or holds one."""
    config = out / _CONFIG
    if out.resolve() == description.folder.resolve():
        raise RequestError(f"--out {out} is the model itself; choose another folder for the adapted one")
    if config.exists() and _KEY not in read_json(config):
        raise RequestError(f"--out {out} holds a model that noseam adapt did not make; choose another folder")


def _write(request: AdaptRequest, description: Description, found: Moments, adapted: Adapted) -> None:
    from safetensors.torch import save

    out, share = request.out, adapted.share
    weights = read_weights(description.folder)
    for name, survey in (("running_mean", found.mean), ("running_var", found.variance)):
        own = weights[_NORM + name]
        weights[_NORM + name] = ((1 - share) * own.double() + share * survey).to(own.dtype)
    config: dict[str, Any] = read_json(description.folder / _CONFIG)
    config.pop("measured", None)  # that was the model before
    config["tiling"] = tiling_entry(description.tiling, description.classes)
    config[_KEY] = {
        "base": description.name, "images": adapted.images, "squares": round(adapted.squares, 2),
        "share": round(share, 4),
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_whole(out / _WEIGHTS, save(contiguous, {"format": "pt"}))
    if (description.folder / _PROCESSING).is_file():
        write_whole(out / _PROCESSING, (description.folder / _PROCESSING).read_bytes())
    write_whole(out / _CONFIG, (json.dumps(config, indent=2) + "\n").encode())
    write_whole(out / "README.md", _card(request, description, adapted).encode())


def _card(request: AdaptRequest, description: Description, adapted: Adapted) -> str:
    licence = licence_of(description.name, description.folder)
    sources = shlex.join(map(str, request.sources))
    return f"""\
{card_head(licence)}

# {request.out.absolute().name}

`{description.name}`, made at home in a survey by noseam, without labels. The weights are those of that model, and so
are its classes. Only the batch norm of the decode head has other statistics: {adapted}, the rest are those of training.
It is meant for this survey. Figures of `{description.name}` do not hold for it.

    noseam adapt {sources} --model {shlex.quote(description.name)} --out {shlex.quote(str(request.out))}

## Licence

{licence.sentence(description.name)}
"""
