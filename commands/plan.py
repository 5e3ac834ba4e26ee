"""noseam plan."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from commands.command import Command
from commands.exits import FAILED, no_image
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.record.logs import one_line
from segment.run.request import PlanRequest


@click.command(cls=Command, short_help="Say what segment would do; nothing is written.")
@options_of(PlanRequest)
@partial(json_options, made="")
@click.pass_context
def plan(ctx: click.Context, /, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Say what segment would do, and the time, memory and disk that takes; nothing is written to DIR.

    Headers are read, and the ends of files, so that cut ones are named as segment names them; damage in
    the middle of a file shows only when it is segmented. With --model some of the images, or parts of
    them, are then segmented for a few seconds into a temporary folder, evenly spread. Time,
    memory and disk follow from that; they hold for this machine, as busy as it is now.

    \b
    Examples:
      noseam plan survey/ --model my-checkpoint/
      noseam plan survey/ --model my-checkpoint/ --no-calibrate --json
      noseam plan survey/ --window 2000 --input 512 --overlap 0.25
    """
    from segment.plan.report import plan_as_dict, plan_as_lines
    from segment.steps import survey

    request = request_of(PlanRequest, wanted)
    found = survey(request)
    give_json(plan_as_dict(found), as_json=as_json, json_file=json_file)
    if not as_json:
        click.echo("\n".join(map(one_line, plan_as_lines(found, request.out))))
    if not found.inputs + found.elsewhere:
        no_image(ctx, request.sources)
    ctx.exit(FAILED if found.refused else 0)
