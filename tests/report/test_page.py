from __future__ import annotations

import configparser
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from segment.report.content import Content, ImageRow
from segment.report.page import PAGES, assets, data_script, plain, write_pages
from tests import ROOT
from tests.report.making import HOSTILE, class_rows, content, image, mixed
from tiler.masks.blend import OPACITY

VENDORED = PAGES / "vendored"


def data_of(script: str) -> dict[str, object]:
    assert script.startswith("window.noseamReport = ")
    assert script.endswith(";\n")
    found: dict[str, object] = json.loads(script[len("window.noseamReport = ") : -2])
    return found


def test_the_folder_holds_the_page_its_data_and_what_it_needs_and_nothing_half_written(tmp_path: Path) -> None:
    preview = tmp_path / "report" / "images" / "a.jpg"
    preview.parent.mkdir(parents=True)
    preview.write_bytes(b"kept")
    index = write_pages(content(mixed()), tmp_path / "report")
    assert index == tmp_path / "report" / "index.html"
    assert {path.name for path in index.parent.iterdir()} == {"index.html", "data.js", "assets", "images"}
    assert preview.read_bytes() == b"kept"
    named = set(re.findall(r'(?:src|href)="assets/([^"]+)"', index.read_text(encoding="utf-8")))
    shipped = {path.name for path in (index.parent / "assets").iterdir()}
    assert named == {name for name in shipped if name.endswith((".js", ".css"))}
    assert shipped - named == {"VERSIONS", "img-comparison-slider.LICENSE.txt", "leaflet.LICENSE.txt"}


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    write_pages(content(mixed()), tmp_path)
    write_pages(content([image("other.jpg")], title="Another"), tmp_path)
    assert "Another" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "other.jpg" in (tmp_path / "data.js").read_text(encoding="ascii")


def test_the_data_come_back_as_they_were_without_what_is_empty() -> None:
    found = data_of(data_script(content([image(name) for name in HOSTILE])))
    assert [row["name"] for row in found["images"]] == list(HOSTILE)  # type: ignore[attr-defined]
    assert "reason" not in found["images"][0]  # type: ignore[index]
    assert found["classes"][0]["m2"] == 9600.0  # type: ignore[index]


def test_nothing_in_the_data_can_end_a_script_or_a_line() -> None:
    script = data_script(content([image(name) for name in HOSTILE]))
    assert script.isascii()
    assert not set(script) & {"<", ">", "&"}
    assert script.count("\n") == 1


def test_figures_that_are_not_finite_become_null_and_zeros_stay() -> None:
    assert plain((float("nan"), float("inf"), 0.0)) == [None, None, 0.0]
    row = plain(ImageRow(name="a", state="done", seconds=0.0, confidence=0.0))
    assert row == {"name": "a", "state": "done", "seconds": 0.0, "confidence": 0.0}


def test_names_and_texts_are_escaped_in_the_page(tmp_path: Path) -> None:
    markup = "<script>alert(1)</script>"
    classes = tuple(replace(row, name=markup) for row in class_rows())
    made = content(mixed(), title=markup, classes=classes, run=((markup, markup),), area_note=markup)
    page = write_pages(made, tmp_path).read_text(encoding="utf-8")
    assert markup not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10


def test_bytes_that_are_no_text_do_not_stop_a_report(tmp_path: Path) -> None:
    write_pages(content([image("a\udcff.jpg")], title="survey \udcff"), tmp_path)
    assert "survey ?" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("lean", [content([]), content([image("a")], lights=(), classes=(), run=(), settings=())])
def test_a_report_of_little_is_a_page_too(lean: Content, tmp_path: Path) -> None:
    bare = replace(lean, area_note="", versions=(), learning_curve=(), confusion=None, reliability=())
    page = write_pages(bare, tmp_path).read_text(encoding="utf-8")
    assert "Survey of the harbour" in page
    assert 'id="quality"' not in page
    assert 'id="map"' not in page
    assert 'id="failures"' not in page


def test_what_others_made_is_what_was_published_and_comes_with_its_licence() -> None:
    lines = [line.split() for line in (VENDORED / "VERSIONS").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 5
    for digest, name, package, _, _ in lines:
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest
        assert re.fullmatch(r"[\w-]+@\d+\.\d+\.\d+", package)
        assert (VENDORED / f"{package.split('@')[0]}.LICENSE.txt").is_file()
    unnamed = {path.name for path in VENDORED.iterdir()} - {line[1] for line in lines}
    assert unnamed == {"VERSIONS", "img-comparison-slider.LICENSE.txt"}


def test_an_installation_brings_all_that_a_report_needs() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    globs = re.split(r"[,\s]+", settings["options.package_data"]["segment.report"])
    shipped = {path for pattern in globs for path in PAGES.parent.glob(pattern)}
    assert {*assets(), PAGES / "index.html"} <= shipped
    assert PAGES / "vendor.sh" not in shipped


def test_our_scripts_make_no_markup_fetch_nothing_and_are_short() -> None:
    scripts = sorted((PAGES / "scripts").iterdir())
    assert len(scripts) > 20
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert text.startswith("//"), script.name
        assert len(text.splitlines()) < 300, script.name
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|fetch\(|XMLHttp|import\b|https?://(?!www\.w3\.org)",
            text,
        )
        assert found == [], script.name


def test_a_mask_covers_as_much_of_its_photo_on_the_page_as_in_files() -> None:
    viewer = (PAGES / "scripts" / "viewer.js").read_text(encoding="utf-8")
    assert [float(share) for share in re.findall(r"\bopacity: ([\d.]+)", viewer)] == [0.5]
    assert OPACITY == 0.5
