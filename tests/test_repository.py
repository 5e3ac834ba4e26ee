"""What the project's own pages and settings say is so."""

from __future__ import annotations

import configparser
import re

import pytest

from tests import ROOT


def test_every_path_that_the_architecture_page_names_exists() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:tiler|segment|tests|benchmarks|\.ci)/[\w./]*|\w+\.(?:py|md|cfg|toml|txt))`", page)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_page_names_every_module() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path.relative_to(ROOT) for room in ("tiler", "segment") for path in (ROOT / room).rglob("*.py")]
    assert len(modules) > 40
    assert [path for path in modules if path.name != "__init__.py" and f"`{path.as_posix()}`" not in page] == []


def test_setup_cfg_holds_only_packages_and_the_import_contract() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert {section.split(":")[0] for section in settings.sections()} == {
        "options",
        "options.package_data",
        "importlinter",
    }


def test_every_tool_and_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.split("==")[0].replace("_", "-").lower() for line in lines if "==" in line}
    wanted = re.findall(r'^    "([\w-]+)>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(wanted) > 15
    assert [name for name in wanted if name not in pins] == []


@pytest.mark.parametrize("ending", ["noseam demo", "pytest"])
def test_the_readme_has_one_command_for_the_job_and_one_for_the_tests(ending: str) -> None:
    found = re.findall(
        rf"^    python3 .*pip install .*-c constraints\.txt .* && {ending}$", (ROOT / "README.md").read_text(), re.M
    )
    assert len(found) == 1
