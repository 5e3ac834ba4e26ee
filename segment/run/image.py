"""Segment one image: tiles to the engine, logits to the stitcher, rows of masks to the files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segment.engine.contract import Engine, Stitcher, Tiles
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.run.ahead import ahead
from tiler.classes import NO_LABEL, ClassTable
from tiler.doubt import Doubt, doubt_tags
from tiler.errors import ChangedError, CoverError
from tiler.grid.tiles import Grid, Tile
from tiler.masks.coverage import Coverage
from tiler.masks.provenance import source_stamp
from tiler.masks.sink import MaskMeta
from tiler.masks.tally import Tally, holds
from tiler.masks.writer import MaskWriter
from tiler.polygons.make import write_polygons
from tiler.source.image import ImageReader, open_image
from tiler.source.raster import gdal_environment
from tiler.source.tiles import OneColour, read_tiles
from tiler.stitch.upsample import MaskRows

_TILES_AHEAD = 4
_ROWS_AHEAD = 1


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a run records of one image, besides its masks."""

    coverage: Coverage
    """How much of it each class covers."""
    notes: tuple[str, ...]
    """What the user should know about how it was read."""
    doubts: tuple[Doubt, ...]
    """What makes its masks doubtful."""


def segment_image(
    plan: ImagePlan,
    request: Request,
    *,
    engine: Engine,
    classes: ClassTable,
    tags: Mapping[str, str],
    stale: Sequence[Path],
    threads: int,
    advance: Callable[[int], None],
) -> Segmented:
    """Segment one image and write its masks.

    Memory grows with the width of the image and the height of a tile, not with the height of the image. Reading,
    stitching and writing run in one thread each, a few tiles or rows ahead of each other.

    Parameters
    ----------
    plan : ImagePlan
        The image.
    request : Request
        What was asked.
    engine : Engine
        The network.
    classes : ClassTable
        Names and colours.
    tags : mapping of str to str
        Provenance to store in the masks.
    stale : sequence of Path
        Masks and polygons of earlier runs that go when the new ones come; see `Standing`.
    threads : int
        Threads of GDAL to compress the blocks of a TIFF.
    advance : callable
        Called with how many more pixels are labelled.

    Returns
    -------
    Segmented
        What the classes cover, and what the user should know.

    Raises
    ------
    TilerError
        If the image cannot be read, the logits are unusable or a mask cannot be written; nothing
        is left behind.
    """
    path, grid = plan.found.path, plan.grid
    _refuse_changed(plan)
    with open_image(
        path,
        channels=request.reading.channels,
        value_range=request.reading.value_range,
        limits=request.limits,
        strict=request.strict,
        within=plan.within,
    ) as image:
        georeference = plan.info.georeference
        meta = MaskMeta(grid.source_shape, classes, georeference, {**tags, **plan.tags, **_reading_tags(image)})
        polygonise = partial(
            write_polygons, request=request.polygon_options, georeference=georeference, classes=classes, layer=path.stem
        )
        stitcher = engine.stitcher(grid, confidence=request.confidence)
        tally = Tally(len(classes), georeference.cumulative_area_m2(*meta.shape))
        row, flat = 0, OneColour()
        with MaskWriter(plan.outputs, meta, stale=stale, threads=threads, polygonise=polygonise) as writer:
            stitched = ahead(_stitch(ahead(_read(image, grid, flat), _TILES_AHEAD), engine, stitcher), _ROWS_AHEAD)
            with closing(stitched):
                for rows in stitched:
                    _mark_invalid(rows, image, row)
                    tally.add(rows.labels)
                    writer.write(rows.labels, rows.confidence)
                    row += len(rows.labels)
                    advance(rows.labels.size)
            _refuse_changed(plan)
            coverage = tally.coverage()
            doubts = (*image.doubts, *plan.doubts, *_nothing_seen(coverage, flat))
            writer.commit(coverage, doubt_tags(doubts))
        return Segmented(coverage, image.notes + plan.notes, doubts)


def _refuse_changed(plan: ImagePlan) -> None:
    if source_stamp(plan.found.path) != plan.stamp:
        raise ChangedError(f"{plan.found.path}: changed since the survey was planned")


def _nothing_seen(coverage: Coverage, flat: OneColour) -> Iterator[Doubt]:
    """Yield what is doubtful of an image that shows nothing."""
    if not any(coverage.pixels):
        yield Doubt("empty", "no pixel is valid: every label is 255")
    elif flat.colour is not None:
        red, green, blue = flat.colour
        yield Doubt(
            "one value",
            f"the network saw one colour everywhere (red {red}, green {green}, blue {blue}), so labels say nothing; "
            "is the image blank?",
        )


def _read(image: ImageReader, grid: Grid, flat: OneColour) -> Generator[tuple[Tile, Tiles | None]]:
    with gdal_environment():  # GDAL's settings belong to a thread
        for tile, pixels in read_tiles(image, grid):
            flat.see(image, grid, tile, pixels)
            yield tile, pixels


def _stitch(tiles: Generator[tuple[Tile, Tiles | None]], engine: Engine, stitcher: Stitcher) -> Generator[MaskRows]:
    """Yield the rows of the masks, top to bottom, while the engine works on the tiles after them."""
    waiting: deque[tuple[Tile, Future[Any] | None]] = deque()
    with closing(tiles):
        for tile, pixels in tiles:
            waiting.append((tile, None if pixels is None else engine.submit(pixels)))
            if len(waiting) > engine.tiles_ahead:
                yield from _finished(stitcher, *waiting.popleft())
    while waiting:
        yield from _finished(stitcher, *waiting.popleft())


def _finished(stitcher: Stitcher, tile: Tile, logits: Future[Any] | None) -> Iterator[MaskRows]:
    return stitcher.skip(tile) if logits is None else stitcher.add(tile, logits.result())


def _mark_invalid(rows: MaskRows, image: ImageReader, row: int) -> None:
    """Set invalid pixels to 255, in place; raise if a valid one has no label."""
    labels = rows.labels
    if not image.maybe_invalid and not holds(labels, NO_LABEL):
        return
    unlabelled = labels == NO_LABEL
    valid = image.valid_rows(row, row + len(labels)) if image.maybe_invalid else None
    missing = unlabelled if valid is None else valid & unlabelled
    if missing.any():
        at, col = np.argwhere(missing)[0]
        raise CoverError(
            f"{image.info.path}: no tile covers {missing.sum()} pixels, the first at row {row + at}, column {col}"
        )
    if valid is not None:
        labels[~valid] = NO_LABEL
        if rows.confidence is not None:
            rows.confidence[~valid] = NO_LABEL


def _reading_tags(image: ImageReader) -> dict[str, str]:
    tags = {"NOSEAM_CHANNELS": ",".join(map(str, image.channels.colour))}
    if image.stretch is not None:
        tags["NOSEAM_VALUES"] = str(image.stretch)
    if image.info.orientation != 1:
        tags["NOSEAM_SOURCE_ORIENTATION"] = str(image.info.orientation)
    return tags
