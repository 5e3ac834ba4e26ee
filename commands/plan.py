"""noseam plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.command import Command
from commands.exits import FAILED, no_image
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.plan.request import PlanRequest
from segment.record.logs import one_line


@click.command(cls=Command, short_help="Say what segment would do; nothing is written.")
@options_of(PlanRequest)
@json_options
@click.pass_context
def plan(ctx: click.Context, /, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Say what segment would do, from headers alone: no pixel is read, nothing is written.

    Prints images, sizes in pixels, tiles, the size of the masks before compression, and every file
    whose header cannot be read, with the reason.

    \b
    Examples:
      noseam plan survey/ --window 2000 --input 512 --overlap 0.25
      noseam plan survey/ --model my-checkpoint/ --json
    """
    from segment.plan.report import plan_as_dict, plan_as_lines
    from segment.steps import plan

    request = request_of(PlanRequest, wanted)
    survey = plan(request).survey
    give_json(plan_as_dict(survey), as_json=as_json, json_file=json_file)
    if not as_json:
        click.echo("\n".join(map(one_line, plan_as_lines(survey))))
    if not survey.inputs + survey.elsewhere:
        no_image(ctx, request.sources)
    ctx.exit(FAILED if survey.refused else 0)
