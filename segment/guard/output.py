"""The output folder of a run: writable, held, remembering its survey, and rid of what has left it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from segment.errors import RecordError
from segment.guard.lock import hold_folder
from segment.plan.gone import named, remove_gone
from segment.plan.scope import Scope
from segment.plan.shard import Shard
from segment.plan.survey import SurveyPlan
from tiler.files.atomic import hidden_folder

_TYPICAL_COMPRESSION = 20
"""Pixels of a mask per byte of its file; smooth masks have twice that, noisy ones a quarter."""
_log = logging.getLogger(__name__)


@contextmanager
def hold_output(
    scope: Scope, shard: Shard, survey: SurveyPlan, gone: Mapping[str, tuple[Path, ...]], *, prune: bool
) -> Iterator[None]:
    """Keep other runs from the output folder for the block, and say what the user may want to look after in it.

    Parameters
    ----------
    scope : Scope
        The folder, and the survey that it remembers from now on.
    shard : Shard
        See `hold_folder`.
    survey : SurveyPlan
        What will be written.
    gone : mapping of str to tuple of Path
        Masks of photos that have left the survey; see `find_gone`.
    prune : bool
        Whether to remove them.

    Raises
    ------
    FolderInUseError
        If another run writes there.
    RecordError
        If the folder cannot be written to.
    """
    _refuse_unwritable(scope.out)
    with hold_folder(scope.out, shard):
        scope.remember()
        _prune(gone, prune=prune)
        _warn_of_space(scope.out, survey)
        yield


def _refuse_unwritable(out: Path) -> None:
    """Make the output folder; raise where it cannot be written to, before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with hidden_folder(out / "probe"):
            pass
    except OSError as error:
        raise RecordError(f"{out}: the output folder cannot be written to: {error.strerror or error}") from error


def _prune(gone: Mapping[str, tuple[Path, ...]], *, prune: bool) -> None:
    if gone and prune:
        remove_gone(gone)
        _log.warning("removed the masks of %d photos that have left the survey: %s", len(gone), named(gone))
    elif gone:
        _log.warning(
            "masks of %d photos that have left the survey stay: %s; --prune removes them", len(gone), named(gone)
        )


def _warn_of_space(out: Path, survey: SurveyPlan) -> None:
    free, wanted = shutil.disk_usage(out).free, sum(image.output_bytes for image in survey.images)
    if free < wanted // _TYPICAL_COMPRESSION:
        _log.warning(
            "%.3f GB are free where the masks go; compressed they take perhaps %.3f GB, at most %.3f GB",
            free / 1e9, wanted / _TYPICAL_COMPRESSION / 1e9, wanted / 1e9,
        )  # fmt: skip
