"""Label the rows of an image, or some of them: tiles to the engine, logits to the stitcher, rows as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment.engine.contract import Engine, Stitcher, Tiles
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.run.ahead import ahead
from tiler.classes import NO_LABEL
from tiler.errors import CoverError
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid, Tile
from tiler.masks.tally import holds
from tiler.source.image import ImageReader, open_image
from tiler.source.raster import gdal_environment
from tiler.source.remarks import Findings
from tiler.source.tiles import OneColour, read_tiles
from tiler.stitch.upsample import MaskRows
from tiler.stopwatch import watch

_TILES_AHEAD = 4
"""Tiles that are read ahead, at least; half of what should wait, where that is more, so that batches fill."""
_ROWS_AHEAD = 1
Seen = Callable[[int, NDArray[np.uint8]], None]
"""Takes rows of the model grid: the first, and uint8 of shape (3, n, width)."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image whose rows are labelled while they are asked for."""

    image: ImageReader
    """What reads it."""
    rows: Iterator[MaskRows]
    """The rows of its masks, top to bottom."""
    flat: OneColour
    """Notices where it shows nothing; complete after the last row."""


@contextmanager
def labelling(
    plan: ImagePlan,
    request: Request,
    engine: Engine,
    span: Span | None = None,
    known: Findings | None = None,
    seen: Seen | None = None,
) -> Iterator[Labelled]:
    """Yield an image whose rows are labelled while they are asked for.

    One thread reads and one stitches, a few tiles or rows ahead of who asks. Both end with the block.

    Parameters
    ----------
    plan : ImagePlan
        The image.
    request : Request
        What was asked.
    engine : Engine
        The network.
    span : Span or None
        The rows that are wanted; None: all.
    known : Findings or None
        See `open_image`.
    seen : callable or None
        See `read_tiles`; called from the thread that reads.

    Raises
    ------
    TilerError
        If the image cannot be read, or the logits are unusable; the rows raise it too.
    """
    with opened(plan, request, known) as image:
        flat = OneColour()
        stitcher = engine.stitcher(
            plan.grid, confidence=request.confidence, disagreement=request.disagreement, span=span
        )
        waiting = engine.tiles_ahead(plan.grid.tile_shape)
        tiles = ahead(_read(image, plan.grid, span, flat, seen), max(_TILES_AHEAD, waiting // 2))
        with closing(ahead(_stitch(tiles, engine, stitcher, waiting), _ROWS_AHEAD)) as stitched:
            yield Labelled(image, _marked(stitched, image, span.start if span else 0), flat)


@contextmanager
def opened(plan: ImagePlan, request: Request, known: Findings | None) -> Iterator[ImageReader]:
    """Open an image as a request says; see `open_image`."""
    image = open_image(
        plan.found.path,
        channels=request.reading.channels,
        value_range=request.reading.value_range,
        limits=request.limits,
        strict=request.strict,
        within=plan.within,
        known=known,
    )
    with ExitStack() as stack:
        with watch("read"):
            reader = stack.enter_context(image)
        yield reader


def _read(
    image: ImageReader, grid: Grid, span: Span | None, flat: OneColour, seen: Seen | None
) -> Generator[tuple[Tile, Tiles | None]]:
    with gdal_environment():  # GDAL's settings belong to a thread
        for tile, pixels in read_tiles(image, grid, span, seen):
            flat.see(image, grid, tile, pixels)
            yield tile, pixels


def _stitch(
    tiles: Generator[tuple[Tile, Tiles | None]], engine: Engine, stitcher: Stitcher, most: int
) -> Generator[MaskRows]:
    """Yield the rows of the masks, top to bottom, while the engine works on so many tiles after them."""
    waiting: deque[tuple[Tile, Future[Any] | None]] = deque()
    with closing(tiles):
        for tile, pixels in tiles:
            waiting.append((tile, None if pixels is None else engine.submit(pixels)))
            if len(waiting) > most:
                yield from _finished(stitcher, *waiting.popleft())
    while waiting:
        yield from _finished(stitcher, *waiting.popleft())


def _finished(stitcher: Stitcher, tile: Tile, logits: Future[Any] | None) -> Iterator[MaskRows]:
    return stitcher.skip(tile) if logits is None else stitcher.add(tile, logits.result())


def _marked(stitched: Iterable[MaskRows], image: ImageReader, row: int) -> Iterator[MaskRows]:
    """Yield rows from this source row on, whose invalid pixels are set to 255; raise if a valid one has no label."""
    for rows in stitched:
        _mark_invalid(rows, image, row)
        row += len(rows.labels)
        yield rows


def _mark_invalid(rows: MaskRows, image: ImageReader, row: int) -> None:
    labels = rows.labels
    if not image.maybe_invalid and not holds(labels, NO_LABEL):
        return
    unlabelled = labels == NO_LABEL
    with watch("read"):
        valid = image.valid_rows(row, row + len(labels)) if image.maybe_invalid else None
    missing = unlabelled if valid is None else valid & unlabelled
    if missing.any():
        at, col = np.argwhere(missing)[0]
        raise CoverError(
            f"{image.info.path}: no tile covers {missing.sum()} pixels, the first at row {row + at}, column {col}"
        )
    if valid is not None:
        for plane in rows.planes:
            plane[~valid] = NO_LABEL


class Cut:
    """Rows that are taken so many at a time."""

    def __init__(self, rows: Iterator[MaskRows]) -> None:
        self._rows = rows
        self._rest: MaskRows | None = None

    def take(self, count: int) -> Iterator[MaskRows]:
        """Yield the next `count` rows."""
        while count:
            rows = self._rest or next(self._rows)
            first, self._rest = _split(rows, count)
            count -= len(first.labels)
            yield first


def _split(rows: MaskRows, count: int) -> tuple[MaskRows, MaskRows | None]:
    if len(rows.labels) <= count:
        return rows, None
    return rows.part(slice(count)), rows.part(slice(count, None))
