"""What the project's own pages and settings say is so."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

FEWEST_LINES, MOST_LINES, MOST_BODY_LINES = 60, 300, 60
OF_ANOTHER_LENGTH = {
    "cli.py": "too short: it registers the commands, and no more",
    "commands/adapt.py": "too short: one command, whose options are its request's",
    "commands/doctor.py": "too short: one command, whose options are its request's",
    "commands/evaluate.py": "too short: one command, whose options are its request's",
    "commands/plan.py": "too short: one command, whose options are its request's",
    "commands/report.py": "too short: one command, whose options are its request's",
    "commands/scenes.py": "too short: one command, whose options are its request's",
    "commands/status.py": "too short: one command, whose options are its request's",
    "commands/train.py": "too short: one command, whose options are its request's",
    "segment/adapt/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "segment/api.py": "too long: every keyword of every command stands there, for editors and readers",
    "segment/demo/picture.py": "too short: one picture",
    "segment/doctor/fact.py": "too short: one value that every part of the doctor gives",
    "segment/doctor/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "segment/engine/contract.py": "too short: an engine is three small classes, and every engine imports them alone",
    "segment/engine/device_faults.py": "too short: nothing else asks what a device did wrong",
    "segment/guard/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "segment/model/kept.py": "too short: where and how things are kept, whatever they are",
    "segment/model/save.py": "too short: it writes what `checkpoint.py` reads, and loads transformers only then",
    "segment/record/outcome.py": "too short: one value that every record imports",
    "segment/record/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "segment/plan/products.py": "too short: three questions on what an image can have",
    "segment/report/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "segment/run/cores.py": "too short: one table of threads, and nothing else decides on them",
    "segment/run/stands.py": "too short: one function that needs no engine, so that a plan starts quickly",
    "segment/steps.py": "too long: every step of every command stands there by its request",
    "segment/workers/blame.py": "too short: one question, answered by arithmetic alone",
    "segment/workers/start.py": "too short: dask loads it in every worker before the worker is there",
    "segment/workers/turns.py": "too short: one lock that knows nothing of tasks",
    "tiler/crops/connected.py": "too short: one structure that the ways of telling places share",
    "tiler/crops/ground.py": "too short: what a file says of its ground, for cutting and for telling places",
    "tiler/crops/request.py": "too short: a request stands in the room of its work, and loads nothing",
    "tiler/doubt.py": "too short: one value, and how masks carry it",
    "tiler/files/aside.py": "too short: one mark, set and looked for",
    "tiler/files/previews.py": "too short: names alone, in the room of names",
    "tiler/files/vector.py": "too short: a table of suffixes that loads no vector library",
    "tiler/grid/window.py": "too short: one value on which all geometry stands",
    "tiler/kernel.py": "too short: one decorator that both kernels share",
    "tiler/masks/blend.py": "too short: one formula that files and pages share",
    "tiler/masks/jpeg_text.py": "too short: one kind of comment, written and read back",
    "tiler/masks/sidecars/build.py": "too short: one file per kind of side file, and this one calls them",
    "tiler/masks/sidecars/legend.py": "too short: what the style and the tables share",
    "tiler/masks/sidecars/style.py": "too short: one kind of side file",
    "tiler/masks/standing.py": "too short: one value, and how it is found; the report and reviews call it",
    "tiler/masks/unknown.py": "too short: one message, for ids and for colours",
    "tiler/photo/accuracy.py": "too short: the error budget stands alone, so that its constants can be read",
    "tiler/photo/options.py": "too short: the standard library only, so that a plan can name it",
    "tiler/polygons/features.py": "too short: one value and its columns, which every format shares",
    "tiler/scenes/layout.py": "too short: it only names the worlds",
    "tiler/scenes/neighbourhood.py": "too long: one plan of a village, street by street",
    "tiler/source/part.py": "too short: one stand-in for an open dataset",
    "tiler/source/shut_off.py": "too short: it must run before GDAL starts, so it imports nothing",
    "tiler/stitch/cover.py": "too short: one rule on the order of tiles",
    "tiler/words.py": "too short: one phrase that messages of all rooms share",
}
"""Modules of fewer than 60 or more than 300 lines, each with its reason."""


def modules() -> Iterator[Path]:
    """Yield every file of Python that noseam is made of, by its path in the checkout."""
    yield Path("cli.py")
    for room in ("commands", "noseam", "segment", "tiler"):
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / room).rglob("*.py")))


def parsed(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module.name)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines the body of a function has, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_a_module_has_60_to_300_lines_or_a_reason() -> None:
    lines = {
        module.as_posix(): len((ROOT / module).read_text(encoding="utf-8").splitlines())
        for module in modules()
        if module.name != "__init__.py"
    }
    assert len(lines) > 80
    odd = {name: count for name, count in lines.items() if not FEWEST_LINES <= count <= MOST_LINES}
    without = {name: count for name, count in odd.items() if name not in OF_ANOTHER_LENGTH}
    assert without == {}, "give each a reason in OF_ANOTHER_LENGTH, or another length"
    wrong = [
        name
        for name, reason in OF_ANOTHER_LENGTH.items()
        if not reason.startswith("too short: " if odd.get(name, MOST_LINES) < FEWEST_LINES else "too long: ")
        or name not in odd
    ]
    assert wrong == [], "OF_ANOTHER_LENGTH names these, but they have another length now, or are gone"


def test_no_function_has_a_body_of_more_than_60_lines() -> None:
    found = [
        (body_lines(node), f"{module.as_posix()}:{node.lineno}: {node.name}")
        for module in modules()
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(found) > 500
    assert [name for lines, name in found if lines > MOST_BODY_LINES] == []


def test_every_room_says_in_one_line_what_it_is() -> None:
    rooms = {module.parent for module in modules()} - {Path()}
    assert len(rooms) > 15
    missing = [room.as_posix() for room in sorted(rooms) if not (ROOT / room / "__init__.py").exists()]
    assert missing == [], "these lack an __init__.py"
    first = {room.as_posix(): ast.get_docstring(parsed(room / "__init__.py")) or "" for room in sorted(rooms)}
    assert {room: text for room, text in first.items() if len(text.splitlines()) != 1} == {}


def test_every_path_that_a_page_names_exists() -> None:
    for name in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        page = (ROOT / name).read_text(encoding="utf-8")
        rooms = r"tiler|segment|commands|noseam|tests|benchmarks|docs|\.ci"
        named = set(re.findall(rf"`((?:{rooms})/[\w./]*|\w+\.(?:py|md|cfg|toml|txt))`", page))
        named -= {"commands/NAME.py", "noseam.toml"}  # the reader's own
        assert len(named) > 10
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_page_has_a_line_for_every_room() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("## Rooms")[1].split("\n## ")[0]
    of_two = {module.parts[:2] for module in modules() if module.name != "__init__.py" and len(module.parts) > 1}
    rooms = {"/".join(parts) + ("" if parts[1].endswith(".py") else "/") for parts in of_two if parts[0] != "commands"}
    assert len(rooms) > 20
    assert [room for room in sorted(rooms | {"commands/", "noseam/"}) if f"`{room}`" not in table] == []


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
