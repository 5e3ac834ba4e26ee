"""noseam polygons."""

from __future__ import annotations

import logging
from typing import Any

import click
from click.core import ParameterSource

from commands.command import Command, quiet
from commands.exits import FAILED, listed, nothing_matched
from commands.options import options_of, request_of
from segment.record.logs import one_line
from tiler.files.vector import SUFFIXES
from tiler.polygons.request import PolygonsRequest
from tiler.words import counted

_log = logging.getLogger("noseam")


@click.command(cls=Command, short_help="Turn masks into polygons for a GIS.")
@options_of(PolygonsRequest)
@click.pass_context
def polygons(ctx: click.Context, /, **wanted: Any) -> None:
    """Turn label masks into polygons for a GIS.

    MASK are label masks, and folders in which every *_label.png and *_label.tif counts. Each patch of pixels of
    one class becomes a polygon with class, ground area, source and model, in the mask's CRS.

    \b
    Examples:
      noseam polygons masks/ortho_label.tif --out ortho.gpkg --min-area 0.5
      noseam polygons masks/ --out polygons/ --format parquet --only car --only 9
    """
    from segment.record.progress import Meter
    from segment.steps import polygons

    request = request_of(PolygonsRequest, wanted)
    out, chosen = request.out, ctx.get_parameter_source("format") is not ParameterSource.DEFAULT
    if chosen and SUFFIXES.get(out.suffix.lower(), request.format) != request.format and not out.is_dir():
        raise click.UsageError(f"--out {out} is no file of --format {request.format}; leave out one of them")
    states = []
    with Meter("masks", quiet=quiet()) as count:
        for file in polygons(request, count):
            states.append(file.report is not None)
            if file.report is None:
                _log.error("failed: %s", file.reason)
                continue
            click.echo(one_line(f"{file.path}: {counted(file.report.polygons, 'polygon')}"))
            for note in file.report.notes:
                _log.info("%s: %s", file.path, note)
    if not states:
        nothing_matched(ctx, f"no *_label.png or *_label.tif found in {listed(request.masks)}")
    ctx.exit(0 if all(states) else FAILED)
