"""Write the pages of a report: HTML from a template, the data as a script, styles and scripts beside them."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segment.report import wording
from segment.report.content import Content
from tiler.files.atomic import write_whole
from tiler.words import counted

PAGES = Path(__file__).parent / "pages"
"""Template, styles and scripts, as they stand in the package."""
INDEX, DATA, ASSETS = "index.html", "data.js", "assets"
"""What a report's folder holds, beside the previews."""
_FOLDERS_OF_ASSETS = ("styles", "scripts", "vendored")
_FOR_SCRIPTS = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"}


def write_pages(content: Content, folder: Path) -> Path:
    """Write the pages of a report, each file whole or not at all.

    Names of files and classes are text in them, whatever they hold. Nothing in them asks for anything outside of the
    folder, but for the links to the full-size masks.

    Parameters
    ----------
    content : Content
        What they say.
    folder : Path
        Where they go; it is made where it does not exist. Previews that lie in it stay.

    Returns
    -------
    Path
        The page to open, which is written last.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    (folder / ASSETS).mkdir(parents=True, exist_ok=True)
    for asset in assets():
        write_whole(folder / ASSETS / asset.name, asset.read_bytes())
    write_whole(folder / DATA, data_script(content).encode("ascii"))
    write_whole(folder / INDEX, index_page(content).encode("utf-8", "replace"))  # bytes of no encoding become ?
    return folder / INDEX


def assets() -> list[Path]:
    """Return the styles, the scripts and the libraries that every report gets, with their licences."""
    return [path for name in _FOLDERS_OF_ASSETS for path in sorted((PAGES / name).iterdir()) if path.is_file()]


def data_script(content: Content) -> str:
    """Return the data of a report as a script in ASCII, in which nothing can end the script or begin markup."""
    text = json.dumps(plain(content), separators=(",", ":"), allow_nan=False)
    for character, escape in _FOR_SCRIPTS.items():  # in JSON they stand in strings only
        text = text.replace(character, escape)
    return f"window.noseamReport = {text};\n"


def plain(value: Any) -> Any:
    """Return a value as JSON takes it: fields that are None or empty are left out, what is not finite becomes None."""
    if is_dataclass(value):
        named = ((field.name, plain(getattr(value, field.name))) for field in fields(value))
        return {name: item for name, item in named if item not in (None, "", [])}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return _short(value) if math.isfinite(value) else None
    return value


def index_page(content: Content) -> str:
    """Return the HTML of a report: what counts is in it as text, the rest is added by scripts from the data."""
    environment = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": wording.percent,
        "area": wording.area,
        "units": wording.units,
        "two_digits": wording.two_digits,
        "moment": wording.moment,
        "hexadecimal": wording.hexadecimal,
        "counted": counted,
    }
    template = environment.get_template(INDEX)
    seen = sorted((row for row in content.classes if row.pixels), key=lambda row: (-row.pixels, row.id))
    rules = {light.thresholds for light in content.lights}
    return template.render(
        content=content,
        shining=[light for light in content.lights if light.level != "green"],
        calm=[light for light in content.lights if light.level == "green"],
        one_rule=rules.pop() if len(rules) == 1 else "",
        verdict=wording.verdict(content),
        seen=seen,
        unseen=[row.name for row in content.classes if not row.pixels],
        starts=_starts([row.percent for row in seen]),
        failed=sum(image.state == "failed" for image in content.images),
        placed=sum(bool(image.footprint) for image in content.images),
        measured=any(row.confidence is not None for row in content.classes),
        has_areas=any(row.m2 is not None for row in content.classes),
    )


def _starts(percents: list[float]) -> list[float]:
    """Return where each piece of a bar starts, in per cent of its length."""
    return [math.fsum(percents[:index]) for index in range(len(percents))]


def _short(value: float) -> float:
    """Return a value with nine digits: places on the map keep a decimetre, and the data is half as long."""
    return float(f"{value:.9g}")
