"""noseam segment."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from commands.command import Command, quiet, typed, verbose
from commands.exits import FAILED, exit_code, no_image
from commands.options import options_of, request_of
from commands.results import give_json, json_options
from segment.record.logs import one_line
from segment.run.request import SegmentRequest
from tiler.stopwatch import running, taken, watch

if TYPE_CHECKING:
    from segment.plan.survey import SurveyPlan
    from segment.record.sums import End, Sums

_MODEL_CHOICE = """--model is missing: which network shall segment your images?
  --model {bundled}
      comes with noseam, for a first try on your photos. It learned made-up
      {measured}
  --model {hub}
      24 classes of low-flying drone photos; fetched once from the Hugging
      Face hub; for research and evaluation only
  --model FOLDER
      your own SegFormer, of your own classes. From photos and their masks:
        noseam crop PHOTOS MASKS --out crops --classes classes.csv
        noseam train crops --out FOLDER --base {bundled}"""
_WIDTH = 72
_log = logging.getLogger("noseam")


@click.command(cls=Command, short_help="Segment images; write full-resolution masks.")
@options_of(SegmentRequest)
@json_options
@click.pass_context
def segment(ctx: click.Context, /, model: str | None, as_json: bool, json_file: Path | None, **wanted: Any) -> None:
    """Segment images and folders of images; write full-resolution masks.

    SRC are JPEG, PNG or TIFF files, and folders that are walked recursively. For survey/a/IMG_1.JPG
    the masks are DIR/a/IMG_1_label.png (value = class id, 255 = no data) and DIR/a/IMG_1_color.png.
    Images whose masks are up to date are skipped; a bad image is reported and costs only itself.

    \b
    Examples:
      noseam segment survey/ --out masks/ --model my-checkpoint/
      noseam segment ortho.tif --out masks/ --model my-checkpoint/ --gsd 0.05
      noseam segment survey/ --out masks/ --model owner/name --window 2000 --input 512
    """
    request = request_of(SegmentRequest, {**wanted, "model": _chosen(model)})
    ctx.exit(run(ctx, request, as_json=as_json, json_file=json_file))


def run(
    ctx: click.Context,
    request: SegmentRequest,
    *,
    as_json: bool = False,
    json_file: Path | None = None,
    previews_only: bool = False,
) -> int:
    """Segment a survey as the user sees it; return the exit code.

    Where there are to be `previews_only`, who calls makes the page of the report.
    """
    from segment.guard.limits import Gate
    from segment.guard.pulse import giving_up
    from segment.guard.signals import exit_now
    from segment.plan.report import place_note
    from segment.record.manifest import MANIFEST
    from segment.record.progress import Progress
    from segment.record.sums import Sums
    from segment.steps import held, opened, plan, report_after

    gate, page = Gate(request.run_limits), None
    ctx.with_resource(giving_up(gate.pulse, request.run_limits.max_stall_s, FAILED))
    ctx.with_resource(running(wanted=verbose() or as_json or json_file is not None))
    with watch("plan"):
        planned = plan(request)
    if not planned.everything.inputs:
        give_json(Sums(0).as_dict(request.out, "no image"), as_json=as_json, json_file=json_file)
        no_image(ctx, request.sources)
    with ExitStack() as stack:
        planned = stack.enter_context(held(request, planned, gate, typed(ctx)))
        survey, sums = planned.survey, Sums(planned.survey.inputs)
        if note := place_note(survey):
            _log.info("%s", note)
        stack.callback(lambda: give_json(sums.as_dict(request.out, gate.end), as_json=as_json, json_file=json_file))
        stack.push(lambda kind, error, at: gate.shut_by(error) if error else None)
        runner = stack.enter_context(opened(request, planned))
        stack.callback(lambda: _close(request, survey, sums, gate.end, page, aside=as_json))
        record = str(request.out / request.shard.mark(MANIFEST))
        stack.callback(lambda: sums.stages.include(taken()))
        progress = stack.enter_context(Progress(survey, quiet=quiet(), record=record))
        outcomes = runner.run(survey, planned.request, overwrite=request.overwrite, gate=gate, advance=progress.advance)
        for outcome in stack.enter_context(closing(outcomes)):
            sums.add(outcome)
            progress.report(outcome)
        page = None if previews_only else report_after(request)
    if gate.end == "stalled":
        exit_now(FAILED)
    return exit_code(gate.end, failed=len(sums.failures), left=sums.left)


def _close(
    request: SegmentRequest, survey: SurveyPlan, sums: Sums, end: End, page: Path | None, *, aside: bool
) -> None:
    """Say how the run ended: lines for people, beside JSON on standard error, and a line of the log.

    Where people see the lines, the log would repeat them. With -q they see the line of the log alone, and that only
    if something is wrong.
    """
    from segment.record.closing import closing_lines, files_of, is_clean, log_line
    from segment.record.failures import FAILURES
    from segment.record.stages import stages_as_lines

    file = sys.stderr if aside else sys.stdout
    if quiet() or not (file.isatty() and sys.stderr.isatty()):
        line = log_line(sums, end, request.out / request.shard.mark(FAILURES))
        _log.log(logging.INFO if is_clean(sums) else logging.WARNING, "%s", line)
    if not quiet():
        outputs = (output for image in survey.images if image.found.path in sums.covered for output in image.outputs)
        files = {} if page is None else {"report": str(page)}
        files |= files_of(request.out, request.shard.mark, outputs, sums)
        lines = closing_lines(sums, end, files)
        lines += stages_as_lines(sums.stages, pixels=sums.pixels, seconds=sums.seconds) if verbose() else []
        click.echo("\n".join(map(one_line, lines)), file=file)


def _chosen(model: str | None) -> str:
    from segment.model.checkpoint import DRONE_MODEL, START_MODEL, describe_checkpoint

    if model is None:
        measured = "\n      ".join(wrap(f"scenes alone: {describe_checkpoint(START_MODEL).measured}.", _WIDTH))
        raise click.UsageError(_MODEL_CHOICE.format(bundled=START_MODEL, hub=DRONE_MODEL, measured=measured))
    if model.startswith("--"):
        raise click.UsageError(f"--model needs a value; the next option was found: {model}")
    return model
