"""The result of a command as JSON: printed, or written to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from commands.command import Option
from tiler.files.atomic import write_whole

_Callback = TypeVar("_Callback", bound=Callable[..., Any])


def json_options(command: _Callback) -> _Callback:
    """Give a command `--json` and `--json-file`."""
    printed = click.option(
        "--json",
        "as_json",
        cls=Option,
        is_flag=True,
        group="records",
        help="The result is printed as one JSON object; before a name that ends in .json it is written there instead.",
    )
    written = click.option(
        "--json-file", cls=Option, type=click.Path(path_type=Path, dir_okay=False), callback=_replaceable,
        metavar="FILE", group="records", show_default="none",
        help="The result is written to this file as one JSON object, whole or not at all.",
    )  # fmt: skip
    return printed(written(command))


def give_json(result: dict[str, Any], *, as_json: bool, json_file: Path | None) -> None:
    """Print a result, or write it to a file, or both, as the user asked."""
    text = json.dumps(result, indent=2)
    if as_json:
        click.echo(text)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(json_file, f"{text}\n".encode())


def _replaceable(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse to replace a file that is no JSON, before any work; it may be a photo."""
    if path is None:
        return None
    try:
        other = path.exists() and path.read_bytes()[:1] not in {b"{", b""}
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", ctx, param) from error
    if other:
        raise click.BadParameter(f"{path} exists and is no JSON object; choose another name", ctx, param)
    return path
