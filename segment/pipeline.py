"""Segment one image: tiles to the batcher, logits to the mosaic, labels to the files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from segment.batcher import Batcher, Logits, Tiles
from segment.plan import ImagePlan, Request
from tiler.classes import NO_LABEL, ClassTable
from tiler.errors import CoverError, RasterReadError
from tiler.grid import Tile
from tiler.mosaic import Mosaic
from tiler.provenance import source_stamp
from tiler.reader import ImageReader, open_image, read_tiles
from tiler.upsample import Upsampler
from tiler.writer import MaskMeta, MaskWriter

_BATCHES_AHEAD = 2


def segment_image(
    plan: ImagePlan,
    request: Request,
    *,
    batcher: Batcher,
    classes: ClassTable,
    tags: Mapping[str, str],
    advance: Callable[[int], None],
) -> tuple[str, ...]:
    """Segment one image and write its masks.

    Memory follows the width of the image x the height of a tile. Runs in one thread; while this
    image waits for the network, other threads read, stitch and write theirs.

    Parameters
    ----------
    plan : ImagePlan
        The image.
    request : Request
        What was asked.
    batcher : Batcher
        The network.
    classes : ClassTable
        Names and colours.
    tags : mapping of str to str
        Provenance to store in the masks.
    advance : callable
        Told how many more pixels are labelled.

    Returns
    -------
    tuple of str
        What the user should know about how the image was read.

    Raises
    ------
    TilerError
        If the image cannot be read, the logits are unusable or a mask cannot be written; nothing
        is left behind.
    """
    path, grid = plan.found.path, plan.grid
    _refuse_changed(plan)
    with open_image(path, channels=request.channels, value_range=request.value_range) as image:
        notes = image.notes
        meta = MaskMeta(grid.source_shape, classes, image.info.georeference, {**tags, **_reading_tags(image)})
        mosaic, upsampler = Mosaic(grid, len(classes)), Upsampler(grid)
        row = labelled = 0
        with MaskWriter(plan.outputs, meta) as writer:
            for tile, logits in _forward(read_tiles(image, grid), batcher):
                band = mosaic.skip(tile) if logits is None else mosaic.add(tile, logits)
                for labels in upsampler.labels(band) if band else ():
                    labelled += _mark_invalid(labels, image, row)
                    writer.write(labels)
                    row += len(labels)
                    advance(labels.size)
            _refuse_changed(plan)
            writer.commit()
    return notes if labelled else (*notes, "no pixel is valid: every label is 255")


def _refuse_changed(plan: ImagePlan) -> None:
    if source_stamp(plan.found.path) != plan.stamp:
        raise RasterReadError(f"{plan.found.path}: changed since the survey was planned")


def _forward(tiles: Iterator[tuple[Tile, Tiles | None]], batcher: Batcher) -> Iterator[tuple[Tile, Logits | None]]:
    """Yield the logits of tiles in the order they come, a few batches ahead of the mosaic."""
    waiting: deque[tuple[Tile, Future[Logits] | None]] = deque()
    for tile, pixels in tiles:
        waiting.append((tile, None if pixels is None else batcher.submit(pixels)))
        if len(waiting) > _BATCHES_AHEAD * batcher.batch_size:
            yield _result(*waiting.popleft())
    while waiting:
        yield _result(*waiting.popleft())


def _result(tile: Tile, future: Future[Logits] | None) -> tuple[Tile, Logits | None]:
    return tile, None if future is None else future.result()


def _mark_invalid(labels: NDArray[np.uint8], image: ImageReader, row: int) -> int:
    """Set the labels of invalid pixels to 255, in place; return how many are valid, raise if one has no label."""
    valid = image.valid_rows(row, row + len(labels))
    missing = valid & (labels == NO_LABEL)
    if missing.any():
        at, col = np.argwhere(missing)[0]
        raise CoverError(
            f"{image.info.path}: no tile covers {missing.sum()} pixels, the first at row {row + at}, column {col}"
        )
    labels[~valid] = NO_LABEL
    return int(valid.sum())


def _reading_tags(image: ImageReader) -> dict[str, str]:
    tags = {"NOSEAM_CHANNELS": ",".join(map(str, image.channels.colour))}
    if image.stretch is not None:
        tags["NOSEAM_VALUES"] = str(image.stretch)
    if image.info.orientation != 1:
        tags["NOSEAM_SOURCE_ORIENTATION"] = str(image.info.orientation)
    return tags
