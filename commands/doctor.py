"""noseam doctor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from commands.command import Command
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.doctor.request import DoctorRequest
from segment.record.logs import one_line


@click.command(cls=Command, short_help="Say what this machine has, and try every engine out.")
@options_of(DoctorRequest)
@partial(json_options, made="")
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Say what this machine has, and run a small made-up scene through every engine with the bundled model.

    Each line begins with ok, look (worth a look), bad, or - (not there, and not needed), and says what
    helps. The text fits into a bug report: it names neither the user nor the home folder. It takes ten to
    twenty seconds. The exit code is 0 where segmenting works, and 1 where no engine does.

    \b
    Examples:
      noseam doctor
      noseam doctor --no-network --json doctor.json
    """
    from segment.doctor.report import as_dict, as_lines
    from segment.steps import doctor as examined

    found = examined(request_of(DoctorRequest, wanted))
    give_json(as_dict(found), as_json=as_json, json_file=json_file)
    if not as_json:
        click.echo("\n".join("\n".join(map(one_line, line.split("\n"))) for line in as_lines(found)))
    ctx.exit(0 if found.works else 1)
