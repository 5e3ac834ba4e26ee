"""Choose the images, and the parts of large images, that stand for a survey: always the same ones, evenly spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

from segment.plan.estimate import kind_of
from segment.plan.figures import Kind
from segment.plan.survey import ImagePlan
from tiler.files.outputs import Output
from tiler.grid.tiles import plan_grid
from tiler.grid.tiling import Tiling
from tiler.grid.window import Window

MOST_KINDS = 3
MOST_IMAGES = 48
MOST_PIXELS = 48_000_000
"""Most pixels that are tried out of one image at a time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Images that stand for all of one kind."""

    kind: Kind
    """Which."""
    count: int
    """How many of that kind there are in all."""
    share: float
    """Their share of the pixels of the survey."""
    images: tuple[ImagePlan, ...]
    """Some of them; the first few are as evenly spread over the survey as all."""


def choose_samples(images: Sequence[ImagePlan]) -> tuple[Sample, ...]:
    """Return what stands for the kinds with the most pixels, those with more of them first."""
    kinds: dict[Kind, list[ImagePlan]] = defaultdict(list)
    for image in images:
        kinds[kind_of(image)].append(image)
    pixels = {kind: sum(image.pixels for image in of_kind) for kind, of_kind in kinds.items()}
    largest = sorted(kinds, key=lambda kind: pixels[kind], reverse=True)[:MOST_KINDS]
    shown = sum(pixels[kind] for kind in largest)
    return tuple(
        Sample(
            kind,
            len(kinds[kind]),
            pixels[kind] / shown,
            tuple(kinds[kind][index] for index in spread(len(kinds[kind]), MOST_IMAGES)),
        )
        for kind in largest
    )


def spread(length: int, most: int) -> list[int]:
    """Return different indices below a length, at most so many; the first ones are as evenly spread as all."""
    chosen: dict[int, None] = {}
    for place in takewhile(lambda _: len(chosen) < min(length, most), places()):
        chosen[int(place * length)] = None
    return list(chosen)


def places() -> Iterator[float]:
    """Yield 1/2, 1/4, 3/4, 1/8, 5/8, 3/8 and so on: places on a line, none near an earlier one; without an end."""
    for number in count(1):
        yield int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length()


def part_to_try(image: ImagePlan, place: float, most_tiles: int, tiling: Tiling) -> ImagePlan:
    """Return an image, or a part of it where it has more tiles or pixels than one trial may have.

    A part is as wide as the image if one row of tiles is not too much. It lies at a place between 0 (top left) and 1
    (bottom right). Of files that are decoded from the top on it is the top left.
    """
    grid, (height, width) = image.grid, image.info.shape
    if len(grid) <= most_tiles and image.pixels <= MOST_PIXELS:
        return image
    columns = min(len(grid.col_offs), max(most_tiles, 1))
    rows = min(len(grid.row_offs), max(most_tiles // columns, 1))
    per_row = max(height * width // len(grid.row_offs), 1)
    rows = min(rows, max(MOST_PIXELS // per_row, 1))
    tall = _span(height, grid.model_shape[0], grid.row_offs[rows - 1] + grid.tile_shape[0])
    wide = _span(width, grid.model_shape[1], grid.col_offs[columns - 1] + grid.tile_shape[1])
    place = place if image.random_access else 0
    within = Window(int(place * (height - tall)), int(place * (width - wide)), tall, wide)
    scale = grid.model_shape[0] / grid.source_shape[0]
    cut = plan_grid((tall, wide), scale=scale, tile=grid.tile_shape, overlap=tiling.overlaps(grid.tile_shape))
    info, work = replace(image.info, height=tall, width=wide), image.work * len(cut) / len(grid)
    return replace(image, info=info, within=within, grid=cut, work=work)


def moved(image: ImagePlan, out: Path, folder: Path) -> ImagePlan:
    """Return an image whose files go to a folder instead of `out`."""

    def move(output: Output) -> Output:
        beside = (replace(side, path=folder / side.path.relative_to(out)) for side in output.sidecars)
        return replace(output, path=folder / output.path.relative_to(out), sidecars=tuple(beside))

    return replace(image, outputs=tuple(map(move, image.outputs)))


def _span(source: int, model: int, length: int) -> int:
    """Return how many source pixels lie under so many model pixels of an axis."""
    return min(max(source * length // model, 1), source)
