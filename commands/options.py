"""Click options, made from the fields of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import click

from commands.command import Option, origin
from commands.numbers import number_type
from tiler.errors import NoseamError
from tiler.option import Asked, gather, options_in

_Callback = TypeVar("_Callback", bound=Callable[..., Any])
_Request = TypeVar("_Request")


def options_of(request: type) -> Callable[[_Callback], _Callback]:
    """Return a decorator that gives a command the options of a request."""

    def add(command: _Callback) -> _Callback:
        in_order = sorted(options_in(request), key=lambda asked: not asked.required)
        for asked in reversed(in_order):
            command = (_argument if asked.option.positional else _option)(asked)(command)
        return command

    return add


def request_of(request: type[_Request], wanted: Mapping[str, Any]) -> _Request:
    """Return the request that a command line stands for; options that were not given take their defaults."""
    try:
        return gather(request, {name: value for name, value in wanted.items() if value is not None})
    except NoseamError as error:
        name, colon, rest = str(error).partition(": ")
        raise click.UsageError(f"{_said(request, name)}{colon}{rest}") from error


def _said(request: type, name: str) -> str:
    """Return what set an option of a request: its flag, or the place in the settings, or the variable."""
    flags = {asked.name: asked.flag for asked in options_in(request)}
    ctx = click.get_current_context(silent=True)
    params = [param for param in ctx.command.params if param.name == name] if ctx else []
    return next(filter(None, (origin(ctx, param) for param in params)), flags.get(name, name))


def _argument(asked: Asked) -> Callable[[_Callback], _Callback]:
    many = get_origin(asked.kind) is tuple
    return click.argument(
        asked.name,
        metavar=(asked.option.unit if asked.required else f"[{asked.option.unit}]") + "..." * many,
        nargs=-1 if many else 1,
        required=asked.required,
        type=_path(asked),
        help=asked.option.help,
    )


def _option(asked: Asked) -> Callable[[_Callback], _Callback]:
    known = asked.option
    flags = f"{asked.flag}/--no-{asked.flag[2:]}" if asked.kind is bool and asked.default is not False else asked.flag
    return click.option(
        flags,
        asked.name,
        cls=Option,
        group=known.group,
        asked=asked,
        help=known.help,
        metavar=known.unit or None,
        required=asked.required and not known.shown,
        show_default=known.shown or True,
        **_reading(asked),
        **({} if asked.required else {"default": _text(asked.default)}),
    )


def _reading(asked: Asked) -> dict[str, Any]:
    """Return what tells Click how to read the text of an option."""
    if asked.kind is bool:
        return {"is_flag": True}
    if asked.option.read is not None:
        return {"type": Read(asked.option.read)}
    inner = get_args(asked.kind)
    if get_origin(asked.kind) is tuple:
        if inner[-1] is Ellipsis:
            return {"multiple": True, "type": _Names(asked.option.between)}
        return {"nargs": len(inner), "type": _path(asked) if inner[0] is Path else number_type(asked)}
    if asked.choices:
        return {"type": click.Choice(asked.choices)}
    if asked.kind in {int, float}:
        return {"type": number_type(asked)}
    return {"type": _path(asked) if asked.kind is Path else str}


def _path(asked: Asked) -> click.Path:
    known = asked.option
    return click.Path(
        exists=known.exists, path_type=Path, dir_okay=known.path != "file", file_okay=known.path != "folder"
    )


def _text(default: Any) -> Any:
    """Return a default as Click takes it: None for an empty tuple, text for a value that is read from text."""
    if default == ():
        return None
    if isinstance(default, frozenset):
        return ",".join(sorted(default))
    return default if isinstance(default, (bool, int, float, str, tuple, Path, type(None))) else str(default)


class Read(click.ParamType[Any]):
    """A value that a function makes of a text."""

    name = "text"

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text; a default is a value already."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Names(click.types.StringParamType):
    """One name of several; a variable holds them with a mark between, because a name can hold a blank."""

    def __init__(self, between: str) -> None:
        self._between = between

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the names that a variable holds."""
        return rv.split(self._between)
