"""A headless Chromium for reports: that of the system, driven by Playwright. Where either is missing, tests skip.

Each report that a test opens is watched: an error on its console, or a request beyond its folder, fails the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segment.report.content import Content
from segment.report.page import write_pages
from tests.report.making import write_previews

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK, PHONE = (1280, 900), (390, 844)


def until(page: Page, condition: str) -> None:
    """Wait until an expression in JavaScript is true. Playwright's own way needs what the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"never true: {condition}")


OpenPage = Callable[..., "Page"]
OpenReport = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright, so no browser")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open the page of a report that stands on the disk, and watch it."""
    told: list[str] = []
    requests: list[tuple[str, Path]] = []

    def opened(
        index: Path, address: str = "", *, size: tuple[int, int] = DESK, touch: bool = False, scheme: str = "light"
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=touch,
            is_mobile=touch,
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(5000)
        page = context.new_page()
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(f"error: {error}"))
        page.on("request", lambda request: requests.append((request.url, index.parent)))
        page.goto(index.as_uri() + address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    assert told == []
    assert len(requests) > 10
    assert [url for url, folder in requests if not url.startswith((folder.as_uri() + "/", "data:"))] == []


@pytest.fixture
def open_report(open_page: OpenPage, tmp_path: Path) -> OpenReport:
    """Write a report of some content with made-up previews, and open it."""
    folder = tmp_path / "out" / "report"

    def opened(content: Content, address: str = "", **how: Any) -> Page:
        write_previews(folder)
        return open_page(write_pages(content, folder), address, **how)

    return opened
