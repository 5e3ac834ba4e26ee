"""Exit codes, and how a command gets to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from segment.record.logs import one_line
from tiler.errors import NoseamError

FAILED, NOTHING_MATCHED, STOPPED, IN_USE = 3, 4, 5, 75
"""Exit codes: some images failed, no image was found, the run stopped with work left, another run holds the folder."""


def nothing_matched(ctx: click.Context, reason: str) -> NoReturn:
    """Say why there is nothing to do, and end the process."""
    click.echo(one_line(reason), err=True)
    ctx.exit(NOTHING_MATCHED)


@contextmanager
def usage_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds into usage errors; without kinds, every error of noseam's own."""
    kinds = kinds or (NoseamError,)
    try:
        yield
    except kinds as error:
        raise click.UsageError(str(error)) from error


def listed(paths: Sequence[Path]) -> str:
    """Return the first of some paths in words."""
    return ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
