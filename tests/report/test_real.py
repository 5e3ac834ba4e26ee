"""Reports of real runs in a browser, one of a few images and one of 2,000: what the previews hold reaches the eye."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from segment.demo import request as demo_request
from tests.grids import squares
from tests.make import noise
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.report.conftest import OpenPage, until
from tests.report.test_safety import ALONE
from tests.report.test_viewer import drag_the_divider, seen, view
from tests.runs import noseam
from tiler.scenes.request import SceneOptions

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = NEEDS_TORCH
COLOUR = """([x, y]) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.drawImage(document.querySelector(".stage canvas"), -x, -y);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
CLEAR = """(() => {
    const canvas = document.querySelector(".stage canvas");
    const { width, height } = canvas;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return data.filter((value, index) => index % 4 === 3 && value === 0).length / (width * height);
})()"""
"""Share of the mask's pixels that show the photo alone."""
IN_SIGHT = """[...document.images].every(
    one => one.complete || one.getBoundingClientRect().top > innerHeight || !one.checkVisibility()
)"""
MANY = 2000
OF_A_BUSY_MACHINE = 2
"""Other tests run meanwhile: where nothing else does, half the time is meant to be enough."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masks of a small demo."""
    small = SceneOptions(photos=1, photo_shape=(500, 700), orthomosaics=1, orthomosaic_shape=(400, 500), seed=2026)
    folder = tmp_path_factory.mktemp("small") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_request, "DEMO_SCENES", small)
        assert noseam("demo", "--out", folder).exit_code == 0
    return folder / "masks"


@pytest.fixture(scope="module")
def thousands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masks of 2,000 small photos, no two alike."""
    folder = tmp_path_factory.mktemp("thousands")
    model = checkpoint_folder(folder / "model", classes=5, tiling=squares(128, 64))
    for number in range(MANY):
        photo = folder / "survey" / f"day {1 + number // 500}" / f"IMG_{number:04}.JPG"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(4, 5, 3, seed=number)).resize((128, 96), Image.Resampling.BICUBIC).save(photo)
    begun = process_time()
    lean = ("--no-color", "--sidecars", "none", "--threads", 1)
    assert noseam("segment", folder / "survey", "--out", folder / "masks", "--model", model, *lean).exit_code == 0
    print(f"{MANY:,} images were segmented in {process_time() - begun:.0f} s of CPU")
    return folder / "masks"


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


def judge(page: Page) -> None:
    """See that axe finds no fault of accessibility."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe, so accessibility is not judged")
    found = axe.Axe().run(page, options=ALONE)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("which", ["demo", "thousands"])
def test_all_that_a_reader_does_works_in_reports_of_real_runs(
    which: str, open_page: OpenPage, request: pytest.FixtureRequest
) -> None:
    page = open_page(request.getfixturevalue(which) / "report" / "index.html")
    count = page.evaluate("noseamReport.images.length")
    first, second, last = page.evaluate("[0, 1, -1].map(index => noseamReport.images.at(index).name)")
    judge(page)
    page.keyboard.press("/")
    page.keyboard.type(last)
    assert page.eval_on_selector_all("#cards .card", "cards => cards.map(card => card.title)") == [last]
    assert page.locator("#found").text_content() == f"1 found among {count:,} images."
    page.get_by_role("button", name="Show all").click()
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")

    page.locator("#cards .card").first.click()
    assert page.locator("#image-title").text_content() == first
    drag_the_divider(seen(page), 200, below=35)
    scale = view(page)[0]
    page.keyboard.press("+")
    assert view(page)[0] == pytest.approx(1.4 * scale, rel=1e-3)
    (label, share, *_), whole = page.evaluate("noseamReport.images[0].classes[0]"), page.evaluate(CLEAR)
    page.locator(f".legend input[data-class='{label}']").uncheck()
    assert page.evaluate(CLEAR) - whole == pytest.approx(share, abs=0.01)
    page.locator(f".legend input[data-class='{label}']").check()
    assert page.evaluate(CLEAR) == whole
    judge(page)
    page.keyboard.press("n")
    assert seen(page).locator("#image-title").text_content() == second
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
    page.keyboard.press("Escape")
    page.wait_for_selector("#pages:visible")


def test_the_first_view_of_2000_real_images_comes_soon(thousands: Path, open_page: OpenPage) -> None:
    def since_it_was_asked_for(page: Page) -> float:
        until(page, IN_SIGHT)
        milliseconds: float = page.evaluate("performance.now()")
        return milliseconds / 1000

    cold, warm = [], []
    for _ in range(4):
        page = open_page(thousands / "report" / "index.html", "#images")  # in a context that has seen nothing yet
        cold.append(since_it_was_asked_for(page))
        page.reload()
        page.wait_for_selector("html[data-ready]")
        warm.append(since_it_was_asked_for(page))
        page.context.close()
    print(f"first view of {MANY:,} images: {min(cold):.2f} s cold, {min(warm):.2f} s warm, the best of {len(cold)}")
    assert min(cold) < 2 * OF_A_BUSY_MACHINE
    assert min(warm) < 2 * OF_A_BUSY_MACHINE
