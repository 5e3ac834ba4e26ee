"""noseam evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.command import Command, quiet
from commands.exits import FAILED, nothing_matched
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.evaluation.request import EvaluateRequest
from segment.record.logs import one_line
from tiler.errors import NoPairError


@click.command(cls=Command, short_help="Compare masks with the truth, or with masks of another grid.")
@options_of(EvaluateRequest)
@json_options
@click.pass_context
def evaluate(ctx: click.Context, /, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Compare PREDICTED masks with the TRUTH, or with masks made under another grid, at full resolution.

    Masks are paired by name and hold class ids (255 = no label) or colours of the class table. With
    TRUTH it prints IoU, F1, precision, recall and support per class, and how the zones where tiles
    meet fare against the rest. With --shifted it prints how many labels depend on where the tiles
    lay, and what the seams alone cost; the first needs no truth.

    \b
    Examples:
      noseam evaluate masks/ truth/ --classes class_dict_seg.csv
      noseam evaluate masks/ truth/ --json --out evaluation/
      noseam segment survey/ --out shifted/ --model model/ --grid-shift 192
      noseam evaluate masks/ --shifted shifted/
    """
    ctx.exit(run(ctx, request_of(EvaluateRequest, wanted), as_json=as_json, json_file=json_file))


def run(ctx: click.Context, request: EvaluateRequest, *, as_json: bool = False, json_file: Path | None = None) -> int:
    """Compare masks as the user sees it; return the exit code."""
    from segment.evaluation.lines import evaluation_as_lines
    from segment.evaluation.report import evaluation_as_dict
    from segment.record.progress import Meter
    from segment.steps import evaluate

    with Meter("masks", quiet=quiet()) as count:
        try:
            evaluation = evaluate(request, count)
        except NoPairError as error:
            nothing_matched(ctx, str(error))
    give_json(evaluation_as_dict(evaluation), as_json=as_json, json_file=json_file)
    if not as_json:
        click.echo("\n".join(map(one_line, evaluation_as_lines(evaluation))))
    return FAILED if evaluation.failed else 0
