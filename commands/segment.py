"""noseam segment."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, closing
from typing import Any

import click

from commands.command import Command, quiet
from commands.exits import FAILED, STOPPED, no_image, usage_errors
from commands.options import json_option, options_of, request_of
from segment.run.request import SegmentRequest

_MODEL_CHOICE = """--model is missing: which network shall segment your images?
  --model {hub}
      24 classes of low-flying drone photos; fetched once from the Hugging Face hub
  --model FOLDER
      your own SegFormer checkpoint, such as `noseam train` writes
  --model bundled:demo
      comes with noseam, for trying it out: it knows made-up scenes only, see `noseam demo`"""
_log = logging.getLogger("noseam")


@click.command(cls=Command, short_help="Segment images; write full-resolution masks.")
@options_of(SegmentRequest)
@json_option
@click.pass_context
def segment(ctx: click.Context, /, model: str | None, as_json: bool, **wanted: Any) -> None:
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
    ctx.exit(run(ctx, request, as_json=as_json))


def run(ctx: click.Context, request: SegmentRequest, *, as_json: bool = False) -> int:
    """Segment a survey as the user sees it; return the exit code."""
    from segment.guard.limits import Gate
    from segment.guard.pulse import giving_up
    from segment.guard.signals import exit_now
    from segment.plan.report import place_note
    from segment.record.manifest import Sums
    from segment.record.progress import Progress
    from segment.steps import held, opened, plan

    gate = Gate(request.run_limits)
    ctx.with_resource(giving_up(gate.pulse, request.run_limits.max_stall_s, FAILED))
    with usage_errors():
        planned = plan(request)
    survey = planned.survey
    if not survey.inputs + survey.elsewhere:
        no_image(ctx, request.sources)
    if note := place_note(survey):
        _log.info("%s", note)
    sums = Sums(survey.inputs)
    with ExitStack() as stack:
        stack.enter_context(held(request, planned))
        if as_json:
            stack.callback(lambda: click.echo(json.dumps(sums.as_dict(request.out, gate.end), indent=2)))
        stack.push(lambda kind, error, at: gate.shut_by(error) if error else None)
        with usage_errors():
            runner = stack.enter_context(opened(request, planned))
        progress = stack.enter_context(Progress(survey, quiet=quiet()))
        outcomes = runner.run(survey, planned.request, overwrite=request.overwrite, gate=gate, advance=progress.advance)
        for outcome in stack.enter_context(closing(outcomes)):
            sums.add(outcome)
            progress.report(outcome)
    if sums.left:
        then = "mend what failed, or raise --max-errors" if gate.end == "errors" else "the same command goes on"
        _log.warning("stopped (%s): %d of %d images are left; %s", gate.end, sums.left, sums.inputs, then)
    if gate.end == "stalled":
        exit_now(FAILED)
    return FAILED if sums.failures else STOPPED if sums.left else 0


def _chosen(model: str | None) -> str:
    from segment.model.checkpoint import DRONE_MODEL

    if model is None:
        raise click.UsageError(_MODEL_CHOICE.format(hub=DRONE_MODEL))
    if model.startswith("--"):
        raise click.UsageError(f"--model needs a value; the next option was found: {model}")
    return model
