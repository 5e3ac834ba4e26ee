"""Which versions of Python and of packages are there, and what is missing."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from segment.doctor.fact import Fact
from tiler.extra import EXTRAS, install_command

PART = "program"
_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def facts() -> Iterator[Fact]:
    """Yield noseam's version, Python's, and those of all packages that noseam needs; then each extra."""
    yield _noseam()
    yield Fact(PART, "Python", f"{platform.python_version()}, {platform.python_implementation()}")
    asked = _requirements()
    needed = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    yield from _needed(needed)
    for extra, (step, _) in EXTRAS.items():
        of_extra = [
            each for each in asked if each not in needed and each.marker and each.marker.evaluate({"extra": extra})
        ]
        yield _extra(extra, step, of_extra)


def _noseam() -> Fact:
    try:
        return Fact(PART, "noseam", version("noseam"))
    except PackageNotFoundError:
        return Fact(PART, "noseam", f"a checkout that is not installed, {_PROJECT.parent}")


def _requirements() -> list[Requirement]:
    """Return what noseam says that it needs, for its extras too: as its checkout says, or as installed."""
    if not _PROJECT.exists():
        return [Requirement(text) for text in requires("noseam") or ()]
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    for extra in EXTRAS:
        texts = project["optional-dependencies"][extra]
        found += [Requirement(f"{text}; extra == '{extra}'") for text in texts]
    return found


def _needed(needed: Sequence[Requirement]) -> Iterator[Fact]:
    """Yield all packages that fit as one fact, and each that does not as one of its own."""
    wrong = {each.name: why for each in needed if (why := _wrong(each))}
    fit = [f"{each.name} {version(each.name)}" for each in needed if each.name not in wrong]
    yield Fact(PART, "packages", ", ".join(fit) or "none")
    for each in needed:
        if each.name in wrong:
            yield Fact(PART, each.name, wrong[each.name], "bad", f'pip install "{each.name}{each.specifier}"')


def _extra(extra: str, step: str, needed: Sequence[Requirement]) -> Fact:
    """Return whether an extra is there, and what it gives."""
    wrong = [f"{each.name} {why}" for each in needed if (why := _wrong(each))]
    if not wrong:
        return Fact(PART, extra, f"{step}: {', '.join(f'{each.name} {version(each.name)}' for each in needed)}")
    return Fact(PART, extra, f"{step} needs this extra: {', '.join(wrong)}", "none", install_command(extra))


def _wrong(needed: Requirement) -> str:
    """Return why a package does not do; empty where it does."""
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        return "is missing"
    return "" if needed.specifier.contains(found, prereleases=True) else f"is {found}, {needed.specifier} expected"
