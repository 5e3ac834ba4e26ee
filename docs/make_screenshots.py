"""Take the pictures of the report in docs/: a photo and its mask, on a desk and on a phone.

Run it with the tools of a developer and a chromium, on what `noseam demo` wrote:

    noseam demo && python docs/make_screenshots.py noseam-demo/
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

_DOCS = Path(__file__).parent
_DESK = {"viewport": {"width": 1280, "height": 800}}
_PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def take(browser: Browser, index: Path, context: dict[str, object], target: Path) -> None:
    """Write a picture of the page of the first image."""
    page = browser.new_context(**context, color_scheme="light", reduced_motion="reduce").new_page()
    page.goto(index.as_uri())
    page.locator("#cards .card").first.click()
    page.wait_for_selector("#image[data-painted]")
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(target, optimize=True)
    page.context.close()


def main() -> None:
    """Take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="the output folder of `noseam demo`")
    index = parser.parse_args().demo.resolve() / "masks" / "report" / "index.html"
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or not index.is_file():
        raise SystemExit(f"{index}: not there" if chromium else "no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take(browser, index, _DESK, _DOCS / "report.png")
        take(browser, index, _PHONE, _DOCS / "report-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
