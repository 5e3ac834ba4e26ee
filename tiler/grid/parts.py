"""Parts of a large image: runs of source rows that can be labelled without the rest; integers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tiler.grid.tiles import LOGITS_STRIDE, Grid

BLOCK_PX = 512
"""Side of the blocks of a GeoTIFF; no block lies in two parts."""
PART_PX = 128 * 2**20
"""Pixels that a part has at least, unless the user says otherwise."""
_LEAST_ROWS_OF_TILES = 4
"""What several workers share is cut into runs of so many rows of tiles at least, since each run repeats one or two."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Consecutive source rows, half-open: `start <= r < stop`."""

    start: int
    """First row."""
    stop: int
    """One past the last row."""

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"rows {self.start}-{self.stop - 1}"


def plan_parts(grid: Grid, part_px: int = PART_PX) -> tuple[Span, ...]:
    """Return the parts of an image, top to bottom; they depend on its size alone.

    Parameters
    ----------
    grid : Grid
        The grid of the image.
    part_px : int
        Pixels that a part has at least. An image of fewer than twice so many is one part. 0: every image is.

    Returns
    -------
    tuple of Span
        Their edges are multiples of `BLOCK_PX`, but for the last.
    """
    height, width = grid.source_shape
    most = min(height * width // part_px, height // BLOCK_PX) if part_px else 0
    edges = [BLOCK_PX * (height * i // (most * BLOCK_PX)) for i in range(most)] if most > 1 else [0]
    return tuple(Span(start, stop) for start, stop in pairwise([*edges, height]))


def rows_of_tiles(grid: Grid, span: Span) -> range:
    """Return the rows of tiles whose logits decide the labels of some source rows.

    A source pixel needs two cells of the logits grid along each axis, see `sample_points`. One more is counted on
    either side, so that no rounding matters.
    """
    source, model = grid.source_shape[0], grid.model_shape[0]
    first, last = (
        ((2 * row + 1) * model - LOGITS_STRIDE * source) // (2 * LOGITS_STRIDE * source)
        for row in (span.start, span.stop - 1)
    )
    top, bottom = (max(first - 1, 0)) * LOGITS_STRIDE, (last + 3) * LOGITS_STRIDE
    rows = range(len(grid.row_offs))
    start = next(row for row in rows if grid.row_offs[row] + grid.tile_shape[0] > min(top, grid.padded_shape[0] - 1))
    stop = next((row for row in rows if grid.row_offs[row] >= bottom), len(rows))
    return range(start, max(stop, start + 1))


def runs_of_parts(grid: Grid, parts: Sequence[Span], workers: int) -> list[tuple[Span, ...]]:
    """Return the runs of consecutive parts that workers are given, top to bottom.

    Parameters
    ----------
    grid : Grid
        The grid of the image.
    parts : sequence of Span
        Those that are to be done; where one is missing, a run ends.
    workers : int
        How many share the work. One worker takes all of a run in one go, which repeats no row of tiles.

    Returns
    -------
    list of tuple of Span
        About three runs for each of several workers, so that none waits long for the last one.
    """
    share = sum(map(len, parts)) / grid.source_shape[0]
    most = max(share * len(grid.row_offs) / (3 * workers), _LEAST_ROWS_OF_TILES) if workers > 1 else float("inf")
    runs: list[list[Span]] = []
    for part in parts:
        run = runs[-1] if runs else []
        follows = bool(run) and run[-1].stop == part.start
        if follows and len(rows_of_tiles(grid, Span(run[0].start, part.stop))) <= most:
            run.append(part)
        else:
            runs.append([part])
    return [tuple(run) for run in runs]
