"""Windows with their draft labels, read from photos and masks one after another, as every form of export takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from segment.review.known import Known, digest_of, window_name
from segment.review.survey import Reviewed, Survey
from segment.review.windows import Chosen
from tiler.classes import ClassTable
from tiler.crops.ground import ground_sample_distance
from tiler.errors import NoseamError, PairError, reason_of
from tiler.masks.labels import open_labels
from tiler.source.georef import Georeference
from tiler.source.image import ImageReader, open_image


@dataclass(frozen=True, slots=True)
class Draft:
    """A window, as it is handed to people."""

    known: Known
    """Where it lies, and its name."""
    pixels: NDArray[np.uint8]
    """Shape (3, height, width)."""
    labels: NDArray[np.uint8]
    """Class ids of the mask, shape (height, width); 255 = no label."""
    photo_place: Georeference
    """Where the whole photo lies, as it says itself."""
    gsd_m: float | None
    """Ground sample distance of the photo, metres per pixel, where it says its own."""
    mask_place: Georeference
    """Where the mask lies; a photo that was placed by its pose has a place in its mask alone."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Windows of an image that cannot be read."""

    image: str
    """The image, by its path below the survey."""
    reason: str
    """Why, with what helps."""


def read_drafts(
    survey: Survey, chosen: Sequence[Chosen], *, by: str, window_px: int, crop_px: int
) -> Iterator[Draft | LeftOut]:
    """Yield the drafts of chosen windows, those of one image together; or why those of an image cannot be read."""
    images = {image.name: image for image in survey.images}
    for name, windows in groupby(sorted(chosen, key=attrgetter("image")), key=attrgetter("image")):
        try:
            for each in windows:
                yield _draft(images[name], each, survey.classes, by=by, window_px=window_px, crop_px=crop_px)
        except (NoseamError, OSError) as error:
            yield LeftOut(name, reason_of(error, images[name].source))


def _draft(image: Reviewed, chosen: Chosen, classes: ClassTable, *, by: str, window_px: int, crop_px: int) -> Draft:
    with open_photo(image) as photo, open_labels(image.label, None) as mask:
        refuse_misfit(image, photo, mask.shape)
        labels = mask.read(chosen.window)
        known = Known(
            window_name(image.name, chosen.window, window_px), image.name, chosen.window.row_off,
            chosen.window.col_off, chosen.window.height, chosen.window.width, window_px, crop_px, by,
            chosen.score, why(chosen, classes), digest_of(labels),
        )  # fmt: skip
        place, gsd_m = mask.info.georeference, ground_sample_distance(photo.info)
        return Draft(known, photo.pixels(chosen.window), labels, photo.info.georeference, gsd_m, place)


def open_photo(image: Reviewed) -> AbstractContextManager[ImageReader]:
    """Open the photo of an image as it was read for its masks."""
    return open_image(image.source, channels=image.reading.channels, value_range=image.reading.value_range)


def refuse_misfit(image: Reviewed, photo: ImageReader, shape: tuple[int, int]) -> None:
    """Raise unless a photo has the size of its mask.

    Raises
    ------
    PairError
        If it has another, because it was replaced since.
    """
    if photo.info.shape != shape:
        found, expected = (f"{height} x {width}" for height, width in (photo.info.shape, shape))
        raise PairError(
            f"{image.source}: {found} pixels found, but its mask {image.label} has {expected}; segment it again"
        )


def why(chosen: Chosen, classes: ClassTable) -> str:
    """Return in words which classes hold most of the doubt of a window."""
    return ", ".join(f"{classes.names[index]} {share:.0%}" for index, share in chosen.classes)
