"""Cut a survey and its masks into training crops, with the windows that inference uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import effective_n_jobs

from tiler.classes import ClassTable
from tiler.crops.choice import chosen, group_sources, keep, with_val_folder
from tiler.crops.classes import CropClasses, NamedBy, crop_classes
from tiler.crops.cut import CropOutcome
from tiler.crops.folder import RECORDS, refuse_foreign, remove_empty_folders
from tiler.crops.index import build_index, crops_of, made_up_classes, write_crop_index
from tiler.crops.places import seen_by_both
from tiler.crops.plan import CropOptions
from tiler.crops.record import CORRECTED, discard, read_records
from tiler.crops.split import BY_ITSELF, Grouping, SplitOptions, sides_of
from tiler.crops.split_report import SplitReport
from tiler.crops.tasks import cut_sources
from tiler.errors import CropRequestError, NoPairError, OutputExistsError
from tiler.files.atomic import sweep
from tiler.files.pairs import Pairs, pair_files
from tiler.remap.options import AS_IT_IS, RemapOptions


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
    padded: int
    """Number of crops that are padded, because their image is smaller than the window."""
    removed: int
    """Number of sources whose crops were deleted because their image or mask is gone."""
    split: SplitReport
    """How the sources were split."""
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
    remap: RemapOptions = AS_IT_IS,
    sides: SplitOptions = BY_ITSELF,
    jobs: int = -1,
    hold: Callable[[Path], AbstractContextManager[Any]] = nullcontext,
    advance: Callable[[CropOutcome, int, int], None] = lambda outcome, done, total: None,
    looked: Callable[[int, int], None] = lambda done, total: None,
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
    remap : RemapOptions
        Which classes are left out or merged; the masks of crops and `classes.csv` hold the classes that are left.
    sides : SplitOptions
        Which sources validate; by default what `out` was cut with, or else each is drawn by itself.
    jobs : int
        Number of processes; -1: one per core.
    hold : callable
        Called with `out` once the inputs are known to fit. Returns a context manager that keeps others from writing
        there meanwhile.
    advance : callable
        Called as each source ends, with its outcome, the number of sources that have ended, and that of all.
    looked : callable
        Called while places are told, with the number of pictures that were looked at, and that of all.

    Returns
    -------
    CropReport
        How each source ended, and what the crops hold.

    Raises
    ------
    PairError
        If images and masks cannot be paired; `NoPairError` if no two of them are a pair.
    ClassTableError
        If there is no class table and the masks name or colour their classes differently, or if `remap` does not fit
        the classes.
    OutputExistsError
        If `out` holds something else, crops of other images only, or a folder that leads outside by a link.
    OutputClashError
        If `out` and the images or masks lie within one another, because crops would be taken for sources.
    """
    pairs = pair_files(images, masks)
    if not pairs.pairs:
        lone = ", ".join(str(path) for path in (*pairs.only_first[:2], *pairs.only_second[:2]))
        raise NoPairError(f"{images}: no image there has a mask of its name in {masks}; found {lone or 'nothing'}")
    refuse_foreign(out)
    _refuse_corrected(out)
    choice = chosen(out, sides, pairs)
    pairs = with_val_folder(pairs, choice)
    for folder in (images, masks, *map(Path, choice.folders or ())):
        if out.resolve().is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(out.resolve()):
            raise CropRequestError(f"{out} and {folder}: one lies within the other; choose a folder beside it")
    meant = crop_classes(pairs.pairs, masks, classes, remap)
    threads = effective_n_jobs(jobs)
    grouping, choice = group_sources(pairs.pairs, choice, request.reading, jobs=threads, advance=looked)
    with hold(out):
        (out / RECORDS).mkdir(parents=True, exist_ok=True)
        removed = _forget(out, pairs)
        keep(out, choice)
        outcomes = []
        for outcome in cut_sources(pairs.pairs, out, request, meant, jobs):
            outcomes.append(outcome)
            advance(outcome, len(outcomes), len(pairs.pairs))
        sweep(out, of_all=False)
        remove_empty_folders(out)
        return _finish(out, request, meant, grouping, pairs, outcomes, removed)


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


def _finish(
    out: Path,
    request: CropOptions,
    meant: CropClasses,
    grouping: Grouping,
    pairs: Pairs,
    outcomes: Sequence[CropOutcome],
    removed: int,
) -> CropReport:
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    classes = meant.in_crops or made_up_classes(records)
    sides = sides_of(grouping, crops_of(records), split=request.split, seed=request.seed)
    index = build_index(records, classes, request, sides)
    write_crop_index(out, index, classes)
    train = int((index["split"] == "train").sum())
    grounds = {outcome.record.source: outcome.ground for outcome in outcomes if outcome.record and outcome.ground}
    return CropReport(
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.path)),
        only_images=pairs.only_first,
        only_masks=pairs.only_second,
        train=train,
        val=len(index) - train,
        padded=int((index[["height", "width"]].min(axis=1) < request.window_px).sum()),
        removed=removed,
        filtered=sum(record.filtered for record in records),
        split=SplitReport(
            grouping, sides, share=1 - train / max(len(index), 1), wanted=1 - request.split,
            seen_by_both=seen_by_both(sides, grounds),
        ),
        named_by=meant.named_by,
        class_pixels={name: int(index[f"px_{name}"].sum()) for name in classes.names},
    )  # fmt: skip
