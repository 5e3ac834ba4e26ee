"""A command: its help under headings, and how much its log says."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from commands.exits import usage_errors
from segment.record.logs import configure_logging
from tiler.option import Asked

_OF_THE_LOG: dict[str, dict[str, Any]] = {
    "verbose": {"count": True, "help": "The log says more; on a terminal, a line for each image too. segment "
                "ends with what its stages took, and what limits it."},
    "quiet": {"count": True, "help": "The log says less: -q warnings and errors only, -qq errors only."},
    "debug": {"is_flag": True, "help": "The log says all. Where an image or the run fails, it shows the place in the "
              "program."},
    "log-json": {"type": click.Path(path_type=Path, dir_okay=False), "metavar": "FILE",
                 "help": "The log is appended to this file too, as lines of JSON."},
}  # fmt: skip
"""Options that stand before a command's name and after it."""
_REST = "options"
_HEADINGS = ("output", "model", "input", "place", "polygons", "workers", "limits", _REST, "variation", "records")
_FEW = 30
_KEY, TYPED = "noseam.log", "noseam.typed"
ORIGINS = "noseam.origins"
"""Where the values of options came from that a file of settings holds: by command, then by the option's name."""


class Option(click.Option):
    """An option that knows its heading in a long help, and the field of a request that it was made from."""

    def __init__(self, *names: Any, group: str = "", asked: Asked | None = None, **known: Any) -> None:
        super().__init__(*names, **known)
        self.group, self.asked = group, asked

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what a message calls this option: the file or variable that set it, or else its flags."""
        return origin(ctx, self) or super().get_error_hint(ctx)


class Command(click.Command):
    """A command that lists its options under headings, and takes those of the log too."""

    def __init__(self, *names: Any, **known: Any) -> None:
        super().__init__(*names, **known)
        self.params += log_options(expose_value=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line, on which `--json FILE.json` stands for `--json-file FILE.json`."""
        named = [here == "--json" and after.endswith(".json") for here, after in pairwise([*args, ""])]
        return super().parse_args(ctx, ["--json-file" if file else arg for arg, file in zip(args, named, strict=True)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Options before and after its name say how much it logs."""
        _set_logging(ctx)
        with usage_errors():
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
        return {_REST: options}
    found: dict[str, list[click.Option]] = {heading: [] for heading in _HEADINGS}
    for option in options:
        found[getattr(option, "group", "") or _REST].append(option)
    return {heading: options for heading, options in found.items() if options}


def log_options(**known: Any) -> list[click.Option]:
    """Return the options that say what is logged, for the group or for a command."""
    return [
        Option([f"-{word[0]}"] * bool(kind.get("count")) + [f"--{word}"], callback=_take_note, group="records",
               show_default="none" if "type" in kind else False, **kind, **known)
        for word, kind in _OF_THE_LOG.items()
    ]  # fmt: skip


def origin(ctx: click.Context | None, option: click.Parameter) -> str:
    """Return what set an option: a line of the file of settings, or a variable; empty for the command line."""
    if ctx is None or ctx.get_parameter_source(str(option.name)) is ParameterSource.DEFAULT:
        return ""
    if ctx.get_parameter_source(str(option.name)) is ParameterSource.DEFAULT_MAP:
        found = ctx.find_root().meta.get(ORIGINS, {}).get(ctx.command.name, {}).get(option.name, "")
        return str(found)
    if ctx.get_parameter_source(str(option.name)) is ParameterSource.ENVIRONMENT:
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
        return next((f"variable {name}" for name in names if os.environ.get(name)), "")
    return ""


def typed(ctx: click.Context) -> tuple[str, ...]:
    """Return what was typed after the name of the program."""
    return tuple(ctx.find_root().meta.get(TYPED, ()))


def _take_note(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Take note of what is to be logged, wherever the option stands."""
    asked = ctx.find_root().meta.setdefault(_KEY, {})
    asked[param.name] = value or asked.get(param.name) if param.name == "log_json" else asked.get(param.name, 0) + value
    return value


def _set_logging(ctx: click.Context) -> None:
    """Let the log say what was asked for."""
    asked = ctx.find_root().meta.get(_KEY, {})
    level = logging.DEBUG if asked.get("debug") else logging.INFO - 10 * _verbosity(asked)
    level, file = min(max(level, logging.DEBUG), logging.ERROR), asked.get("log_json")
    try:
        configure_logging(level, file, tracebacks=bool(asked.get("debug")))
    except OSError as error:
        raise click.UsageError(
            f"--log-json {file}: the log cannot be written: {error.strerror or error}", ctx
        ) from error


def _verbosity(asked: Mapping[str, Any]) -> int:
    return int(asked.get("verbose", 0) - asked.get("quiet", 0))


def verbose() -> bool:
    """Return whether the user wants to know more than usual."""
    return _verbosity(click.get_current_context().find_root().meta.get(_KEY, {})) > 0


def quiet() -> bool:
    """Return whether the user wants no progress shown."""
    return _verbosity(click.get_current_context().find_root().meta.get(_KEY, {})) < 0
