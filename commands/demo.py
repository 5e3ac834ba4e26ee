"""noseam demo."""

from __future__ import annotations

from typing import Any

import click

from commands import evaluate, segment
from commands.command import Command, quiet
from commands.options import options_of, request_of
from segment.demo import request as demo_request
from segment.demo.request import DemoRequest
from segment.evaluation.request import EvaluateRequest
from segment.run.request import SegmentRequest


@click.command(cls=Command)
@options_of(DemoRequest)
@click.pass_context
def demo(ctx: click.Context, /, **wanted: Any) -> None:
    """Make a small survey, segment it with the bundled model, and evaluate the masks; nothing is downloaded.

    The survey has three photos of 6000 x 4000 pixels and a georeferenced orthomosaic. They show
    made-up streets and gardens, whose truth is known exactly. The bundled model knows such scenes
    and no others.

    \b
    Example:
      noseam demo --out noseam-demo/
    """
    from segment.demo.picture import draw_comparison
    from segment.record.progress import Meter
    from tiler.scenes.survey import IMAGES, TRUTH, is_made, make_survey

    request = request_of(DemoRequest, wanted)
    request.claim()
    photos, truth, scenes = request.survey / IMAGES, request.survey / TRUTH, demo_request.DEMO_SCENES
    if not is_made(request.survey, scenes):
        click.echo(f"Making a survey in {request.survey} ...", err=True)
        with Meter("images", quiet=quiet()) as count:
            make_survey(request.survey, scenes, advance=count)
    click.echo(f"$ noseam segment {photos} --out {request.masks} --model demo", err=True)
    if code := segment.run(ctx, SegmentRequest(sources=(photos,), out=request.masks, model="demo")):
        ctx.exit(code)
    click.echo(f"$ noseam evaluate {request.masks} {truth} --out {request.evaluation}", err=True)
    code = evaluate.run(ctx, EvaluateRequest(predicted=request.masks, truth=truth, out=request.evaluation))
    draw_comparison(photos / "IMG_0001.jpg", request.masks / "IMG_0001_label.png", request.picture)
    click.echo(
        f"\nphotos:      {photos}\n"
        f"masks:       {request.masks}  (open {request.masks / 'ortho_1_label.tif'} in QGIS)\n"
        f"at a glance: {request.picture}\nevaluation:  {request.evaluation}\n"
        "The bundled model is a demonstration: it knows made-up scenes only. For your own photos:\n"
        "  noseam segment YOUR_PHOTOS --out MASKS --model deep-learning-analytics/segformer_semantic_segmentation\n"
        "  noseam crop IMAGES MASKS --out CROPS && noseam train CROPS --out MODEL    (to train your own)"
    )
    ctx.exit(code)
