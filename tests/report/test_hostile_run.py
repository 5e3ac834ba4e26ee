"""Hostile names on the disk, through a real run, to the page: they are text there, and nothing else."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

import noseam
from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.report.conftest import OpenPage
from tests.report.test_safety import STRUCTURE
from tests.runs import NORTH_UP
from tiler.classes import ClassTable, write_class_table

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse some of these names"),
    NEEDS_TORCH,
]

PHOTOS = (
    "<b>bold<!-- comment -->.jpg",
    "<script>window.broken = true<!.jpg",
    "</script><script>window.broken = true</script>/a.jpg",
    '"><img src=x onerror="window.broken = true">.jpg',
    "'; window.broken = true; '.jpg",
    "line\nbreak\u2028and\u2029more\r.jpg",
    "abc\u202egpj.exe.jpg",
    "&lt;i&gt; &amp; {{ 7 * 7 }} {% raw %}.jpg",
    "100% #image=2 ?a=b&c.jpg",
)
NO_PHOTOS = ("]]> <svg onload='window.broken = true'>.jpg", "not utf-8 \udcff.jpg")
MAP = "<img src=x onerror='window.broken = true'>\u202e.tif"
FOLDER = "<img src=x onerror='window.broken = true'> & {{ 7 * 7 }}"
CLASSES = (
    "<script>window.broken = true</script>",
    "\"><img src=x onerror='window.broken = true'>",
    "daor\u202e & {{ 7 * 7 }} &lt;",
)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))
CARDS = "[...document.querySelectorAll('#cards .card')]"


def shown(name: str) -> str:
    """Return a name as records hold it: a byte that is no text is an escape."""
    return name.replace("\udcff", "\\udcff")


def plain(name: str, number: int) -> str:
    """Return a name of letters and digits that lies in as many folders, and comes as the `number`-th."""
    return f"{number:03}" + "/x" * name.count("/") + Path(name).suffix


def write_survey(folder: Path, photos: Sequence[str], no_photos: Sequence[str], its_map: str) -> None:
    """Write the same photo under all names, files that are no photos, and a GeoTIFF."""
    picture = io.BytesIO()
    Image.fromarray(noise(60, 90, 3)).save(picture, "JPEG")
    for name in photos:  # one that holds a slash lies in a folder
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture.getvalue())
    for name in no_photos:
        (folder / name).write_bytes(b"no picture")
    write_tif(folder / "map.tif", noise(3, 60, 90), crs=UTM, transform=NORTH_UP).rename(folder / its_map)


def data_of(index: Path) -> dict[str, Any]:
    text = (index.parent / "data.js").read_text("ascii")
    found: dict[str, Any] = json.loads(text.partition("=")[2].rstrip().rstrip(";"))
    return found


def structures(page: Page) -> list[list[str]]:
    """Return the kinds of all elements of the main page, then of the pages of all images, in their order."""
    page.locator("#map").scroll_into_view_if_needed()
    page.locator("#footprints img").wait_for(state="attached")
    found = [page.evaluate(STRUCTURE)]
    for number, state in enumerate(page.evaluate("noseamReport.images.map(image => image.state)")):
        page.evaluate(f"location.hash = {CARDS}[{number}].hash")
        page.wait_for_selector("#image:visible" if state == "failed" else "#image[data-painted]")
        found.append(page.evaluate(STRUCTURE))
        name = page.evaluate(f"noseamReport.images[{number}].name")
        assert page.locator("#image-title").text_content() == name
        page.keyboard.press("Escape")
        page.wait_for_selector("#pages:visible")
    return found


def test_hostile_names_on_the_disk_are_text_on_the_page(tmp_path: Path, open_page: OpenPage) -> None:
    model = checkpoint_folder(tmp_path / "model", classes=3, tiling=squares(128, 64))

    def report(folder: Path, classes: Sequence[str]) -> Path:
        table, out = tmp_path / "table.csv", folder / "masks"
        write_class_table(table, ClassTable(tuple(classes), COLOURS))
        noseam.segment(folder / "survey", out, model=str(model), classes=table, confidence=True, threads=1)
        return out / "report" / "index.html"

    write_survey(tmp_path / FOLDER / "survey", PHOTOS, NO_PHOTOS, MAP)
    index = report(tmp_path / FOLDER, CLASSES)
    names = [image["name"] for image in data_of(index)["images"]]
    assert sorted(names) == sorted(map(shown, (*PHOTOS, *NO_PHOTOS, MAP)))
    assert [one["name"] for one in data_of(index)["classes"]] == list(CLASSES)
    page = open_page(index)
    assert page.title() == f"{FOLDER}/survey \u2013 noseam"
    assert page.locator("#title").text_content() == f"{FOLDER}/survey"
    assert page.evaluate(f"{CARDS}.map(card => card.title)") == names
    assert set(page.locator("table.classes th bdi").all_text_contents()) <= set(CLASSES)
    found = structures(page)
    assert page.evaluate("window.broken") is None
    page.context.close()

    order = {name: plain(name, number) for number, name in enumerate(names)}
    photos, no_photos = ([order[shown(name)] for name in group] for group in (PHOTOS, NO_PHOTOS))
    write_survey(tmp_path / "plain" / "survey", photos, no_photos, order[MAP])
    index = report(tmp_path / "plain", ("road", "grass", "roof"))
    assert [image["name"] for image in data_of(index)["images"]] == list(order.values())
    expected = structures(open_page(index))
    assert [len(one) for one in found] == [len(one) for one in expected]
    assert found == expected
    assert len(found) == 13
    assert min(map(len, found)) > 100
