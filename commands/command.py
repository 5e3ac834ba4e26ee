"""A command: its help under headings, and how much its log says."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import click

from segment.record.logs import configure_logging
from tiler.option import Asked

VERBOSITY = {
    "verbose": "The log says more; where an image fails, it shows the place in the program.",
    "quiet": "The log says less: -q warnings and errors only, -qq errors only.",
}
"""Options of every command, and of the group before a command's name."""
_HEADINGS = ("input", "model", "output", "place", "polygons", "limits", "records", "options")
_FEW = 30
_KEY = "noseam.verbosity"


class Option(click.Option):
    """An option that knows its heading in a long help, and the field of a request that it was made from."""

    def __init__(self, *names: Any, group: str = "", asked: Asked | None = None, **known: Any) -> None:
        super().__init__(*names, **known)
        self.group, self.asked = group, asked


class Command(click.Command):
    """A command that lists its options under headings, and takes -v and -q too."""

    def __init__(self, *names: Any, **known: Any) -> None:
        super().__init__(*names, **known)
        self.params += [
            Option([f"-{word[0]}", f"--{word}"], count=True, expose_value=False, callback=count_verbosity,
                   group="records", is_eager=True, show_default=False, help=help)
            for word, help in VERBOSITY.items()
        ]  # fmt: skip

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. The flags -v and -q, before and after its name, say how much it logs."""
        _set_logging(ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under headings; Click writes the arguments before them."""
        for heading, params in by_heading(self.get_params(ctx)).items():
            records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            with formatter.section(heading.capitalize()):
                formatter.write_dl(records)


def by_heading(params: Iterable[click.Parameter]) -> dict[str, list[click.Option]]:
    """Return the options among parameters, by heading; fewer than 30 options stand under one heading."""
    options = [param for param in params if isinstance(param, click.Option)]
    if len(options) < _FEW:
        return {_HEADINGS[-1]: options}
    found: dict[str, list[click.Option]] = {heading: [] for heading in _HEADINGS}
    for option in options:
        found[getattr(option, "group", "") or _HEADINGS[-1]].append(option)
    return {heading: options for heading, options in found.items() if options}


def count_verbosity(ctx: click.Context, param: click.Parameter, times: int) -> int:
    """Take note of -v and -q, wherever they stand."""
    root = ctx.find_root()
    root.meta[_KEY] = root.meta.get(_KEY, 0) + (times if param.name == "verbose" else -times)
    return times


def _set_logging(ctx: click.Context) -> None:
    """Let the log say as much as was asked so far."""
    root = ctx.find_root()
    level = logging.INFO - 10 * root.meta.get(_KEY, 0)
    configure_logging(min(max(level, logging.DEBUG), logging.ERROR), root.params.get("log_json"))


def quiet() -> bool:
    """Return whether the user wants no progress shown."""
    return bool(click.get_current_context().find_root().meta.get(_KEY, 0) < 0)
