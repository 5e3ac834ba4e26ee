"""noseam status."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from commands.command import Command
from commands.exits import FAILED, STOPPED, nothing_matched
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.record.logs import one_line
from segment.record.request import StatusRequest


@click.command(cls=Command, short_help="Say what is done, failed and left in an output folder.")
@options_of(StatusRequest)
@partial(json_options, made="")
@click.pass_context
def status(ctx: click.Context, /, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Say what is done, failed and left in the output folder OUT, and which shards are missing.

    It reads the records that `noseam segment` keeps in OUT, and needs neither the photos nor the model.
    It disturbs no run. The exit code is 0 where all is done, 3 where images failed, 5 where images are
    left, and 4 where no run has left a record.

    \b
    Examples:
      noseam status masks/
      noseam status masks/ --json
    """
    from segment.record.status_report import status_as_dict, status_as_lines
    from segment.steps import status as read

    request = request_of(StatusRequest, wanted)
    found = read(request)
    give_json(status_as_dict(found), as_json=as_json, json_file=json_file)
    if not found.parts:
        why = f"{found.others[0]} holds it" if found.others else "`noseam segment` keeps one as it begins"
        nothing_matched(ctx, f"{request.out}: no record of a run found; {why}")
    if not as_json:
        width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else None
        click.echo("\n".join(map(one_line, status_as_lines(found, width))))
    ctx.exit((FAILED if found.failed else 0) if found.complete else STOPPED)
