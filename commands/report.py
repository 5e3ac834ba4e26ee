"""noseam report."""

from __future__ import annotations

from typing import Any

import click

from commands.command import Command, quiet
from commands.exits import nothing_matched
from commands.options import options_of, request_of
from segment.record.logs import one_line
from segment.report.request import ReportRequest


@click.command(cls=Command, short_help="Make the page that shows an output folder.")
@options_of(ReportRequest)
@click.pass_context
def report(ctx: click.Context, /, **wanted: Any) -> None:
    """Make the report of the output folder OUT: a page for any browser, in OUT/report.

    `noseam segment` does so itself at its end. The page shows how the run went, what is doubtful, what each
    class covers, and every image with its mask. It needs no network and no server; send the folder report as it is.
    While a run is under way, this command shows what is done so far.

    \b
    Examples:
      noseam report masks/
      noseam report masks/ --evaluation evaluation/
    """
    from segment.record.progress import Meter
    from segment.steps import report as make

    request = request_of(ReportRequest, wanted)
    with Meter("previews", quiet=quiet()) as count:
        page = make(request, count)
    if page is None:
        nothing_matched(ctx, f"{request.out}: no mask and no record of a run found; `noseam segment` makes them")
    click.echo(one_line(f"report: {page}"))
