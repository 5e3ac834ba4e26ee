"""noseam scenes."""

from __future__ import annotations

from typing import Any

import click

from commands.command import Command, quiet
from commands.options import options_of, request_of
from tiler.scenes.request import ScenesRequest
from tiler.words import counted


@click.command(cls=Command, short_help="Make up a survey with exact truth.")
@options_of(ScenesRequest)
def scenes(**wanted: Any) -> None:
    """Make up a survey in OUT: photos and orthomosaics with exact label masks.

    The survey serves to try noseam out, to train and to test. It shows streets, houses, gardens and
    ponds in 22 of the 24 classes of the Semantic Drone Dataset; with --world varied each scene is of
    another kind, light and camera. Photos and orthomosaics go to OUT/images, masks to OUT/truth,
    the class table to OUT/classes.csv.

    \b
    Examples:
      noseam scenes made-up/ --photos 4 --orthomosaics 1 --seed 7
      noseam scenes varied/ --world varied --gsd 0.004 --gsd-to 0.03
    """
    from segment.record.progress import SCENES_SIGN_S, Meter
    from tiler.scenes.survey import IMAGES, TRUTH, make_survey

    request = request_of(ScenesRequest, wanted)
    with Meter("megapixels", quiet=quiet(), sign_s=SCENES_SIGN_S) as count:
        make_survey(request.out, request.scenes, advance=count)
    model = "bundled:start" if request.scenes.world == "varied" else "bundled:demo"
    click.echo(
        f"{request.out}: {counted(request.scenes.photos, 'photo')}, "
        f"{counted(request.scenes.orthomosaics, 'orthomosaic')}, and their truth\n"
        f"Next: noseam segment {request.out / IMAGES} --out masks --model {model} && "
        f"noseam evaluate masks {request.out / TRUTH}"
    )
