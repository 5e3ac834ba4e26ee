"""The result of a command as JSON: printed, or written to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from commands.command import Option
from segment.errors import RecordError
from tiler.files.atomic import hidden_folder, write_whole


def json_options(command: Callable[..., Any], *, made: str = "out") -> Callable[..., Any]:
    """Give a command `--json` and `--json-file`; it begins only where that file can be written.

    Parameters
    ----------
    command : callable
        The command.
    made : str
        The parameter of the folder that the command makes, so that the file may lie in it; empty: it makes none.
    """

    @wraps(command)
    def checked(*args: Any, **wanted: Any) -> Any:
        if wanted["json_file"] is not None:
            _refuse_place(wanted["json_file"], wanted.get(made))
        return command(*args, **wanted)

    printed = click.option(
        "--json",
        "as_json",
        cls=Option,
        is_flag=True,
        group="records",
        help="The result is printed as one JSON object; before a name that ends in .json it is written there instead.",
    )
    written = click.option(
        "--json-file", cls=Option, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        group="records", show_default="none",
        help="The result is written to this file as one JSON object, whole or not at all.",
    )  # fmt: skip
    return printed(written(checked))


def give_json(result: dict[str, Any], *, as_json: bool, json_file: Path | None) -> None:
    """Print a result, or write it to a file, or both, as the user asked.

    Raises
    ------
    RecordError
        If the file cannot be written.
    """
    text = json.dumps(result, indent=2)
    if as_json:
        click.echo(text)
    if json_file is None:
        return
    try:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(json_file, f"{text}\n".encode())
    except OSError as error:
        raise RecordError(f"{json_file}: cannot be written: {error.strerror or error}") from error


def _refuse_place(path: Path, made: Path | None) -> None:
    """Refuse a file that is no JSON, because it may be a photo, and a place that takes no file, before any work."""
    ctx = click.get_current_context()
    if why := _other(path) or _shut(path, made):
        param = next(param for param in ctx.command.params if param.name == "json_file")
        raise click.BadParameter(why, ctx, param)


def _other(path: Path) -> str:
    """Return why a file may not be replaced; empty where it may, or is not there."""
    try:
        if path.exists() and (not path.is_file() or path.read_bytes()[:1] not in {b"{", b""}):
            return f"{path} exists and is no JSON object; choose another name"
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _shut(path: Path, made: Path | None) -> str:
    """Return why no file can be made in a folder; empty where one can, or where the command will make the folder."""
    folder = path.parent
    if not folder.exists() and made is not None and made.resolve().is_relative_to(folder.resolve()):
        return ""
    if not folder.is_dir():
        return f"{path}: no such folder: {folder}"
    try:
        with hidden_folder(path):
            return ""
    except OSError as error:
        return f"{path}: cannot be written: {error.strerror or error}"
