"""The page of one image on paper: what was open on the screen, without what only acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.report.conftest import PHONE, OpenReport
from tests.report.making import content, mixed
from tests.report.test_viewer import seen

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Page

SUSPECT = "#image=day2%2FIMG_0003.JPG"
FAILED = "#image=day2%2FIMG_0005.JPG"
NO_NEWS = "() => { window.ResizeObserver = class { observe() {} disconnect() {} }; }"
"""Between screen and paper no script runs, so none hears of another size."""


def pages_of(pdf: bytes) -> int:
    return pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")


def box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return found


def test_paper_holds_what_is_known_of_the_image_without_what_only_acts(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), SUSPECT))
    page.emulate_media(media="print")
    for selector in ("#image-title", ".stage", ".panel .facts", ".warnings", ".legend", ".files"):
        assert page.locator(selector).first.is_visible(), selector
    for selector in ("#pages", ".top", "footer", ".controls", ".below", ".steps"):
        assert page.locator(selector).first.is_hidden(), selector
    assert page.get_by_text("suspect: premature end of data").is_visible()
    stage, panel = box(page, ".stage"), box(page, ".panel")
    assert panel["y"] >= stage["y"] + stage["height"]
    pdf = page.pdf(format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    assert pages_of(pdf) == 1


@pytest.mark.parametrize("size", [(1280, 900), PHONE])
@pytest.mark.parametrize("key", ["s", "o", "b"])
def test_paper_holds_the_whole_photo_and_its_mask_however_they_lay(
    open_report: OpenReport, size: tuple[int, int], key: str
) -> None:
    page = open_report(content(mixed()), size=size)
    page.evaluate(NO_NEWS)
    page.locator("#cards .card").first.click()
    seen(page).keyboard.press(key)
    page.emulate_media(media="print")
    stage = box(page, ".stage")
    for picture in page.locator(".stage :is(img, canvas):visible").all():
        inner = picture.bounding_box()
        assert inner is not None
        assert stage["x"] - 1 <= inner["x"]
        assert stage["y"] - 1 <= inner["y"]
        assert inner["x"] + inner["width"] <= stage["x"] + stage["width"] + 1
        assert inner["y"] + inner["height"] <= stage["y"] + stage["height"] + 1
        assert inner["width"] > 100
    assert page.locator(".stage canvas").is_visible()
    assert page.locator("#leave").is_hidden()
    assert page.pdf(format="A4", print_background=True).count(b"/Subtype /Image") >= 2  # the photo, and its mask


def test_paper_says_why_an_image_has_no_mask(open_report: OpenReport) -> None:
    page = open_report(content(mixed()), FAILED)
    page.emulate_media(media="print")
    assert page.locator(".stage-note").text_content() == "failedIt is cut."
    assert page.locator(".stage-note").is_visible()
    assert page.locator(".panel").get_by_text("Copy it again.").is_visible()
    assert pages_of(page.pdf(format="A4", print_background=True)) == 1
