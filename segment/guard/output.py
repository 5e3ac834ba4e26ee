"""The output folder of a run: writable, held, remembering its survey, and rid of what has left it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from segment.errors import RecordError
from segment.guard.limits import Gate
from segment.guard.lock import hold_folder, refuse_unwritable
from segment.plan.estimate import estimate
from segment.plan.figures import about_bytes
from segment.plan.gone import named, remove_gone, stay
from segment.plan.scope import Scope
from segment.plan.shard import WHOLE, Shard
from segment.plan.shares import forget_shares, take_shard
from segment.plan.survey import SurveyPlan
from segment.record.begun import begin_record, end_record
from segment.record.hardware import Hardware
from tiler.words import counted

_log = logging.getLogger(__name__)


@contextmanager
def hold_output(
    scope: Scope,
    shard: Shard,
    survey: SurveyPlan,
    gate: Gate,
    *,
    prune: bool,
    hardware: Hardware,
    command: Sequence[str] = (),
) -> Iterator[SurveyPlan]:
    """Keep other runs from the output folder for the block, and say what the user may want to look after in it.

    It yields what this run takes of the survey.

    Parameters
    ----------
    scope : Scope
        The folder, and the survey that it remembers from now on.
    shard : Shard
        See `hold_folder`.
    survey : SurveyPlan
        All of the survey.
    gate : Gate
        Says at the end of the block whether the run looked at all its images.
    prune : bool
        Whether to remove the masks of photos that have left the survey.
    hardware : Hardware
        What the run has to compute with, for its record.
    command : sequence of str
        What was typed after `noseam`, for the record of the run.

    Raises
    ------
    FolderInUseError
        If another run writes there.
    RecordError
        If the folder cannot be written to, or what shards keep in it cannot be read.
    """
    refuse_unwritable(scope.out)
    with hold_folder(scope.out, shard):
        _tell_scope(scope, prune=prune)
        scope.remember()
        ours = take_shard(survey, shard, scope.out, settle=True)
        _prune(ours.gone, prune=prune)
        _warn_of_space(scope.out, ours)
        with _recorded(scope.out, shard, ours, gate, command, hardware):
            yield ours
        if shard == WHOLE and scope.whole and gate.end == "complete":
            forget_shares(scope.out)


@contextmanager
def _recorded(
    out: Path, shard: Shard, survey: SurveyPlan, gate: Gate, command: Sequence[str], hardware: Hardware
) -> Iterator[None]:
    """Record what a run sets out to do, and after the block that it ended."""
    begun = begin_record(out, shard, survey, command, hardware)
    try:
        yield
    except BaseException as error:
        gate.shut_by(error)
        raise
    finally:
        try:
            end_record(out, begun, gate.end)
        except RecordError as error:
            _log.warning("%s; so `noseam status` will take this run for one that was killed", error)


def _tell_scope(scope: Scope, *, prune: bool) -> None:
    """Say where a run adds a folder to the survey of the output folder, or takes a part of it alone."""
    known, new = set(scope.known), [root for root in scope.roots if root not in scope.known]
    if known and new:
        _log.warning("%s holds the masks of %s, and now those of %s too", scope.out, _listed(known), _listed(new))
    if known and not scope.whole:
        pruned = "; so --prune removes nothing" if prune else ""
        _log.log(
            logging.WARNING if prune else logging.INFO,
            "this run takes a part of the survey, whose folders are %s%s", _listed(scope.roots), pruned,
        )  # fmt: skip


def _listed(folders: Iterable[Path]) -> str:
    return " and ".join(map(str, sorted(folders)))


def _prune(gone: Mapping[str, tuple[Path, ...]], *, prune: bool) -> None:
    if gone and prune:
        remove_gone(gone)
        _log.warning("removed the masks of %s that left the survey: %s", counted(len(gone), "photo"), named(gone))
    elif gone:
        _log.warning("%s", stay(gone))


def _warn_of_space(out: Path, survey: SurveyPlan) -> None:
    new = [image for image in survey.images if not image.label.exists()]
    expected = estimate(new, out)
    if not expected.fits:
        most = sum(image.output_bytes for image in new)
        _log.warning(
            "%s are free where the masks go; they take %s or so, if they compress as is typical, and %s at most",
            *map(about_bytes, (expected.free_bytes, expected.mask_bytes, most)),
        )
