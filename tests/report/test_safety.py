from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segment.report.content import Content
from tests.report.conftest import PHONE, OpenReport
from tests.report.making import HOSTILE, class_rows, content, corners, image, mixed

if TYPE_CHECKING:
    from playwright.sync_api import Page

ALONE = {"preload": False}  # axe would fetch the styles
STRUCTURE = """[...document.querySelectorAll('*')].map(
    element => [element.tagName, ...element.getAttributeNames(), element.childElementCount].join(' ')
)"""


def report_of(names: tuple[str, ...], word: str) -> Content:
    """Return a report whose images and texts have some names; the last two images failed."""
    rows = [
        image(name, footprint=corners(n), warnings=(word,), doubts=("suspect",), masks=((word, f"../{n}.png"),))
        for n, name in enumerate(names)
    ]
    rows[-2:] = [replace(row, state="failed", reason=word, advice=word, thumb="", photo="") for row in rows[-2:]]
    classes = tuple(replace(row, name=word) for row in class_rows())
    return content(rows, title=word, classes=classes, run=((word, word),), settings=((word, word),), area_note=word)


def plain_name(name: str) -> str:
    """Return a name of letters alone that lies in as many folders."""
    return re.sub("[^/]", "x", name)


def structures(page: Page) -> list[list[str]]:
    """Return the kinds of all elements of the main page, then of the pages of three images, in their order."""
    page.locator("#footprints canvas").wait_for(state="attached")
    found = [page.evaluate(STRUCTURE)]
    cards = page.locator("#cards .card")
    for number in (0, 1, len(HOSTILE) - 1):
        cards.nth(number).click()
        page.wait_for_selector("#image:visible")
        if number < 2:
            page.wait_for_selector("#image[data-painted]")
        found.append(page.evaluate(STRUCTURE))
        page.go_back()
        page.wait_for_selector("#pages:visible")
    return found


def test_hostile_names_leave_the_structure_as_plain_ones_do(open_report: OpenReport) -> None:
    word = "<img src=x onerror='window.broken = 1'>\n\u202e</title></textarea><script>window.broken = 1</script>"
    hostile = open_report(report_of(HOSTILE, word), "#map")
    found = structures(hostile)
    assert hostile.evaluate("window.broken") is None
    plain = open_report(report_of(tuple(plain_name(name) for name in HOSTILE), "word"), "#map")
    expected = structures(plain)
    assert [len(one) for one in found] == [len(one) for one in expected]
    assert found == expected
    assert len(found[0]) > 300


def test_hostile_names_are_shown_as_they_are(open_report: OpenReport) -> None:
    page = open_report(content([image(name) for name in HOSTILE]))
    cards = "[...document.querySelectorAll('#cards .card')]"
    shown = f"{cards}.map(card => card.title)"
    written = f"{cards}.map(card => [...card.querySelectorAll('bdi')].map(part => part.textContent).join(''))"
    assert page.evaluate(f"{written}.every((text, i) => text === {shown}[i] || text.includes('\u2026'))")
    assert page.evaluate(f"{written}.filter((text, i) => text === {shown}[i]).length") >= 6
    assert page.evaluate(f"{shown}.every((name, index) => name === noseamReport.images[index].name)")
    texts = page.evaluate(f"{shown}.map(name => name.replace(/[\\ud800-\\udfff]/g, '?'))")
    assert texts == [name.replace("\udcff", "?") for name in HOSTILE]
    for number, name in enumerate(HOSTILE):
        page.evaluate(f"location.hash = document.querySelectorAll('#cards .card')[{number}].hash")
        page.wait_for_selector("#image[data-painted]")
        title = f"document.getElementById('image-title').textContent === noseamReport.images[{number}].name"
        assert page.evaluate(title), name
        if number % 4 == 0:
            page.reload()  # the address alone leads there again
            page.wait_for_selector("#image[data-painted]")
            assert page.evaluate(title), name
        page.keyboard.press("Escape")
        page.wait_for_selector("#pages:visible")
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), PHONE])
def test_axe_finds_no_fault(open_report: OpenReport, scheme: str, size: tuple[int, int]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe, so accessibility is not judged")
    page = open_report(content(mixed()), size=size, scheme=scheme)
    page.locator("#map").scroll_into_view_if_needed()
    faults = axe.Axe().run(page, options=ALONE)
    assert faults.violations_count == 0, faults.generate_report()
    page.locator("#first .card").first.click()
    page.wait_for_selector("#image[data-painted]")
    page.keyboard.press("d")
    faults = axe.Axe().run(page, options=ALONE)
    assert faults.violations_count == 0, faults.generate_report()
    page.keyboard.press("?" if scheme == "dark" else "b")
    faults = axe.Axe().run(page, options=ALONE)
    assert faults.violations_count == 0, faults.generate_report()


def test_all_that_acts_is_reached_by_the_tab_key_and_seen_there(open_report: OpenReport) -> None:
    page = open_report(content(mixed()))
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        outline, name = page.evaluate(
            "(one => [getComputedStyle(one).outlineStyle, one.id || one.name || one.className || one.tagName])"
            "(document.activeElement)"
        )
        if name == "BODY":  # once around
            break
        assert outline != "none", name
        reached.append(name)
    wanted = "skip print scheme keys link sorter card name state doubt label share below order"
    assert set(wanted.split()) <= set(reached)
    assert len(reached) > 50
