"""stub."""

from pathlib import Path

from segment.report.content import Content


def write_pages(content: Content, folder: Path) -> Path:
    return folder / "index.html"
