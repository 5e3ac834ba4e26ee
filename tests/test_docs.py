"""The site of docs/: it builds without a warning, every link leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from cli import main
from tests import ROOT

NAV_PAGES = 20
FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}
"""What a browser fetches by itself."""


class Page(HTMLParser):
    """The ids and links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif value and (tag, name) in FETCHED and not (tag == "link" and ("rel", "canonical") in attrs):
                self.fetched.append(value)
            elif value and (tag, name) == ("a", "href"):
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built as CI builds it."""
    pytest.importorskip("zensical", reason="needs the tools of a developer")
    folder = tmp_path_factory.mktemp("site")
    for name in ("mkdocs.yml", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("docs", "benchmarks", "segment/demo_model", "segment/start_model"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Return all pages but that for what is not found, whose links go by the place where the site lies."""
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_every_page_is_in_the_navigation_and_has_a_title(site: Path, pages: dict[Path, Page]) -> None:
    texts = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert texts == {path.stem for path in pages}
    nav = (ROOT / "mkdocs.yml").read_text()
    named = set(re.findall(r"(\w+)\.md$", nav.split("\nnav:\n")[1].split("\ntheme:\n")[0], re.MULTILINE))
    assert named == texts
    assert len(named) >= NAV_PAGES
    for path in pages:
        assert "<h1" in path.read_text(encoding="utf-8"), path


def test_every_link_leads_to_a_file_and_a_place_in_it(site: Path, pages: dict[Path, Page]) -> None:
    wrong: list[str] = []
    for path, page in pages.items():
        for link in (*page.links, *page.fetched):
            target, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", target):
                continue
            file = (path.parent / unquote(target)).resolve() if target else path
            if not file.is_file() and not (file / "index.html").is_file():
                wrong.append(f"{path.name}: {link}: no such file")
            elif anchor and file in pages and anchor not in pages[file].ids:
                wrong.append(f"{path.name}: {link}: no such place")
    assert wrong == []


def test_nothing_is_fetched_from_elsewhere(pages: dict[Path, Page], site: Path) -> None:
    assert [link for page in pages.values() for link in page.fetched if re.match(r"(https?:)?//", link)] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")) == []


def test_pages_that_show_files_of_the_repository_show_all_of_them(site: Path) -> None:
    for name, heading in (("design", "Decisions that are not obvious"), ("security", "Trusted"),
                          ("contributing", "The floors"), ("measurements", "Against other tools"),
                          ("model", "Recipe")):  # fmt: skip
        assert heading in (site / f"{name}.html").read_text(encoding="utf-8")


def test_the_page_of_python_is_what_the_docstrings_say() -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    from commands.python_page import page

    assert (ROOT / "docs/api.md").read_text() == page(), "python docs/make_reference.py api > docs/api.md"


def test_the_readme_names_every_command_and_fits_on_a_screen_and_a_half() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 75
    assert [name for name in main.commands if f"| `noseam {name}` |" not in readme] == []


@pytest.mark.parametrize(
    "name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"]
)
def test_every_link_between_files_of_the_repository_leads_somewhere(name: str) -> None:
    path = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        target, anchor = urldefrag(link)
        if re.match(r"[a-z]+:", target):
            continue
        file = path.parent / target if target else path
        assert file.exists(), link
        titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, (
            link
        )


def test_options_that_pages_name_exist() -> None:
    """Pages that the README fed; `docs/scale.md` has a test of its own, with the options of other programs."""
    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    of_others = {"--config-settings", "--strict", "--version", "--help", "--index-url", "--config"}
    for name in (
        "quickstart",
        "survey",
        "training",
        "performance",
        "limits",
        "doctor",
        "report",
        "unattended",
        "licences",
    ):
        text = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - of_others
        assert [flag for flag in sorted(flags) if not re.search(rf"[`, ]{flag}(?![\w-])", reference)] == [], name
