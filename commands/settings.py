"""Options from `noseam.toml` and from variables of the environment."""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from commands.command import ORIGINS
from commands.options import Read

SETTINGS_FILE = Path("noseam.toml")
"""The file of settings, in the folder that the program is run in."""
_FOREIGN = {"NOSEAM_CACHE", "NOSEAM_VERSION"}
"""Variables that are no options: the folder of the cache, and the version that containers often set."""
_OF_THE_GROUP = ("verbose", "quiet", "debug", "log-json")
"""Options of every command at once, and so in no table of one."""


def load_settings(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file; a key that no command has is an error, never ignored."""
    if path is None and not SETTINGS_FILE.is_file():
        return
    path = path or SETTINGS_FILE
    found = {name: _table(ctx, path, name, table) for name, table in _read(path).items()}
    shared = {option.name for option in _group(ctx).commands["plan"].params}
    same = {name: setting for name, setting in found.get("segment", {}).items() if name in shared}
    found["plan"] = same | found.get("plan", {})
    ctx.default_map = {command: {name: value for name, (value, _) in table.items()} for command, table in found.items()}
    ctx.meta[ORIGINS] = {
        command: {name: place for name, (_, place) in table.items()} for command, table in found.items()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error


def _table(ctx: click.Context, path: Path, name: str, table: Any) -> dict[str, tuple[Any, str]]:
    """Return the settings of one command by the names of its parameters, each with its place in the file."""
    group = _group(ctx)
    if not isinstance(table, dict):
        raise click.UsageError(
            f"{path}: {name} stands outside of a table; options belong in the table of their command, such as [segment]"
        )
    if name not in group.commands:
        raise click.UsageError(f"{path}: [{name}] is no command; known: {', '.join(group.list_commands(ctx))}")
    options = {flag.lstrip("-"): option for option in _options(group.commands[name]) for flag in option.opts}
    if unknown := sorted(key for key in table if key.replace("_", "-") not in options):
        first = unknown[0].replace("_", "-")
        hint = _hint(first, options, 0.7)
        if first in _OF_THE_GROUP:
            hint = f"; say it on the command line, or in the variable {_variable(first)}"
        raise click.UsageError(f"{path}: [{name}] has no option {', '.join(unknown)}{hint}")
    settings = {}
    for key, value in table.items():
        option, place = options[key.replace("_", "-")], f"{path}: [{name}] {key}"
        try:
            settings[str(option.name)] = _setting(option, value), place
        except ValueError as error:
            raise click.UsageError(f"{place}: {error}") from error
    return settings


def _setting(option: click.Parameter, value: Any) -> Any:
    """Return a value of TOML as the command line would give it: text, which the option then reads."""
    many = option.nargs != 1 or option.multiple
    if isinstance(option.type, Read) and isinstance(value, list):
        return ",".join(map(_word, value))
    if option.multiple and not isinstance(value, list):
        value = [value]
    if many != isinstance(value, list):
        raise ValueError(f"{'a list' if many else 'one value'} expected, {value!r:.80} found")
    if many:
        return [_word(each) for each in value]
    if getattr(option, "is_flag", False) != isinstance(value, bool):
        raise ValueError(
            f"{'text or a number' if isinstance(value, bool) else 'true or false'} expected, {value!r:.80} found"
        )
    return value if isinstance(value, bool) else _word(value)


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise ValueError(f"text or a number expected, {value!r:.80} found")
    return str(value)


def name_variables(group: click.Group) -> None:
    """Let each option be a variable too, named as on the command line; `plan` takes those of `segment` as well."""
    for command in (group, *group.commands.values()):
        owners = {"main": [""], "plan": ["PLAN_", "SEGMENT_"]}.get(command.name or "", [f"{command.name}_"])
        for option in _options(command):
            flag = max(option.opts, key=len).lstrip("-")
            option.envvar = [_variable(f"{owner}{flag}") for owner in owners]


def refuse_unknown_variables(group: click.Group) -> None:
    """Raise if a variable looks like an option of noseam and is none."""
    known = set(_FOREIGN)
    for command in (group, *group.commands.values()):
        known.update(*(option.envvar or () for option in command.params))
    commands = tuple(f"NOSEAM_{name}_".upper() for name in group.commands)
    for name in sorted(name for name in os.environ if name.startswith("NOSEAM_") and name not in known):
        hint = _hint(name, known, 0.8)
        for flag in _OF_THE_GROUP:
            if name.endswith(_variable(flag).removeprefix("NOSEAM")):
                hint = f"; say {_variable(flag)}"
        if hint or name.startswith(commands):  # other names may belong to the container or the cluster
            raise click.UsageError(f"variable {name}: no such option{hint}")


def _variable(flag: str) -> str:
    return f"NOSEAM_{flag}".replace("-", "_").upper()


def _hint(name: str, known: Any, likeness: float) -> str:
    meant = get_close_matches(name, known, 1, likeness)
    return f"; did you mean {meant[0]}?" if meant else ""


def _options(command: click.Command) -> list[click.Option]:
    """Return the options that can be set: help, version and, after a command's name, those of the log cannot."""
    options = (option for option in command.params if isinstance(option, click.Option))
    return [option for option in options if option.expose_value or option.name == "config"]


def _group(ctx: click.Context) -> click.Group:
    assert isinstance(ctx.command, click.Group)
    return ctx.command
