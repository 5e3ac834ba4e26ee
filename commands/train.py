"""noseam train."""

from __future__ import annotations

import os
from typing import Any

import click

from commands.command import Command, quiet
from commands.options import options_of, request_of
from segment.training.request import TrainRequest
from tiler.words import counted


@click.command(cls=Command, short_help="Train a model on crops.")
@options_of(TrainRequest)
def train(**wanted: Any) -> None:
    """Train a SegFormer on CROPS that `noseam crop` cut.

    DIR becomes a checkpoint for `noseam segment --model DIR`: the weights that were best, class table,
    the cut of the crops, a model card and the learning curve. The same command again goes on where
    it was stopped.

    \b
    Examples:
      noseam train crops/ --out model/
      noseam train crops/ --out model/ --base nvidia/mit-b0 --epochs 20 --batch-size 8
      noseam train crops/ --out model/ --base b0 --epochs 50 --patience 10
      noseam train crops/ --out model/ --base b0 --epochs 80 --patience 10 --extend
    """
    from segment.evaluation.metrics import percent
    from segment.record.progress import Meter
    from segment.steps import train

    request = request_of(TrainRequest, wanted)
    with Meter("steps", quiet=quiet(), goes_on=True) as count:
        result = train(request, count)
    if os.environ.get("RANK", "0") != "0":  # under torchrun one process speaks for all
        return
    click.echo(
        f"{result.folder}: mIoU {percent(result.best_miou)} % on the validation crops, "
        f"{counted(result.steps, 'step')}\n"
        f"Next: noseam segment YOUR_PHOTOS --out MASKS --model {result.folder}"
    )
