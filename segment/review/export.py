"""Export the windows that are most worth labelling, in the form that somebody can label them in."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from segment.errors import RequestError
from segment.review.crops_form import write_crops
from segment.review.cvat import write_cvat
from segment.review.drafts import Draft, LeftOut, read_drafts
from segment.review.geopackage import refuse_placeless, write_geopackage
from segment.review.known import Known, next_export, read_corrected, write_known
from segment.review.label_studio import write_label_studio
from segment.review.measures import doubt_of
from segment.review.request import Measure, ReviewFormat, ReviewRequest
from segment.review.survey import Survey, read_survey
from segment.review.windows import Chosen, ImageDoubt, choose, choose_at_random
from tiler.classes import ClassTable
from tiler.errors import NoseamError, reason_of
from tiler.files.aside import make_aside
from tiler.grid.window import Window

_SHARE, _LEAST_PX = 4, 32
"""A window has one over this of the side of the model's window, and is no smaller than can be asked for."""
_WRITERS: Mapping[ReviewFormat, Callable[[Path, Iterable[Draft], ClassTable], Path]] = {
    "crops": write_crops,
    "cvat": write_cvat,
    "geopackage": write_geopackage,
    "label-studio": write_label_studio,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported."""

    folder: Path
    """The new folder."""
    file: Path
    """What is handed to those who label: a file or folder in it."""
    windows: tuple[Known, ...]
    """The windows, the worthiest first."""
    mean_score: float
    """Doubt of all windows of the survey in the mean, to compare with; 0 where windows were taken by chance."""
    images: int
    """How many images there were to choose from."""
    left_out: tuple[LeftOut, ...]
    """Images that could not be read."""


def export(request: ReviewRequest, advance: Callable[[int, int], None] = lambda done, total: None) -> Exported:
    """Choose windows and write them to a new folder; an image that cannot be read costs itself alone.

    Raises
    ------
    RequestError
        If the output folder holds no masks, no mask of doubt, or no window that is left to label; if the window is
        larger than the model's, or the form cannot hold the classes.
    ClassTableError, RecordError
        See `read_survey`.
    """
    assert request.export is not None
    survey = read_survey(request.out)
    crop_px, window_px = _sides(request, survey)
    measure = survey.measure(request.by)
    images, left_out = _doubts(survey, measure, window_px, request.format, advance)
    taken = _taken(request)
    chosen = _choose(request, images, taken)
    if not chosen:
        why = "; ".join(each.reason for each in left_out[:2]) or _why_none(measure, taken)
        raise RequestError(f"{request.out}: no window is left to label: {why}")
    ranks = {(each.image, each.window): rank for rank, each in enumerate(chosen)}
    folder = next_export(make_aside(request.folder))
    folder.mkdir(parents=True)
    windows: list[Known] = []

    def drafts() -> Iterator[Draft]:
        for found in read_drafts(survey, chosen, by=measure or "random", window_px=window_px, crop_px=crop_px):
            if isinstance(found, LeftOut):
                left_out.append(found)
            else:
                windows.append(found.known)
                yield found

    try:
        file = _WRITERS[request.format](folder, drafts(), survey.classes)
        if not windows:
            raise RequestError("; ".join(each.reason for each in left_out[:3]))
        windows.sort(key=lambda known: ranks[known.image, known.window])
        write_known(folder, windows)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(folder)
        raise
    mean = sum(float(each.doubt.sum()) for each in images) / max(sum(int(each.valid.sum()) for each in images), 1)
    return Exported(folder, file, tuple(windows), mean if measure else 0.0, len(survey.images), tuple(left_out))


def _sides(request: ReviewRequest, survey: Survey) -> tuple[int, int]:
    """Return the side of the crops that the windows are trained in, and that of the windows."""
    crop_px = survey.window_px or request.window_px
    if crop_px is None:
        raise RequestError(f"{survey.out}: the masks do not say the window of the model; give one: --window PX")
    window_px = request.window_px or min(max(crop_px // _SHARE, _LEAST_PX), crop_px)
    if window_px > crop_px:
        raise RequestError(
            f"--window: {crop_px} px at most expected, because the model sees no more at once; {window_px} found"
        )
    return crop_px, window_px


def _doubts(
    survey: Survey, measure: Measure | None, window_px: int, format: ReviewFormat, advance: Callable[[int, int], None]
) -> tuple[list[ImageDoubt], list[LeftOut]]:
    images, left_out = [], []
    for done, image in enumerate(survey.images, 1):
        try:
            if measure is not None and measure not in image.doubts:
                raise RequestError(f"no mask of {measure} stands beside {image.label}; segment it with --{measure}")
            if format == "geopackage":
                refuse_placeless(image)
            images.append(doubt_of(image, measure, window_px=window_px, classes=len(survey.classes)))
        except (NoseamError, OSError) as error:
            left_out.append(LeftOut(image.name, reason_of(error, image.label)))
        advance(done, len(survey.images))
    return images, left_out


def _why_none(measure: Measure | None, taken: Mapping[str, list[Window]]) -> str:
    """Return why images that can be read have no window to label."""
    if taken:
        return "every window that holds any doubt came back already"
    if measure == "disagreement":
        return "no tiles overlap, or they agree everywhere; segment again with --confidence, and take --by confidence"
    return "the masks label nothing" if measure is None else "the model is certain everywhere"


def _taken(request: ReviewRequest) -> dict[str, list[Window]]:
    found: defaultdict[str, list[Window]] = defaultdict(list)
    for row in read_corrected(request.folder):
        found[row.image].append(row.window)
    return found


def _choose(request: ReviewRequest, images: list[ImageDoubt], taken: Mapping[str, list[Window]]) -> list[Chosen]:
    assert request.export is not None
    if request.by == "random":
        return choose_at_random(images, request.export, taken, request.seed)
    return choose(images, request.export, taken)
