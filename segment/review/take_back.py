"""Take corrected labels back: checked window by window, and made into crops that `train` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.review.archive import open_files
from segment.review.crops_form import CropFolder, CropMasks
from segment.review.cvat import CvatMasks
from segment.review.drafts import open_photo, refuse_misfit
from segment.review.geopackage import GeoPackageMasks
from segment.review.known import Corrected, Known, add_corrected, digest_of, read_known
from segment.review.label_studio import LabelStudioMasks
from segment.review.request import ReviewRequest
from segment.review.survey import Survey, read_survey
from tiler.classes import NO_LABEL
from tiler.crops.ground import ground_sample_distance
from tiler.crops.index import INDEX
from tiler.crops.record import CORRECTED
from tiler.errors import LabelError, NoseamError, reason_of
from tiler.grid.window import Window
from tiler.masks.labels import open_labels

Advance = Callable[[int, int], None]


class Masks(Protocol):
    """Corrected masks, in whatever form they came."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the windows that they hold."""

    def read(self, known: Known) -> NDArray[np.uint8]:
        """Return the labels of a window, of the shape of its files; 255 = no label."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of corrected labels."""

    crops: Path
    """Folder of the crops."""
    taken: tuple[Corrected, ...]
    """Windows that were taken."""
    unchanged: tuple[str, ...]
    """Names of windows that came back as their drafts were, and were left out."""
    empty: tuple[str, ...]
    """Names of windows without any label, which were left out."""
    refused: tuple[tuple[str, str], ...]
    """(name, reason) of windows that could not be taken."""
    input_px: int | None
    """Side of the input of the model that made the masks, model pixels; None: they do not say."""


def take_back(request: ReviewRequest, advance: Advance = lambda done, total: None) -> TakenBack:
    """Make crops of corrected labels; a window that cannot be taken costs itself alone.

    Raises
    ------
    RequestError
        If nothing was exported from the output folder, what is handed in has no known form or holds no window of an
        export, or the folder of the crops holds others.
    ClassTableError, RecordError
        See `read_survey`.
    """
    assert request.corrected is not None
    survey, exported = read_survey(request.out), read_known(request.folder)
    if not exported:
        raise RequestError(f"{request.folder}: nothing was exported; begin with noseam review {request.out} --export N")
    with open_masks(request.corrected, survey) as masks:
        names = [name for name in masks.names if name in exported]
        if not names:
            found = ", ".join(masks.names[:3]) or "nothing"
            raise RequestError(
                f"{request.corrected}: no window that was exported to {request.folder}; found {found}, expected names "
                f"such as {next(iter(exported))}"
            )
        strange = [(name, f"{request.corrected}: {name}: no window of this name was exported")
                   for name in masks.names if name not in exported]  # fmt: skip
        crop_px = exported[names[0]][-1].crop_px
        crops = CropFolder(request.crops, survey.classes, crop_px, CORRECTED, request.split)
        crops.refuse_others()
        return _Taking(request, survey, crops).take(masks, [exported[name] for name in names], strange, advance)


class _Taking:
    """One taking back."""

    def __init__(self, request: ReviewRequest, survey: Survey, crops: CropFolder) -> None:
        self._request, self._crops, self._input_px = request, crops, survey.input_px
        self._images = {image.name: image for image in survey.images}
        self._now = datetime.now(UTC).isoformat(timespec="seconds")

    def take(
        self, masks: Masks, windows: Sequence[tuple[Known, ...]], refused: list[tuple[str, str]], advance: Advance
    ) -> TakenBack:
        taken: list[Corrected] = []
        unchanged, empty = list[str](), list[str]()
        for done, versions in enumerate(windows, 1):
            known = versions[-1]
            try:
                labels = _within(masks.read(known), known, str(self._request.corrected))
                if (labels == NO_LABEL).all():
                    empty.append(known.name)
                elif digest_of(labels) in {each.draft for each in versions} and not self._request.take_unchanged:
                    unchanged.append(known.name)
                else:
                    taken.append(self._take(known, labels))
            except (NoseamError, OSError) as error:
                refused.append((known.name, reason_of(error)))
            advance(done, len(windows))
        if taken:
            self._crops.finish(row.image for row in taken)
            add_corrected(self._request.folder, taken)
        return TakenBack(
            self._request.crops, tuple(taken), tuple(unchanged), tuple(empty), tuple(refused), self._input_px
        )

    def _take(self, known: Known, labels: NDArray[np.uint8]) -> Corrected:
        """Write the crop of a window: the model's window around it, without a label beyond it."""
        image = self._images.get(known.image)
        if image is None:
            raise LabelError(f"{known.name}: {known.image} has no mask in {self._request.out} any more")
        with open_photo(image) as photo, open_labels(image.label, None) as mask:
            refuse_misfit(image, photo, mask.shape)
            around = around_window(known.window, mask.shape, self._crops.window_px)
            told = np.full((around.height, around.width), NO_LABEL, np.uint8)
            told[_inside(known.window, around)] = labels
            told[~photo.valid(around)] = NO_LABEL
            pixels, before = photo.pixels(around), mask.read(known.window)
            self._crops.add(
                known.name,
                known.image,
                around,
                pixels,
                told,
                photo.info.georeference,
                ground_sample_distance(photo.info),
            )
        labelled = labels != NO_LABEL
        return Corrected(
            known.name, known.image, known.row_off, known.col_off, known.height, known.width, known.chosen_by,
            int(labelled.sum()), int((labelled & (before != labels)).sum()), str(self._request.corrected), self._now,
        )  # fmt: skip


def around_window(window: Window, shape: tuple[int, int], side: int) -> Window:
    """Return the window of this side that has another in its middle, moved as far as the image demands.

    Where the image is smaller than that, it is as large as the image.
    """
    sides = []
    for offset, length, whole in zip(
        (window.row_off, window.col_off), (window.height, window.width), shape, strict=True
    ):
        wide = min(side, whole)
        sides.append((min(max(offset - (wide - length) // 2, 0), whole - wide), wide))
    (row_off, height), (col_off, width) = sides
    return Window(row_off, col_off, height, width)


@contextmanager
def open_masks(path: Path, survey: Survey) -> Iterator[Masks]:
    """Open corrected masks in whatever form they came.

    Raises
    ------
    RequestError
        If the form is not known.
    """
    if path.is_dir() and (path / INDEX).is_file():
        yield CropMasks(path, survey.classes)
        return
    if path.suffix.lower() == ".gpkg":
        yield GeoPackageMasks(path, survey.classes, {image.name: image for image in survey.images})
        return
    if path.suffix.lower() == ".json":
        yield LabelStudioMasks(path, survey.classes)
        return
    with open_files(path) as files:
        yield CvatMasks(path, files, survey.classes)


def _inside(window: Window, around: Window) -> tuple[slice, slice]:
    top, left = window.row_off - around.row_off, window.col_off - around.col_off
    return slice(top, top + window.height), slice(left, left + window.width)


def _within(labels: NDArray[np.uint8], known: Known, where: str) -> NDArray[np.uint8]:
    """Return the labels of a window without the padding of its files."""
    if labels.shape != (known.window_px, known.window_px):
        raise LabelError(f"{where}: {known.name}: {labels.shape} labels found, expected {known.window_px} a side")
    return labels[: known.height, : known.width]
