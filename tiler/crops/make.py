"""Cut a survey and its masks into training crops, with the windows that inference uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky.process_executor import TerminatedWorkerError

from tiler.classes import ClassTable
from tiler.crops.cut import CropOutcome, CutTask, cut_source
from tiler.crops.folder import RECORDS, refuse_foreign, remove_empty_folders
from tiler.crops.index import build_index, made_up_classes, write_crop_index
from tiler.crops.plan import CropOptions
from tiler.crops.record import CORRECTED, Record, discard, has_begun, read_record, read_records, record_path
from tiler.errors import CropRequestError, NoPairError, OutputExistsError, reason_of
from tiler.files.atomic import sweep
from tiler.files.pairs import Pair, Pairs, pair_files
from tiler.masks.own_classes import own_class_table
from tiler.masks.provenance import digest, source_stamp

NamedBy = Literal["the class table", "the masks", "nobody"]
CROP_VERSION = 1
"""Raised by one when a change of noseam changes crops, so that crops made before are made again."""


@dataclass(frozen=True, slots=True)
class CropReport:
    """What became of a survey."""

    outcomes: tuple[CropOutcome, ...]
    """One per paired source, sorted by path."""
    only_images: tuple[Path, ...]
    """Images without a mask."""
    only_masks: tuple[Path, ...]
    """Masks without an image."""
    train: int
    """Number of training crops."""
    val: int
    """Number of validation crops."""
    filtered: int
    """Number of crops that were left out because too few of their pixels carry a label."""
    removed: int
    """Number of sources whose crops were deleted because their image or mask is gone."""
    named_by: NamedBy
    """Where the names and colours of the classes come from; `nobody`: they are made up."""
    class_pixels: Mapping[str, int]
    """Pixels of each class in all crops together; where crops overlap they count twice."""

    @property
    def done(self) -> tuple[CropOutcome, ...]:
        """The sources that were cut."""
        return self._of("done")

    @property
    def skipped(self) -> tuple[CropOutcome, ...]:
        """The sources whose crops were there already."""
        return self._of("skipped")

    @property
    def failed(self) -> tuple[CropOutcome, ...]:
        """The sources that failed, each with its reason."""
        return self._of("failed")

    @property
    def megabytes(self) -> float:
        """Size of the image and mask files that were read, 10^6 bytes."""
        return sum(outcome.read_bytes for outcome in self.outcomes) / 1e6

    def _of(self, state: str) -> tuple[CropOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state == state)


def make_crops(
    images: Path,
    masks: Path,
    out: Path,
    request: CropOptions,
    *,
    classes: ClassTable | None,
    jobs: int = -1,
    hold: Callable[[Path], AbstractContextManager[Any]] = nullcontext,
    advance: Callable[[CropOutcome, int, int], None] = lambda outcome, done, total: None,
) -> CropReport:
    """Cut images and their masks into square crops for training.

    `out` gets `images/<name>_r<row>_c<col>`, its mask of the same name in `masks`, an index `crops.csv` (see
    `tiler.crops.index.build_index`) and the class table `classes.csv`. Crops of georeferenced images are GeoTIFFs
    that say where they lie; the others are PNG or JPEG. Masks hold 8-bit class ids, and 255 where a pixel has no
    label, has no measurement, or is padding. A source is skipped where its crops are there already. Crops are deleted
    where another setting or a missing source leaves them behind.

    Parameters
    ----------
    images, masks : Path
        Both files, or both folders; see `pair_files`.
    out : Path
        A folder that is new, is empty, or was written by this function.
    request : CropOptions
        How to cut, split and balance.
    classes : ClassTable or None
        Ids and colours in the masks; None: the masks hold ids. Their names and colours are those that noseam wrote
        into the masks, see `own_class_table`, or else made up.
    jobs : int
        Number of processes; -1: one per core.
    hold : callable
        Called with `out` once the inputs are known to fit. Returns a context manager that keeps others from writing
        there meanwhile.
    advance : callable
        Called as each source ends, with its outcome, the number of sources that have ended, and that of all.

    Returns
    -------
    CropReport
        How each source ended, and what the crops hold.

    Raises
    ------
    PairError
        If images and masks cannot be paired; `NoPairError` if no two of them are a pair.
    ClassTableError
        If there is no class table and the masks name or colour their classes differently.
    OutputExistsError
        If `out` holds something else, crops of other images only, or a folder that leads outside by a link.
    OutputClashError
        If `out` and the images or masks lie within one another, because crops would be taken for sources.
    """
    pairs = pair_files(images, masks)
    if not pairs.pairs:
        lone = ", ".join(str(path) for path in (*pairs.only_first[:2], *pairs.only_second[:2]))
        raise NoPairError(f"{images}: no image there has a mask of its name in {masks}; found {lone or 'nothing'}")
    for folder in (images, masks):
        if out.resolve().is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(out.resolve()):
            raise CropRequestError(f"{out} and {folder}: one lies within the other; choose a folder beside it")
    refuse_foreign(out)
    _refuse_corrected(out)
    named_by: NamedBy = "the class table"
    if classes is None:
        classes = own_class_table((pair.second for pair in pairs.pairs), masks if masks.is_dir() else masks.parent)
        named_by = "nobody" if classes is None else "the masks"
    with hold(out):
        (out / RECORDS).mkdir(parents=True, exist_ok=True)
        removed = _forget(out, pairs)
        outcomes = []
        for outcome in _outcomes(pairs, out, request, classes, jobs):
            outcomes.append(outcome)
            advance(outcome, len(outcomes), len(pairs.pairs))
        sweep(out, of_all=False)
        remove_empty_folders(out)
        return _finish(out, request, classes, named_by, pairs, outcomes, removed)


def _refuse_corrected(out: Path) -> None:
    """Raise if a folder holds labels that people corrected, because they would be lost."""
    if any(record.fingerprint == CORRECTED for record in read_records(out)):
        raise OutputExistsError(
            f"{out} holds labels that people corrected (noseam review); choose another folder, and give both to "
            "noseam train"
        )


def _forget(out: Path, pairs: Pairs) -> int:
    """Remove the crops of sources that are gone and return how many were; refuse a survey that shares no source."""
    present = {pair.name.as_posix() for pair in pairs.pairs}
    known = {record.source for record in read_records(out)}
    if known and not known & present:
        raise OutputExistsError(f"{out} holds crops of other images, such as {min(known)}; choose another folder")
    for source in known - present:
        discard(out, source)
    return len(known - present)


def _outcomes(
    pairs: Pairs, out: Path, request: CropOptions, classes: ClassTable | None, jobs: int
) -> Iterator[CropOutcome]:
    tasks = []
    for pair in pairs.pairs:
        try:
            tasks.append(_task(pair, out, request, classes))
        except OSError as error:  # a dangling link, or a file that vanished since the walk
            yield CropOutcome(pair.first, "failed", reason_of(error, pair.first, pair.second))
    yield from _run(tasks, jobs)


def _task(pair: Pair, out: Path, request: CropOptions, classes: ClassTable | None) -> CutTask:
    settings = asdict(request) | asdict(request.reading)
    for name in ("split", "seed", "balance", "reading"):  # these change no crop, or stand in the settings already
        del settings[name]
    fingerprint = digest(
        {
            "crops": CROP_VERSION,
            "sources": [source_stamp(path) for path in (pair.first, pair.second)],
            "classes": classes and [classes.names, classes.colours],
            "request": settings,
        }
    )
    return CutTask(pair, out, request, classes, fingerprint)


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


def _finish(
    out: Path,
    request: CropOptions,
    classes: ClassTable | None,
    named_by: NamedBy,
    pairs: Pairs,
    outcomes: Sequence[CropOutcome],
    removed: int,
) -> CropReport:
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    classes = classes or made_up_classes(records)
    index = build_index(records, classes, request)
    write_crop_index(out, index, classes)
    train = int((index["split"] == "train").sum())
    return CropReport(
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.path)),
        only_images=pairs.only_first,
        only_masks=pairs.only_second,
        train=train,
        val=len(index) - train,
        removed=removed,
        filtered=sum(record.filtered for record in records),
        named_by=named_by,
        class_pixels={name: int(index[f"px_{name}"].sum()) for name in classes.names},
    )
