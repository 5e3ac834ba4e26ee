"""noseam demo."""

from __future__ import annotations

import shutil
from typing import Any

import click

from commands import evaluate, segment
from commands.command import Command, quiet
from commands.options import options_of, request_of
from segment.demo import request as demo_request
from segment.demo.request import DemoRequest
from segment.errors import RecordError
from segment.evaluation.request import EvaluateRequest
from segment.report.request import ReportRequest
from segment.run.request import SegmentRequest


@click.command(cls=Command, short_help="See the whole job run, on a made-up survey.")
@options_of(DemoRequest)
@click.pass_context
def demo(ctx: click.Context, /, **wanted: Any) -> None:
    """Make a small survey, segment it with the bundled model, evaluate the masks, and show all that in a report.

    The survey has three photos of 6000 x 4000 pixels and a georeferenced orthomosaic. They show
    made-up streets and gardens, whose truth is known exactly. The bundled model knows such scenes
    and no others. Nothing is downloaded.

    \b
    Example:
      noseam demo --out noseam-demo/
    """
    from segment.guard.lock import hold_folder
    from segment.model.checkpoint import DEMO_MODEL, describe_checkpoint

    request = request_of(DemoRequest, wanted)
    describe_checkpoint(DEMO_MODEL)
    request.claim()
    with hold_folder(request.out):
        _refuse_full_disk(request)
        ctx.exit(_run(ctx, request, DEMO_MODEL))


def _refuse_full_disk(request: DemoRequest) -> None:
    free, wanted = shutil.disk_usage(request.out).free, demo_request.DEMO_BYTES
    if free < wanted:
        raise RecordError(
            f"{request.out}: {free / 1e6:.0f} MB are free there, the demo needs {wanted / 1e6:.0f} MB; "
            "choose an --out on another disk"
        )


def _run(ctx: click.Context, request: DemoRequest, model: str) -> int:
    """Do the whole job in a folder that is held, and say how it would be done by hand; return the exit code."""
    from segment.demo.picture import draw_comparison
    from segment.record.progress import SCENES_SIGN_S, Meter
    from segment.steps import report
    from tiler.scenes.survey import IMAGES, TRUTH, is_made, make_survey

    photos, truth, scenes = request.survey / IMAGES, request.survey / TRUTH, demo_request.DEMO_SCENES
    if not is_made(request.survey, scenes):
        click.echo(f"Making a survey in {request.survey}, which takes about a minute on two cores ...", err=True)
        with Meter("megapixels", quiet=quiet(), sign_s=SCENES_SIGN_S) as count:
            make_survey(request.survey, scenes, advance=count)
    without = "" if request.report else " --no-report"
    click.echo(f"$ noseam segment {photos} --out {request.masks} --model {model} --confidence{without}", err=True)
    asked = SegmentRequest(sources=(photos,), out=request.masks, model=model, confidence=True, report=request.report)
    if code := segment.run(ctx, asked, previews_only=True):  # the page is to show the evaluation too
        return code
    click.echo(f"$ noseam evaluate {request.masks} {truth} --out {request.evaluation}", err=True)
    code = evaluate.run(ctx, EvaluateRequest(predicted=request.masks, truth=truth, out=request.evaluation))
    page = report(ReportRequest(out=request.masks, evaluation=request.evaluation)) if request.report else None
    draw_comparison(photos / "IMG_0001.jpg", request.masks / "IMG_0001_label.png", request.picture)
    shown = f"report:      {page}  (open it in a browser)\n" if page else ""
    click.echo(
        f"\n{shown}photos:      {photos}\n"
        f"masks:       {request.masks}  (open {request.masks / 'ortho_1_label.tif'} in QGIS)\n"
        f"at a glance: {request.picture}\nevaluation:  {request.evaluation}\n"
        "The model of the demo knows such scenes only. For your own photos:\n"
        "  noseam segment YOUR_PHOTOS --out MASKS --model bundled:start    (for a first look)\n"
        "  noseam segment YOUR_PHOTOS --out MASKS --model deep-learning-analytics/segformer_semantic_segmentation\n"
        "  noseam crop IMAGES MASKS --out CROPS && noseam train CROPS --out MODEL    (to train your own)"
    )
    return code
