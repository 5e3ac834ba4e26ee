"""noseam polygons."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from commands.command import Command, quiet
from commands.exits import FAILED, listed, nothing_matched
from commands.options import options_of, request_of
from segment.record.logs import one_line
from tiler.files.vector import SUFFIXES
from tiler.polygons.request import ClassArea, PolygonReport, PolygonsRequest
from tiler.words import counted

_DIGITS = 1
"""Digits of a change in percent; a class that changed by less is not told of."""
_log = logging.getLogger("noseam")


@click.command(cls=Command, short_help="Turn masks into polygons for a GIS.")
@options_of(PolygonsRequest)
@click.pass_context
def polygons(ctx: click.Context, /, **wanted: Any) -> None:
    """Turn label masks into polygons for a GIS.

    MASK are label masks, and folders in which every *_label.png and *_label.tif counts. Each patch of pixels of
    one class becomes a polygon with class, ground area, source and model, in the mask's CRS. What patches that are
    too small and smoother outlines do to the area of a class is told.

    \b
    Examples:
      noseam polygons masks/ortho_label.tif --out ortho.gpkg --min-area 0.5
      noseam polygons masks/ --out polygons/ --format parquet --only car --only 9
      noseam polygons masks/ortho_label.tif --out ortho.shp --smooth --simplify 1
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
            for line in _lines(file.path, file.report, whole=file.path == out):
                click.echo(one_line(line))
            for note in file.report.notes:
                _log.warning("%s: %s", file.path, note)
    if not states:
        nothing_matched(ctx, f"no *_label.png or *_label.tif found in {listed(request.masks)}")
    ctx.exit(0 if all(states) else FAILED)


def _lines(path: Path, report: PolygonReport, *, whole: bool) -> Iterator[str]:
    """Yield what to say of a file: every class whose area changed if it is the only one, else the one that did most."""
    least = f", patches below {report.least} are part of their neighbours" if report.least else ""
    changed = [area for area in report.areas if round(area.change, _DIGITS)]
    if whole:
        yield f"{path}: {counted(report.polygons, 'polygon')}{least}"
        width = max((len(area.name) for area in changed), default=0)
        yield from (f"  {area.name:{width}}  {_change(area, report.unit)}" for area in changed)
        return
    most = max(changed, key=lambda area: abs(area.after - area.before), default=None)
    yield f"{path}: {counted(report.polygons, 'polygon')}" + (
        f"; {most.name} {_change(most, report.unit)}" if most else ""
    )


def _change(area: ClassArea, unit: str) -> str:
    before, after = (f"{number:,.0f}" if number >= 1000 else f"{number:.3g}" for number in (area.before, area.after))
    percent = f" ({area.change:+.{_DIGITS}f} %)" if area.before else ""
    return f"{before} -> {after} {unit}{percent}"
