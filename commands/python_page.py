"""The page of Python's functions, made from their docstrings; `docs/make_reference.py api` prints it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segment import api
from segment.doctor.examine import Examination
from segment.doctor.fact import Fact
from segment.doctor.verdict import Verdict
from segment.evaluation.results import Evaluation
from segment.plan.survey import SurveyPlan
from segment.record.outcome import Outcome
from segment.record.status import Status
from segment.review.export import Exported
from segment.review.take_back import TakenBack
from segment.steps import Written
from segment.training.train import TrainResult
from tiler.crops.make import CropReport

RESULTS = (
    Outcome,
    SurveyPlan,
    Status,
    CropReport,
    TrainResult,
    Evaluation,
    Exported,
    TakenBack,
    Written,
    Examination,
    Fact,
    Verdict,
)
"""What functions return, and what that holds."""
_HEAD = """# Python

`import noseam` gives a function for each command but `demo` and `scenes`. It takes the options of the command as
keywords, with the same defaults and bounds: [Options](reference.md) names them in the column Python. A path is a `str`
or a `Path`. Types are declared for type checkers, and the import loads nothing heavy. Every error that noseam raises on
purpose is a `noseam.NoseamError`.
[Train your own model](training.md#from-python) has an example that runs. This page is made from the docstrings.
"""
_SECTION = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)


def page() -> str:
    """Return the page, in Markdown."""
    chapters = [_HEAD, *map(_function, api.__all__), "## What comes back\n", *map(_result, RESULTS)]
    return "\n".join(chapters)


def _function(name: str) -> str:
    function = getattr(api, name)
    said, *sections = _SECTION.split(inspect.getdoc(function) or "")
    parts = dict(zip(sections[::2], sections[1::2], strict=True))
    lines = [f"## noseam.{name}", "", "```python", f"noseam.{name}({_call(function, parts)})", "```", "", said.strip()]
    for title, entries in parts.items():
        lines += ["", f"**{title}**", "", *_entries(entries, name)]
    return "\n".join([*lines, ""])


def _call(function: Any, parts: dict[str, str]) -> str:
    """Return the arguments that the docstring names, as a call shows them."""
    named = [name for head, _ in _pairs(parts.get("Parameters", "")) for name in head.split(" : ")[0].split(", ")]
    found = [inspect.signature(function).parameters[name] for name in named if not name.startswith("*")]
    of_place = [_argument(each) for each in found if each.kind is each.POSITIONAL_OR_KEYWORD]
    by_name = [_argument(each) for each in found if each.kind is each.KEYWORD_ONLY]
    options = ["**options"] * ("**options" in named)
    return ", ".join([*of_place, *["*"] * bool(by_name), *by_name, *options])


def _argument(found: inspect.Parameter) -> str:
    if found.default is found.empty:
        return found.name
    default = f'"{found.default}"' if isinstance(found.default, (Path, str)) else found.default
    return f"{found.name}={default}"


def _entries(text: str, command: str) -> Iterator[str]:
    """Yield the entries of a section as a list; what takes all options of a command leads to these."""
    for head, body in _pairs(text):
        name, _, kind = head.partition(" : ")
        body = body.replace(f"The options of `noseam {command}`", f"[The options of `noseam {command}`]"
                            f"(reference.md#noseam-{command})")  # fmt: skip
        yield f"- `{name}`{f' ({kind})' if kind else ''}: {body}"


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the heads of a section's entries, each with the text that is indented below it."""
    found: list[tuple[str, str]] = []
    for line in text.strip().splitlines():
        if line.startswith(" ") and found:
            found[-1] = found[-1][0], f"{found[-1][1]} {line.strip()}".strip()
        elif line.strip():
            found.append((line.strip(), ""))
    return found


def _result(kind: type) -> str:
    """Return the fields and properties of a class, each with its docstring."""
    rows = [f"| `{name}` | {' '.join(text.split())} |" for name, text in _members(kind)]
    return "\n".join([f"### {kind.__name__}", "", _first(kind), "", "| | |", "|---|---|", *rows, ""])


def _first(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0]


def _members(kind: type) -> Iterator[tuple[str, str]]:
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    for each, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and isinstance(after, ast.Expr):
            if not each.target.id.startswith("_"):
                yield each.target.id, str(ast.literal_eval(after.value))
        elif isinstance(each, ast.FunctionDef) and _is_property(each) and not each.name.startswith("_"):
            yield each.name, (ast.get_docstring(each) or "").partition("\n\n")[0]


def _is_property(function: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "property" for each in function.decorator_list)
