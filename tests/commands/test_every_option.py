"""Every option of every command is the same thing everywhere, because the field of its request alone says it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest
from click.testing import CliRunner

import noseam
from cli import main
from commands.command import Option
from commands.options import options_of, request_of
from commands.reference import page
from segment.adapt.request import AdaptRequest
from segment.demo.request import DemoRequest
from segment.doctor.request import DoctorRequest
from segment.evaluation.request import EvaluateRequest
from segment.plan.shard import Shard
from segment.record.request import StatusRequest
from segment.report.request import ReportRequest
from segment.review.request import ReviewRequest
from segment.run.request import PlanRequest, Resource, SegmentRequest
from segment.training.request import TrainRequest
from tests import ROOT
from tiler.crops.request import CropRequest
from tiler.grid.fit import TileSize
from tiler.option import Asked, gather, option, options_in
from tiler.polygons.request import PolygonsRequest
from tiler.scenes.request import ScenesRequest

REQUESTS: dict[str, type] = {
    "adapt": AdaptRequest,
    "crop": CropRequest,
    "demo": DemoRequest,
    "doctor": DoctorRequest,
    "evaluate": EvaluateRequest,
    "plan": PlanRequest,
    "polygons": PolygonsRequest,
    "report": ReportRequest,
    "review": ReviewRequest,
    "scenes": ScenesRequest,
    "segment": SegmentRequest,
    "status": StatusRequest,
    "train": TrainRequest,
}
OF_NO_REQUEST = {"as_json", "json_file", "verbose", "quiet", "debug", "log_json"}
"""Options that belong to no request, because they say how a command prints its result."""
NEEDED = (
    dict.fromkeys(("min_area_m2", "simplify_px", "smooth", "only"), "--polygons")
    | dict.fromkeys(("flying_height_m", "ground_elevation_m", "dem", "yaw_source", "focal_px"), "--georef=photo")
    | {"resources": "--scheduler=tcp://10.0.0.1:8786"}
)
"""Options that an option of `plan` and `segment` needs beside it."""
WORDS: dict[str, tuple[str, Any]] = {
    "tile": ("96x160", TileSize((96, 160))),
    "channels": ("3,2,1", (3, 2, 1)),
    "sidecars": ("qml,aux", frozenset({"aux", "qml"})),
    "only": ("roof", ("roof",)),
    "ignore": ("roof", ("roof",)),
    "map": ("grass,tree=green", ("grass,tree=green",)),
    "shard": ("2/4", Shard(2, 4)),
    "workers": ("5", 5),
    "balance_classes": ("0.5", 0.5),
    "resources": ("GPU=1", Resource("GPU", 1)),
}
"""Text and value of an option whose type leads to none."""


@dataclass(frozen=True)
class Said:
    """A value that is not the default, in every form in which a user can give it."""

    value: Any
    on_line: list[str]
    in_file: str
    in_variable: str


def every_option() -> Iterator[tuple[str, Asked]]:
    for command, request in REQUESTS.items():
        yield from ((command, asked) for asked in options_in(request))


FLAGGED = [
    pytest.param(command, asked, id=f"{command}-{asked.name}")
    for command, asked in every_option()
    if not asked.option.positional
]


def another(asked: Asked, here: Path) -> Said:
    if asked.kind is bool:
        value = not asked.default
        flag = asked.flag if value else f"--no-{asked.flag[2:]}"
        return Said(value, [flag], str(value).lower(), str(value))
    if asked.kind == tuple[Path, Path]:
        there = [here / "one", here / "other"]
        for folder in there:
            folder.mkdir(exist_ok=True)
        texts = [str(folder) for folder in there]
        return Said(tuple(there), [asked.flag, *texts], repr(texts), os.pathsep.join(texts))
    if get_origin(asked.kind) is tuple and asked.name not in WORDS:
        low, high = (96, 160) if asked.option.most is None else (1, int(asked.option.most))
        pair = tuple(map(get_args(asked.kind)[0], (low, high)))
        return Said(pair, [asked.flag, str(low), str(high)], f"[{low}, {high}]", f"{low} {high}")
    text, value = WORDS.get(asked.name) or _one(asked, here)
    return Said(value, [asked.flag, text], repr(text), text)


def _one(asked: Asked, here: Path) -> tuple[str, Any]:
    if asked.choices:
        choice = next(choice for choice in asked.choices if choice != asked.default)
        return choice, choice
    if asked.kind is Path:
        path = here if asked.option.path == "folder" else here / "a file"
        if not path.exists():
            path.touch()
        return str(path), path
    if asked.kind is str:
        return "cuda:1", "cuda:1"  # a device, and a name like any other
    number = _in_bounds((asked.default or 0.5) + (asked.option.multiple if asked.kind is int else 0.25), asked)
    return str(number), number


def _in_bounds(value: float, asked: Asked) -> Any:
    known = asked.option
    for most in (known.most, known.below):
        value = value if most is None or value < most else most / 2 + 0.01
    return asked.kind(max(value, known.least or 0))


def arguments(command: str, here: Path) -> list[str]:
    """Return all arguments and the required options of a command."""
    needed: list[str] = []
    for asked in options_in(REQUESTS[command]):
        if asked.option.positional:
            needed.append(str(here / "there"))
        elif asked.required:
            needed += [asked.flag, "demo" if asked.name == "model" else str(here / "out")]
    (here / "there").mkdir(exist_ok=True)
    return needed


def request(command: str, said: list[str], settings: str = "", here: Path = Path()) -> Any:
    """Return the request that a command line stands for, with a settings file."""
    (here / "noseam.toml").write_text(settings)
    group = main.make_context("noseam", ["--config", str(here / "noseam.toml"), command])
    found = main.commands[command].make_context(command, [*said, *arguments(command, here)], parent=group)
    params = {name: value for name, value in found.params.items() if name not in OF_NO_REQUEST}
    return request_of(REQUESTS[command], params)


def value_of(request: Any, name: str) -> Any:
    return _values(request)[name]


def _values(request: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields(request):
        value = getattr(request, each.name)
        if is_dataclass(value) and not each.metadata:
            found |= _values(value)
        else:
            found[each.name] = value
    return found


def test_every_command_has_a_request() -> None:
    assert REQUESTS.keys() == main.commands.keys()


@pytest.mark.parametrize("command", REQUESTS)
def test_a_command_takes_what_its_request_holds_and_nothing_else(command: str) -> None:
    names = [param.name for param in main.commands[command].params if param.name not in OF_NO_REQUEST]
    assert sorted(map(str, names)) == sorted(asked.name for asked in options_in(REQUESTS[command]))


@pytest.mark.parametrize("command", REQUESTS)
def test_a_command_that_is_told_nothing_has_the_defaults_of_its_request(command: str, tmp_path: Path) -> None:
    needed = {
        asked.name: "demo" if asked.name == "model" else tmp_path / ("there" if asked.option.positional else "out")
        for asked in options_in(REQUESTS[command]) if asked.required or asked.option.positional
    }  # fmt: skip
    assert request(command, [], here=tmp_path) == gather(REQUESTS[command], needed)


@pytest.mark.parametrize(("command", "asked"), FLAGGED)
def test_an_option_is_said_on_the_command_line_in_a_variable_and_in_the_settings(
    command: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = another(asked, tmp_path)
    assert said.value != asked.default
    if asked.required:  # it always stands on the command line
        return
    with_it = [NEEDED[asked.name]] if command in {"plan", "segment"} and asked.name in NEEDED else []
    key = asked.flag[2:]
    assert value_of(request(command, [*said.on_line, *with_it], here=tmp_path), asked.name) == said.value
    for spelt in (key, key.replace("-", "_")):
        settings = f"[{command}]\n{spelt} = {said.in_file}\n"
        assert value_of(request(command, with_it, settings, tmp_path), asked.name) == said.value
    monkeypatch.setenv(f"NOSEAM_{command}_{key}".replace("-", "_").upper(), said.in_variable)
    assert value_of(request(command, with_it, here=tmp_path), asked.name) == said.value


@pytest.mark.parametrize(("command", "asked"), FLAGGED)
def test_help_and_reference_say_flag_default_bounds_and_help(command: str, asked: Asked) -> None:
    shown = " ".join(
        CliRunner().invoke(main, [command, "--help"], terminal_width=500, max_content_width=500).output.split()
    )
    chapter = (ROOT / "docs/reference.md").read_text().split(f"## noseam {command}\n")[1].split("\n## ")[0]
    (row,) = [row for row in chapter.splitlines() if f"| `{asked.name}` |" in row]
    variable = f"NOSEAM_{command}_{asked.flag[2:]}".replace("-", "_").upper()
    for place in (shown, row):
        assert asked.flag in place
        assert asked.option.help.replace("|", "\\|" if place is row else "|") in place
        for bound in (asked.option.least, asked.option.most, asked.option.above, asked.option.below):
            assert bound is None or f"{bound:g}" in place or str(bound) in place
        if asked.option.shown:
            assert asked.option.shown in place
        for choice in asked.choices:
            assert choice in place
    assert f"`{variable}`" in row
    if asked.required and not asked.option.shown:
        assert "required" in row


@pytest.mark.parametrize(("command", "asked"), FLAGGED)
def test_what_the_command_line_refuses_python_refuses_too(command: str, asked: Asked, tmp_path: Path) -> None:
    known = asked.option
    beyond = {
        known.least: -1, known.above: 0, known.most: 1, known.below: 0,
    }  # fmt: skip
    good = {each.name: "demo" if each.name == "model" else tmp_path for each in options_in(REQUESTS[command])
            if each.required or each.option.positional}  # fmt: skip
    for bound, step in beyond.items():
        if bound is None or get_origin(asked.kind) is tuple:
            continue
        with pytest.raises(noseam.NoseamError, match=rf"^{asked.name}: .* expected, .* found$"):
            gather(REQUESTS[command], good | {asked.name: asked.kind(bound + step)})
        text = str(asked.kind(bound + step))
        with pytest.raises(click.BadParameter, match=r"expected.*found"):
            request(command, [asked.flag, text], here=tmp_path)
    if asked.choices:
        wrong: Any = frozenset({"foo"}) if get_origin(asked.kind) is frozenset else "foo"
        with pytest.raises(noseam.NoseamError, match=rf"^{asked.name}: .* expected, .*foo.* found$"):
            gather(REQUESTS[command], good | {asked.name: wrong})
    with pytest.raises((noseam.NoseamError, TypeError), match=r"expected|wrong"):
        gather(REQUESTS[command], good | {asked.name: object()})


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(noseam, name)
    for name in ("crop", "doctor", "evaluate", "plan", "polygons", "report", "review", "segment", "status", "train")
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_the_options_of_its_command_with_the_same_defaults(name: str) -> None:
    found = inspect.signature(FUNCTIONS[name]).parameters
    options = {asked.name: asked for asked in options_in(REQUESTS[name])}
    assert set(found) - {"progress"} == set(options)
    for each in found.values():
        if each.name == "progress":
            continue
        asked = options[each.name]
        assert each.default is inspect.Parameter.empty if asked.required else each.default == asked.default
        if not (asked.required or asked.option.positional or asked.name == "out"):
            assert each.kind is inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, kw_only=True)
class Changed(TrainRequest):
    """A request in which one default is another."""

    lr: float = option(0.125, "The rate is another.", unit="RATE", above=0, most=3)


def test_a_default_that_is_changed_in_its_field_is_changed_everywhere(tmp_path: Path) -> None:
    @click.command("train")
    @options_of(Changed)
    def train(**wanted: Any) -> None:
        """Train."""

    train.params = [param for param in train.params if isinstance(param, (Option, click.Argument))]
    group = click.Group("noseam", commands={"train": train})
    text = CliRunner().invoke(train, ["--help"], terminal_width=200).output
    assert "The rate is another.  [default: 0.125; above 0 to 3]" in text
    assert "| `--lr RATE` | 0.125; above 0 to 3 |" in page(group)
    params = train.make_context("train", [str(tmp_path), "--out", "x"]).params
    assert request_of(Changed, params).lr == 0.125 == Changed(crops=(tmp_path,), out=Path("x")).lr
    with pytest.raises(click.BadParameter, match=r"a number above 0 to 3 expected, such as 0\.125; '4' found"):
        train.make_context("train", [str(tmp_path), "--out", "x", "--lr", "4"])
    with pytest.raises(noseam.NoseamError, match="lr: a finite number above 0 to 3 expected, 4 found"):
        Changed(crops=(tmp_path,), out=Path("x"), lr=4)


def test_the_reference_page_is_what_the_requests_say() -> None:
    assert (ROOT / "docs/reference.md").read_text() == page(main), "python docs/make_reference.py > docs/reference.md"


def test_an_argument_that_may_be_left_out_is_shown_so(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["evaluate", "--help"]).output
    assert "PREDICTED [TRUTH]" in shown
    assert "| `[TRUTH]` | none |" in (ROOT / "docs/reference.md").read_text()
    found = request_of(EvaluateRequest, {"predicted": tmp_path, "truth": None, "shifted": tmp_path})
    assert found == EvaluateRequest(predicted=tmp_path, shifted=tmp_path)


def test_names_within_a_request_are_told_apart() -> None:
    for request in REQUESTS.values():
        names = [asked.name for asked in options_in(request)]
        assert len(names) == len(set(names))
