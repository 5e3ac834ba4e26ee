"""The reference page, made from the requests; `docs/make_reference.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from commands.command import Option, by_heading

_HEAD = """# Reference

Every command and every option. This page is made from the requests in the code, by `docs/make_reference.py`.

An option can be set in four places: on the command line, in a variable of the environment, in `noseam.toml` (or the
file that `--config` names), and by its default. The first place in this order counts. `noseam plan` takes the variables
and the table of `segment` too. The functions of `import noseam` take the same options, named as in the column Python;
`demo` and `scenes` have no function.
"""


def page(group: click.Group) -> str:
    """Return the page of a group of commands, in Markdown."""
    ctx = click.Context(group, info_name="noseam")
    chapters = [_HEAD, *(_chapter(group.get_command(ctx, name), ctx) for name in group.list_commands(ctx))]
    return "\n".join([*chapters, _chapter(group, None)])


def _chapter(command: Any, parent: click.Context | None) -> str:
    ctx = click.Context(command, info_name=command.name if parent else "noseam", parent=parent)
    title = ctx.command_path if parent else "Before a command's name"
    lines = [f"## {title}", ""]
    if parent:
        lines += [f"    {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}", ""]
        lines += [(command.help or "").split("\n\n")[0], ""]
    lines += ["| option | default | variable | Python | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *_rows(command, ctx), ""])


def _rows(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Argument):
            yield _row(
                f"`{param.make_metavar(ctx)}`",
                "required" if param.required else "none",
                "",
                f"`{param.name}`",
                param.help,
            )
    for options in by_heading(command.params).values():
        for option in options:
            if option.name != "version":
                yield _row(_flags(option, ctx), _default(option, ctx), _variable(option), _keyword(option), option.help)


def _row(*cells: str | None) -> str:
    return "| " + " | ".join((cell or "").replace("|", "\\|") for cell in cells) + " |"


def _flags(option: click.Option, ctx: click.Context) -> str:
    flags = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.count else f" {option.make_metavar(ctx)}"
    return f"`{flags}{value}`"


def _default(option: click.Option, ctx: click.Context) -> str:
    """Return the default and the bounds, as the help says them."""
    extra = option.get_help_extra(ctx)
    found = "required" if option.required else str(extra.get("default", "no" if option.is_flag else "")).strip("()")
    return "; ".join(filter(None, (found, extra.get("range", ""))))


def _variable(option: click.Option) -> str:
    return f"`{option.envvar[0]}`" if option.envvar else ""


def _keyword(option: click.Option) -> str:
    return f"`{option.name}`" if isinstance(option, Option) and option.asked else ""
