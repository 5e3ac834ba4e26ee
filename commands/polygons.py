"""noseam polygons."""

from __future__ import annotations

import logging
import math
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
"""Digits of a change in percent. A file among others tells of no class that changed by less."""
_UNCHANGED = 1e-4
"""Percent; less comes of adding up."""
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
    """Yield what to say of a file: every class and its area if it is the only one, else the class that changed most."""
    if whole:
        least = f", patches below {report.least} are part of their neighbours" if report.least else ""
        yield f"{path}: {counted(report.polygons, 'polygon')}{least}"
        width = max((len(area.name) for area in report.areas), default=0)
        yield from (f"  {area.name:{width}}  {_area(area, report.unit)}" for area in report.areas)
        return
    changed = [area for area in report.areas if round(area.change, _DIGITS)]
    most = max(changed, key=lambda area: abs(area.after - area.before), default=None)
    yield f"{path}: {counted(report.polygons, 'polygon')}" + (
        f"; most changed: {most.name} {_area(most, report.unit)}" if most else ""
    )


def _area(area: ClassArea, unit: str) -> str:
    """Return the area of a class, and its change if there is one, with so many digits that both sides differ."""
    if abs(area.change) < _UNCHANGED:
        return f"{_figure(area.after)} {unit}"
    digits = _decimals(abs(area.after - area.before))
    percent = f" ({area.change:+.{max(_DIGITS, _decimals(abs(area.change)))}f} %)" if area.before else ""
    return f"{_figure(area.before, digits)} -> {_figure(area.after, digits)} {unit}{percent}"


def _decimals(step: float) -> int:
    """Return how many decimals show a step, which is not 0."""
    return max(0, math.floor(-math.log10(step)) + 1) if math.isfinite(step) else 0


def _figure(number: float, decimals: int = 0) -> str:
    """Return a number with at least three digits and so many decimals, without zeros at the end."""
    three = max(0, 2 - math.floor(math.log10(number))) if number else 0
    text = f"{number:,.{max(decimals, three)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
