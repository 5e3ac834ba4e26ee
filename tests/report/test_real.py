"""The report of a real run in a browser: what the previews hold reaches the eye."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from segment.demo import request as demo_request
from tests.make import noise
from tests.models import NEEDS_TORCH
from tests.report.conftest import OpenPage, until
from tests.runs import noseam
from tiler.scenes.request import SceneOptions

pytestmark = NEEDS_TORCH
COLOUR = """([x, y]) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.drawImage(document.querySelector(".stage canvas"), -x, -y);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The masks of a small demo."""
    small = SceneOptions(photos=1, photo_shape=(500, 700), orthomosaics=1, orthomosaic_shape=(400, 500), seed=2026)
    monkeypatch.setattr(demo_request, "DEMO_SCENES", small)
    assert noseam("demo", "--out", tmp_path / "demo").exit_code == 0
    return tmp_path / "demo" / "masks"


def test_the_report_of_the_demo_shows_its_masks_its_map_and_its_figures(demo: Path, open_page: OpenPage) -> None:
    page = open_page(demo / "report" / "index.html")
    text = page.inner_text("body")
    assert "Look at it before you pass it on" not in text  # it learned such scenes, and their evaluation stands beside
    for told in (
        "IMG_0001.jpg",
        "ortho_1.tif",
        "bundled:demo",
        "grass",
        "Confidence",
        "learned made-up scenes alone",
    ):
        assert told in text
    assert page.locator("svg").count() > 2  # learning curve, reliability
    page.locator("#footprints").scroll_into_view_if_needed()
    until(
        page, "document.querySelectorAll('#footprints img').length === 1"
    )  # of the orthomosaic, which alone has a place
    page.goto((demo / "report" / "index.html").as_uri() + "#image=IMG_0001.jpg")
    page.wait_for_selector("#image[data-painted]")
    with Image.open(demo / "IMG_0001_color.png") as colours:
        expected = colours.convert("RGBA").getpixel((350, 250))
    assert isinstance(expected, tuple)
    assert page.evaluate(COLOUR, [350, 250]) == list(expected[:3])
    hrefs = [str(link.get_attribute("href")).removeprefix("./") for link in page.locator(".files a").all()]
    assert {"../IMG_0001_label.png", "../IMG_0001_confidence.png"} <= set(hrefs)
    assert all((demo / "report" / href).exists() for href in hrefs)


def test_masks_of_a_bundled_model_are_to_be_looked_at(tmp_path: Path, open_page: OpenPage) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(noise(120, 160, 3)).save(photos / "a.png")
    for model in ("bundled:start", "demo"):
        out = tmp_path / model.replace(":", "-")
        assert noseam("segment", photos, "--out", out, "--model", model, "--threads", 1).exit_code == 0
        page = open_page(out / "report" / "index.html")
        verdict = page.locator(".verdict")
        assert verdict.get_attribute("class") == "verdict amber"
        assert verdict.locator(".headline").text_content() == "Look at it before you pass it on"
        assert "The model learned made-up scenes alone" in verdict.inner_text()
        assert "% of the pixels right" in verdict.inner_text()
