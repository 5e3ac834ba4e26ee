"""noseam adapt."""

from __future__ import annotations

from typing import Any

import click

from commands.command import Command, quiet
from commands.options import options_of, request_of
from segment.adapt.request import AdaptRequest


@click.command(cls=Command, short_help="Make a model at home in a survey, without labels.")
@options_of(AdaptRequest)
def adapt(**wanted: Any) -> None:
    """Let a model look at the images of SRC, and write one that is used to them. No labels are needed.

    Photos of another camera, light or land make other numbers in a network than those of its
    training. The batch norm of the adapted model has the mean and the variance that the survey
    makes. Its weights stay as they are. That takes about as long as to segment a sample of the
    survey. It may help a model that never saw such photos, not one that was trained on them.
    Look at masks of both before you choose.

    \b
    Examples:
      noseam adapt survey/ --model bundled:start --out adapted/
      noseam segment survey/ --model adapted/ --out masks/
    """
    from segment.record.progress import Meter
    from segment.steps import adapt

    request = request_of(AdaptRequest, wanted)
    with Meter("images", quiet=quiet()) as count:
        found = adapt(request, count)
    click.echo(f"{found.folder}: {found}\nNext: noseam segment YOUR_PHOTOS --out MASKS --model {found.folder}")
