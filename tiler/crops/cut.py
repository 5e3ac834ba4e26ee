"""Cut one source into training crops."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from tiler.classes import NO_LABEL, ClassTable
from tiler.crops.folder import IMAGES, MASKS, remove_files
from tiler.crops.ground import footprint_of, georeference_of, ground_sample_distance
from tiler.crops.plan import CropOptions, plan_crops
from tiler.crops.record import CropRow, Record, begin, discard, has_begun, write_record
from tiler.crops.write import write_crop
from tiler.errors import PairError, reason_of
from tiler.files.pairs import Pair
from tiler.grid.window import Window
from tiler.masks.labels import LabelReader, open_labels
from tiler.masks.view import LabelView, same_aspect, size_in_words
from tiler.source.footprint import Footprint
from tiler.source.image import ImageReader, open_image
from tiler.source.raster import RasterInfo

_BAND_BYTES = 256 * 2**20
_SEQUENTIAL = frozenset({"JPEG", "PNG"})
"""Formats whose pixels can only be decoded from the top."""


@dataclass(frozen=True, slots=True)
class CutTask:
    """One source that is to be cut; it is sent to the process that cuts it."""

    pair: Pair
    """The image and its mask."""
    out: Path
    """The output folder."""
    request: CropOptions
    """How to cut."""
    classes: ClassTable | None
    """Ids and colours to expect in the mask."""
    lookup: NDArray[np.uint8]
    """The id that each id of the mask becomes, shape (256,)."""
    fingerprint: str
    """What the record says once all crops are there; see `Record.fingerprint`."""

    @property
    def source(self) -> str:
        """Name of the source in the index."""
        return self.pair.name.as_posix()


@dataclass(frozen=True, slots=True)
class CropOutcome:
    """How one source ended."""

    path: Path
    """The image."""
    state: Literal["done", "skipped", "failed"]
    """`skipped`: its crops were already there, made from the same files with the same settings."""
    reason: str = ""
    """Why it was skipped or failed."""
    record: Record | None = None
    """Its crops; None where it failed."""
    read_bytes: int = 0
    """Size of the files that were read, bytes."""
    seconds: float = 0.0
    """Wall time of cutting it, seconds."""
    notes: tuple[str, ...] = ()
    """What the user should know about how it was read."""
    shape: tuple[int, int] | None = None
    """(height, width) of the image, pixels; None unless it was cut now."""
    ground: Footprint | None = None
    """The ground that it shows; None unless it was cut now, and says it."""


def cut_source(task: CutTask) -> CropOutcome:
    """Write the crops of one source and their record.

    Nothing is raised: a failure is an outcome too. The crops of a source that fails are removed. Where it fails
    before the first new crop is written, the crops of an earlier run stay.
    """
    started = time.monotonic()
    try:
        with warnings.catch_warnings():  # a process of its own does not inherit the caller's filters
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            outcome = _cut(task)
    except Exception as error:  # whatever a library raises costs this source alone
        with suppress(OSError):
            if has_begun(task.out, task.source):
                discard(task.out, task.source)
        reason = reason_of(error, task.pair.first, task.pair.second)
        return CropOutcome(task.pair.first, "failed", reason, seconds=time.monotonic() - started)
    size = sum(path.stat().st_size for path in (task.pair.first, task.pair.second))
    return replace(outcome, read_bytes=size, seconds=time.monotonic() - started)


def _cut(task: CutTask) -> CropOutcome:
    reading = task.request.reading
    with (
        open_image(task.pair.first, channels=reading.channels, value_range=reading.value_range) as image,
        open_labels(task.pair.second, task.classes) as labels,
    ):
        view = _view(task, image.info, labels)
        view.read(Window(0, 0, 1, view.shape[1]))  # a damaged mask fails before older crops go
        planned = tuple(_row(task, window, image.info) for window in plan_crops(view.shape, task.request))
        old = begin(task.out, Record(task.source, "", planned))
        rows = []
        for row, (pixels, mask) in zip(planned, _crops(image, view, planned), strict=True):
            row = replace(row, counts=_counts(mask))
            if _wanted(row, task.request):
                write_crop(
                    task.out, row, pixels, mask, georeference=image.info.georeference,
                    side=task.request.window_px, lossy=task.request.format == "jpeg",
                )  # fmt: skip
                rows.append(row)
        place = georeference_of(image.info)
        gsd_m = ground_sample_distance(image.info)
    record = Record(task.source, task.fingerprint, tuple(rows), filtered=len(planned) - len(rows), gsd_m=gsd_m)
    remove_files(task.out, old.files - record.files)
    write_record(task.out, record)
    notes = (*map(str, image.doubts), *image.notes)
    ground = footprint_of(image.info, place)
    return CropOutcome(task.pair.first, "done", "", record, notes=notes, shape=image.info.shape, ground=ground)


def _view(task: CutTask, info: RasterInfo, labels: LabelReader) -> LabelView:
    """Return the mask in the size of its image, and in the classes of crops; raise where sizes differ unasked."""
    if task.request.scale_masks or info.shape == labels.shape:
        return LabelView(labels, shape=info.shape, lookup=task.lookup)
    scalable = same_aspect(info.shape, labels.shape)
    raise PairError(
        f"{task.pair.first}: {size_in_words(info.shape)}, but its mask {task.pair.second} has "
        f"{size_in_words(labels.shape)}; expected one size"
        + ("; --scale-masks samples it at the size of the image" if scalable else _turned(info))
    )


def _turned(info: RasterInfo) -> str:
    return f" (EXIF orientation {info.orientation} of the image is not applied)" if info.orientation != 1 else ""


def _row(task: CutTask, window: Window, info: RasterInfo) -> CropRow:
    suffix = ".jpg" if task.request.format == "jpeg" else ".png"
    image_suffix, mask_suffix = (".tif", ".tif") if info.georeference.present else (suffix, ".png")
    stem = f"{task.source}_r{window.row_off}_c{window.col_off}"
    return CropRow(f"{IMAGES}/{stem}{image_suffix}", f"{MASKS}/{stem}{mask_suffix}", window)


def _crops(
    image: ImageReader, labels: LabelView, rows: Sequence[CropRow]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield pixels and mask of each window; the mask is 255 where the image has no measurement."""
    for _, abreast in groupby((row.window for row in rows), key=lambda window: window.row_off):
        windows = list(abreast)
        width = labels.shape[1]
        pixels = _read(image.pixels, windows, image.info, width)
        masks = _read(labels.read, windows, labels.info, width)
        valid = _read(image.valid, windows, image.info, width)
        for crop, mask, real in zip(pixels, masks, valid, strict=True):
            yield crop, np.where(real, mask, np.uint8(NO_LABEL))


def _read(
    read: Callable[[Window], NDArray[Any]], windows: Sequence[Window], info: RasterInfo, width: int
) -> Iterator[NDArray[Any]]:
    """Yield windows of the same rows, from one read of these rows where every read decodes from the top."""
    first = windows[0]
    if info.driver not in _SEQUENTIAL or first.height * width * len(info.interpretations) > _BAND_BYTES:
        yield from map(read, windows)
        return
    band = read(Window(first.row_off, 0, first.height, width))
    for window in windows:
        yield band[..., window.slices[1]]


def _counts(mask: NDArray[np.uint8]) -> tuple[tuple[int, int], ...]:
    pixels = np.bincount(mask.ravel(), minlength=NO_LABEL)[:NO_LABEL]
    return tuple((int(index), int(pixels[index])) for index in pixels.nonzero()[0])


def _wanted(row: CropRow, request: CropOptions) -> bool:
    if request.skip_empty and not row.labelled:
        return False
    return row.labelled >= request.min_labelled * row.window.height * row.window.width
