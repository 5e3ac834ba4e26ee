"""Run the cutting of sources: several at once, and those that stand already not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky.process_executor import TerminatedWorkerError

from tiler.crops.classes import CropClasses
from tiler.crops.cut import CropOutcome, CutTask, cut_source
from tiler.crops.plan import CropOptions
from tiler.crops.record import Record, discard, has_begun, read_record, record_path
from tiler.errors import reason_of
from tiler.files.pairs import Pair
from tiler.masks.provenance import digest, source_stamp

CROP_VERSION = 1
"""Raised by one when a change of noseam changes crops, so that crops made before are made again."""


def cut_sources(
    pairs: Sequence[Pair], out: Path, request: CropOptions, classes: CropClasses, jobs: int
) -> Iterator[CropOutcome]:
    """Cut sources and yield how each ended, as it ends; those whose crops are there already come first.

    Parameters
    ----------
    pairs : sequence of Pair
        The sources.
    out : Path
        The folder of crops.
    request : CropOptions
        How to cut.
    classes : CropClasses
        What the masks hold, and what becomes of it.
    jobs : int
        Number of processes; -1: one per core.
    """
    tasks = []
    for pair in pairs:
        try:
            tasks.append(_task(pair, out, request, classes))
        except OSError as error:  # a dangling link, or a file that vanished since the walk
            yield CropOutcome(pair.first, "failed", reason_of(error, pair.first, pair.second))
    yield from _run(tasks, jobs)


def _task(pair: Pair, out: Path, request: CropOptions, classes: CropClasses) -> CutTask:
    settings = asdict(request) | asdict(request.reading)
    for name in ("split", "seed", "balance", "reading"):  # these change no crop, or stand in the settings already
        del settings[name]
    if not request.scale_masks:  # as in earlier releases, so that their crops stand
        del settings["scale_masks"]
    fingerprint = digest(
        {
            "crops": CROP_VERSION,
            "sources": [source_stamp(path) for path in (pair.first, pair.second)],
            "classes": classes.in_masks and [classes.in_masks.names, classes.in_masks.colours],
            "request": settings,
        }
        | ({"ids": classes.lookup.tolist()} if classes.changed else {})
    )
    return CutTask(pair, out, request, classes.in_masks, classes.lookup, fingerprint)


def _run(tasks: Sequence[CutTask], jobs: int) -> Iterator[CropOutcome]:
    waiting = {}
    for task in tasks:
        record = read_record(record_path(task.out, task.source))
        if record is not None and _current(task, record):
            yield CropOutcome(task.pair.first, "skipped", "its crops are there already", record)
        else:
            waiting[task.pair.first] = task
    while waiting:
        try:
            for outcome in _parallel(list(waiting.values()), jobs):
                del waiting[outcome.path]
                yield outcome
        except TerminatedWorkerError:
            # Joblib does not say whose process died. So each source that had begun gets a process of its own.
            for task in [task for task in waiting.values() if has_begun(task.out, task.source)] or list(
                waiting.values()
            ):
                del waiting[task.pair.first]
                yield _alone(task)


def _current(task: CutTask, record: Record) -> bool:
    return record.fingerprint == task.fingerprint and all((task.out / file).is_file() for file in record.files)


def _parallel(tasks: Sequence[CutTask], jobs: int) -> Iterator[CropOutcome]:
    processes = max(min(effective_n_jobs(jobs), len(tasks)), 1)
    pool = Parallel(n_jobs=processes, backend="loky", return_as="generator_unordered", pre_dispatch="2*n_jobs")
    yield from pool(delayed(cut_source)(task) for task in tasks)


def _alone(task: CutTask) -> CropOutcome:
    try:
        outcome: CropOutcome = Parallel(n_jobs=2, backend="loky")([delayed(cut_source)(task)])[0]
    except TerminatedWorkerError:
        discard(task.out, task.source)
        reason = f"{task.pair.first}: the process that cut it died; was there too little memory?"
        return CropOutcome(task.pair.first, "failed", reason)
    return outcome
