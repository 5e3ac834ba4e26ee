from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from segment.report.content import ImageRow
from tests.report.conftest import PHONE, OpenReport, until
from tests.report.making import content, image, mixed, write_previews

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

FIRST = "#image=day1%2FIMG_0000.JPG"
SCALE = "new DOMMatrix(getComputedStyle(document.querySelector('.sheet')).transform)"


def seen(page: Page) -> Page:
    page.wait_for_selector("#image[data-painted]")
    return page


def pixel(page: Page, x: int, y: int) -> list[int]:
    found: list[int] = page.evaluate(
        """([x, y]) => {
            const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
            context.drawImage(document.querySelector(".stage canvas"), -x, -y);
            return [...context.getImageData(0, 0, 1, 1).data];
        }""",
        [x, y],
    )
    return found


def view(page: Page) -> tuple[float, float, float]:
    found = page.evaluate(f"(() => {{ const m = {SCALE}; return [m.a, m.e, m.f]; }})()")
    return (found[0], found[1], found[2])


def middle(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shown_at(page: Page, x: float, y: float) -> bytes:
    return page.screenshot(clip={"x": x, "y": y, "width": 8, "height": 8})


def drag_the_divider(page: Page, px: int, *, below: float) -> None:
    """Drag the divider so far to the left that its place in per cent is `below`; half way, the mask shows now."""
    x, y = middle(page, ".grip")
    half_way = (x - px / 2, y + 60)
    before = shown_at(page, *half_way)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - px, y, steps=4)
    page.mouse.up()
    until(page, f"document.querySelector('img-comparison-slider').value < {below}")
    page.wait_for_timeout(150)  # the divider glides
    assert shown_at(page, *half_way) != before


def test_the_divider_moves_by_mouse_and_keys_and_uncovers_the_mask(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    drag_the_divider(page, 300, below=25)
    slider = page.locator("img-comparison-slider")
    value = slider.evaluate("element => element.value")
    assert 15 < value < 25
    assert int(slider.get_attribute("aria-valuenow") or 0) == round(value)
    slider.focus()
    page.keyboard.down("ArrowRight")
    until(page, f"document.querySelector('img-comparison-slider').value > {value + 5}")
    page.keyboard.up("ArrowRight")
    assert view(page)[1] == pytest.approx(0, abs=60)  # the arrow moved the divider, not the picture


def test_keys_zoom_to_pixels_and_beyond_move_and_fit_again(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    fitted = view(page)
    page.keyboard.press("1")
    assert view(page)[0] == pytest.approx(fitted[0])  # the preview of this test is smaller than the stage
    for _ in range(3):
        page.keyboard.press("+")
    scale, x, y = view(page)
    assert scale == pytest.approx(fitted[0] * 1.4**3, rel=1e-3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert view(page) == pytest.approx((scale, x - 80, y - 80))
    for _ in range(20):
        page.keyboard.press("+")
    assert view(page)[0] == 32
    assert page.locator(".stage").get_attribute("class") == "stage sharp"
    page.keyboard.press("-")
    assert view(page)[0] == pytest.approx(32 / 1.4, rel=1e-3)
    page.keyboard.press("0")
    assert view(page) == pytest.approx(fitted)


def test_the_wheel_zooms_about_the_pointer_and_the_mouse_pans(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    x, y = middle(page, ".stage")
    x += 200
    page.mouse.move(x, y)
    text = page.locator(".probe").text_content()
    assert text is not None
    assert text.startswith("water, confidence 1.00, disagreement 0.31, near pixel 4,")
    scale, left, _ = view(page)
    page.mouse.wheel(0, -500)
    until(page, f"{SCALE}.a > {scale * 2}")
    now = view(page)
    place = x  # the stage begins at the left edge of the window
    assert (place - now[1]) / now[0] == pytest.approx((place - left) / scale, rel=1e-3)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=3)
    page.mouse.up()
    assert view(page) == pytest.approx((now[0], now[1] + 30, now[2] + 20))


def test_two_fingers_zoom_and_one_pans_or_moves_the_divider(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST, size=PHONE, touch=True))
    x, y = middle(page, ".stage")
    scale = view(page)[0]
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": a, "y": b, "id": number} for number, (a, b) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (x - 100, y - 120), (x - 100, y - 60))
    touch("touchMove", (x - 100, y - 180), (x - 100, y))
    touch("touchEnd")
    assert view(page)[0] == pytest.approx(3 * scale, rel=0.01)
    _, left, top = view(page)
    touch("touchStart", (x - 100, y - 100))
    touch("touchMove", (x - 120, y - 130))
    touch("touchEnd")
    assert view(page)[1:] == pytest.approx((left - 20, top - 30))
    touch("touchStart", (x, y))
    touch("touchMove", (x + 40, y))
    touch("touchMove", (x + 100, y))
    touch("touchEnd")
    assert page.locator("img-comparison-slider").evaluate("element => element.value") > 70
    assert view(page)[1:] == pytest.approx((left - 20, top - 30))


def test_the_legend_hides_classes_and_shows_one_alone(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    road, grass, no_data = (10, 40), (200, 40), (10, 1)
    assert pixel(page, *road) == [128, 64, 128, 255]
    assert pixel(page, *grass) == [0, 102, 0, 255]
    assert pixel(page, *no_data) == [0, 0, 0, 0]
    page.get_by_role("checkbox", name="road").uncheck()
    assert pixel(page, *road) == [0, 0, 0, 0]
    page.get_by_role("button", name="Only road").click()
    assert (pixel(page, *road), pixel(page, *grass)) == ([128, 64, 128, 255], [0, 0, 0, 0])
    page.keyboard.press("n")  # the choice goes along
    seen(page)
    assert pixel(page, *grass) == [0, 0, 0, 0]
    page.get_by_role("button", name="all", exact=True).click()
    assert pixel(page, *grass) == [0, 102, 0, 255]
    assert page.locator(".legend li").first.text_content() == "grass26.0 %only"
    assert page.locator(".legend .sure").count() == 0


def test_the_legend_says_how_sure_each_class_of_the_image_is(open_report: OpenReport) -> None:
    measured = ((1, 0.7, 0.913, 0.0412), (0, 0.3, 0.44, 0.6))
    page = seen(open_report(content([image("a.jpg", classes=measured), image("b.jpg")]), "#image=a.jpg"))
    rows = page.locator(".legend li").all_text_contents()
    assert rows == ["grass70.0 %confidence 0.91, 4.1 % lowonly", "road30.0 %confidence 0.44, 60.0 % lowonly"]
    assert page.locator(".legend .sure").first.get_attribute("title") == "Low: below 0.50"
    page.get_by_role("checkbox", name="road").uncheck()
    assert pixel(page, 5, 40) == [0, 0, 0, 0]


def test_heat_is_bright_where_labels_are_doubtful_and_clear_where_there_is_none(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    page.keyboard.press("d")
    assert page.locator("#image").get_attribute("data-painted") == "confidence"
    brightness = [sum(pixel(page, x, 40)[:3]) for x in (5, 80, 160, 235)]
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[0] > 3 * brightness[-1]
    assert page.get_by_text("1: certain").is_visible()
    assert page.locator(".caption.mask").text_content() == "Confidence"
    assert page.locator(".opacity").text_content() == "Confidence"
    assert page.get_by_text("below 0.50.").is_visible()
    page.get_by_role("button", name="Disagreement").click()
    assert pixel(page, 60, 100) == [0, 0, 0, 0]  # no second vote there
    assert pixel(page, 180, 100)[3] == 255
    page.get_by_role("checkbox", name="water").uncheck()
    assert pixel(page, 180, 100) == [0, 0, 0, 0]
    page.keyboard.press("c")
    assert page.locator(".heat").count() == 0
    assert page.locator(".caption.mask").text_content() == "Mask"


def test_heat_may_come_small_and_compressed_without_holes(open_report: OpenReport, tmp_path: Path) -> None:
    page = open_report(content(mixed()))
    write_previews(tmp_path / "out/report", small=True)
    page.locator("#cards .card").first.click()
    seen(page)
    page.keyboard.press("d")
    assert {pixel(page, x, 120)[3] for x in range(5, 235, 10)} == {255}
    assert sum(pixel(page, 5, 40)[:3]) > 3 * sum(pixel(page, 5, 120)[:3])
    assert pixel(page, 5, 1) == [0, 0, 0, 0]  # no label, no heat


def test_photo_and_mask_lie_on_each_other_or_side_by_side_and_the_mask_fades(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), FIRST))
    page.keyboard.press("o")
    assert page.locator(".pane:visible").count() == 1
    canvas = page.locator("canvas")
    assert canvas.evaluate("element => element.style.opacity") == "0.5"
    for _ in range(3):
        page.keyboard.press("]")
    assert float(canvas.evaluate("element => element.style.opacity")) == pytest.approx(0.8)
    page.get_by_role("slider", name="Opacity: Mask").fill("20")
    assert canvas.evaluate("element => element.style.opacity") == "0.2"
    page.keyboard.press("h")
    assert canvas.is_hidden()
    page.keyboard.press("h")
    page.get_by_role("button", name="Side by side").click()
    boxes = [pane.bounding_box() for pane in page.locator(".pane").all()]
    assert [round(box["width"]) for box in boxes if box] == [479, 479]
    assert page.get_by_role("button", name="Side by side").get_attribute("aria-pressed") == "true"
    page.keyboard.press("s")
    assert page.locator("img-comparison-slider .pane:visible").count() == 2


def test_images_follow_each_other_and_the_way_back_leads_where_it_began(open_report: OpenReport) -> None:
    page = open_report(content(mixed()))
    page.locator("#cards .card").nth(2).click()
    heading = page.locator("#image-title")
    assert heading.text_content() == "day1/IMG_0004.JPG"
    assert heading.evaluate("element => element === document.activeElement")
    page.keyboard.press("n")
    assert heading.text_content() == "day1/IMG_0006.JPG"
    page.get_by_role("button", name="Next image").click()
    page.keyboard.press("p")
    assert page.locator(".position").text_content() == "4 of 12"
    page.go_back()
    page.wait_for_selector("#pages:visible")
    assert page.evaluate("document.activeElement.title") == "day1/IMG_0006.JPG"
    page.go_forward()
    page.wait_for_selector("#image:visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("#pages:visible")
    assert not page.evaluate("location.hash")


def test_an_address_opens_its_image_and_the_ends_have_no_further_step(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), "#image=day2%2FIMG_0011.JPG"))
    assert page.get_by_role("button", name="Next image").is_disabled()
    page.keyboard.press("n")
    assert page.locator(".position").text_content() == "12 of 12"
    page.get_by_role("button", name="All images").click()
    page.wait_for_selector("#pages:visible")
    assert page.evaluate("location.hash") == "#images"


def test_an_image_without_preview_says_why_and_what_helps(open_report: OpenReport) -> None:
    page = open_report(content(mixed()), "#image=day2%2FIMG_0005.JPG")
    assert page.locator(".stage-note").text_content() == "failedIt is cut."
    assert page.locator(".warnings p").all_text_contents() == ["Copy it again."]
    page.keyboard.press("+")  # and no key of the stage breaks anything
    page.keyboard.press("o")
    page.keyboard.press("n")
    assert page.get_by_role("heading", level=1).text_content() == "day2/IMG_0007.JPG"


def test_warnings_sizes_and_the_full_size_files_stand_beside(open_report: OpenReport) -> None:
    page = seen(open_report(content(mixed()), "#image=day2%2FIMG_0003.JPG"))
    panel = page.get_by_role("complementary")
    assert panel.get_by_text("suspect: premature end of data").is_visible()
    assert panel.get_by_text("6,000 \u00d7 4,000 pixels").is_visible()
    assert panel.get_by_role("link", name="label").get_attribute("href") == "./../day2/IMG_0003.JPG_label.png"
    assert panel.locator(".files li").text_content() == "label IMG_0003.JPG_label.png"
    assert page.get_by_role("button", name="Disagreement").is_visible()


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("/survey/day 1/a.jpg: it is cut: 3 bytes", "it is cut: 3 bytes"),
        ("C:\\survey\\day 1\\a.jpg: it is cut", "it is cut"),
        ("day 1/a.jpg: it is cut", "it is cut"),
        ("/survey/other.jpg: it is cut", "/survey/other.jpg: it is cut"),
        ("The mask of it: /survey/day 1/a.jpg: is cut", "The mask of it: /survey/day 1/a.jpg: is cut"),
    ],
)
def test_why_an_image_failed_does_not_repeat_its_path(open_report: OpenReport, reason: str, shown: str) -> None:
    page = open_report(content([ImageRow(name="day 1/a.jpg", state="failed", reason=reason)]))
    assert page.locator("#failed td").first.text_content() == shown
    page.locator("#failed a").click()
    assert page.locator(".stage-note").text_content() == f"failed{shown}"


def test_masks_without_confidence_have_no_choice_of_heat(open_report: OpenReport, tmp_path: Path) -> None:
    made = content([image("a.jpg", confidence=None, disagreement=None, layers="images/plain/layers.js")])
    page = open_report(made)
    write_previews(tmp_path / "plain", kinds=["labels"])
    target = tmp_path / "out/report/images/plain"
    target.mkdir()
    (tmp_path / "plain/images/layers.js").rename(target / "layers.js")
    page.locator("#cards .card").click()
    seen(page)
    assert page.get_by_role("button", name="Confidence").count() == 0
    page.keyboard.press("d")
    assert page.locator("#image").get_attribute("data-painted") == "classes"
    assert math.isclose(page.locator("canvas").evaluate("element => element.width"), 240)
