"""Previews that a report needs and that no run has made: of masks of earlier versions, of shards, of large images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segment.report.standing import Standing
from tiler.classes import ClassTable
from tiler.errors import TilerError
from tiler.files.names import product_kind
from tiler.grid.seams import read_model_shape
from tiler.masks.provenance import read_recipe, reading_of
from tiler.masks.standing import Masks
from tiler.previews.make import make_previews
from tiler.previews.write import previews_of
from tiler.source.raster import FINGERPRINT_KEY

_log = logging.getLogger(__name__)


def without_previews(out: Path, images: Sequence[Standing]) -> list[Standing]:
    """Return the images with masks, and whose source is there, whose previews are missing or of other masks."""
    return [image for image in images if image.masks and image.source and not _is_current(out, image)]


def make_missing(
    out: Path, images: Sequence[Standing], classes: ClassTable, *, jobs: int, advance: Callable[[int, int], None]
) -> None:
    """Make the previews of some images, each in one of so many threads. Images that cannot be read get none.

    `advance` is called with how many are done, and how many there are.
    """

    def make(image: Standing) -> None:
        try:
            _make(out, image, classes)
        except (TilerError, OSError) as error:
            _log.warning("no preview: %s", error)

    with ThreadPoolExecutor(jobs) as pool:
        for done, _ in enumerate(pool.map(make, images), 1):
            advance(done, len(images))


def _is_current(out: Path, image: Standing) -> bool:
    files = image.previews(out)
    if files is None or image.masks is None:
        return False
    known = previews_of(files)
    return known is not None and known[0] == image.masks.tags[FINGERPRINT_KEY]


def _make(out: Path, image: Standing, classes: ClassTable) -> None:
    files = image.previews(out)
    assert files is not None
    assert image.source is not None
    assert image.masks is not None
    tags = image.masks.tags
    reading, model_shape = reading_of(read_recipe(tags) or {}), read_model_shape(tags)
    make_previews(image.source, dict(_planes(image.masks)), files, classes, tags[FINGERPRINT_KEY], model_shape, reading)


def _planes(masks: Masks) -> Iterator[tuple[str, Path]]:
    """Yield the masks that previews show, by kind."""
    yield "label", masks.label
    for path in masks.products:
        if (kind := product_kind(path)) in {"confidence", "disagreement"}:
            yield str(kind), path
