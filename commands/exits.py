"""Exit codes, and how a command gets to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from segment.errors import ModelNameError, RequestError, ShardError
from segment.record.logs import one_line
from tiler.errors import (
    ClassTableError,
    CropRequestError,
    NoCropsError,
    OptionError,
    PairError,
    PolygonRequestError,
    SceneError,
)

if TYPE_CHECKING:
    from segment.record.sums import End

FAILED, NOTHING_MATCHED, STOPPED, IN_USE = 3, 4, 5, 75
"""Exit codes: some images failed, no image was found, `--max-runtime` left work, another run holds the folder."""
WRONG_USAGE = (
    OptionError, RequestError, ShardError, SceneError, CropRequestError, PolygonRequestError,
    ModelNameError, ClassTableError, PairError, NoCropsError,
)  # fmt: skip
"""What is wrong with the command itself: its options, or the models, tables and folders that it names."""


def exit_code(end: End, *, failed: int, left: int) -> int:
    """Return the exit code of a run that ended by itself.

    Work that `--max-runtime` left comes first, whatever failed: the same command goes on. Any other end with failures
    or with images left has the code of failures, because the same command alone does not help.
    """
    if left and end == "runtime":
        return STOPPED
    return FAILED if failed or left else 0


def nothing_matched(ctx: click.Context, reason: str) -> NoReturn:
    """Say why there is nothing to do, and end the process."""
    click.echo(one_line(reason), err=True)
    ctx.exit(NOTHING_MATCHED)


def no_image(ctx: click.Context, sources: Sequence[Path]) -> NoReturn:
    """Say that the sources hold no image, and end the process."""
    nothing_matched(ctx, f"no JPEG, PNG or TIFF image found in {listed(sources)}")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn whatever is wrong with the command itself into a usage error."""
    try:
        yield
    except WRONG_USAGE as error:
        raise click.UsageError(one_line(str(error)), click.get_current_context()) from error


def listed(paths: Sequence[Path]) -> str:
    """Return the first of some paths in words."""
    return ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
