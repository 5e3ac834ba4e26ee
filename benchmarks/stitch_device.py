"""Time stitching on a device: tensor operations against kernels, for a photo of 24 megapixels.

Run from the repository, inside its virtual environment:

    python benchmarks/stitch_device.py [--device cuda] [--small]

It prints a Markdown table of the best of a few runs, in milliseconds: blending all tiles, labelling all rows, all of it
with the way of the masks to the host, the processor time of the thread that calls, and the share of labels that are
those of tensor operations. Logits are noise in float16, channels last, as the network leaves them. On a CPU there are
tensor operations alone.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.device_arithmetic import Arithmetic
from segment.engine.device_blend import Band, DeviceBlender
from segment.engine.device_choice import arithmetic
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.device_tensors import Tensors
from tiler.grid.tiles import Grid, Tile, on_lattice, plan_grid

SHAPE = 4000, 6000
SMALL = 400, 600
CASES = (0.256, (1024, 1536)), (0.256, (512, 512)), (1.0, (512, 512))
"""Scale, and the tile in model pixels."""
HEAD = ("scale", "tile", "classes", "confidence", "by", "blend, ms", "label, ms", "all, ms", "calling, ms", "equal, %")
_IN_BATCH = 16


@dataclass(frozen=True, slots=True)
class Timed:
    """What stitching one photo took, milliseconds."""

    scale: float
    """Model pixels per source pixel."""
    tile: tuple[int, int]
    """Model pixels."""
    classes: int
    """Number of classes."""
    confidence: bool
    """Whether confidence was asked for."""
    by: str
    """Tensor operations, or kernels."""
    blend_ms: float
    """Until all tiles are blended on the device."""
    label_ms: float
    """Until all rows are labelled and on the host, after that."""
    all_ms: float
    """From the first tile to the last row on the host, as in a run."""
    calling_ms: float
    """Processor time of the calling thread for that."""
    equal_labels: float
    """Share of labels that are those of tensor operations."""


def time_stitching(
    device: torch.device,
    *,
    shape: tuple[int, int] = SHAPE,
    cases: Sequence[tuple[float, tuple[int, int]]] = CASES,
    classes: Sequence[int] = (24, 150),
    repeat: int = 5,
) -> list[Timed]:
    """Return what stitching a photo on a device takes; tensor operations come first, then what the device chooses."""
    works = [Tensors(), *([arithmetic(device)] if device.type == "cuda" else [])]
    found = []
    for scale, tile in cases:
        grid = grid_of(shape, scale, tile)
        for count in classes:
            logits = list(make_logits(grid, count, device))
            for confidence in (False, True):
                expected = None
                for work in works:
                    labels, (blend, label, both, calling) = time_one(grid, logits, device, work, confidence, repeat)
                    expected = labels if expected is None else expected
                    equal = float((labels == expected).mean())
                    name = work.name
                    found.append(Timed(scale, tile, count, confidence, name, blend, label, both, calling, equal))
    return found


def grid_of(shape: tuple[int, int], scale: float, tile: tuple[int, int]) -> Grid:
    """Return a grid of tiles that share a quarter; a small photo has one."""
    height, width = (min(on_lattice(round(scale * of)), side) for of, side in zip(shape, tile, strict=True))
    return plan_grid(shape, scale=scale, tile=(height, width), overlap=(height // 4, width // 4))


def make_logits(grid: Grid, classes: int, device: torch.device) -> Iterator[Tensor]:
    """Yield a batch of logits over and over, one tile after the other, since all of a photo's may not fit."""
    height, width = (side // 4 for side in grid.tile_shape)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    batch = torch.randn(min(_IN_BATCH, len(grid)), height, width, classes, device=device).to(dtype).permute(0, 3, 1, 2)
    for index in range(len(grid)):
        yield batch[index % len(batch)]


def time_one(
    grid: Grid, logits: Sequence[Tensor], device: torch.device, work: Arithmetic, confidence: bool, repeat: int
) -> tuple[NDArray[np.uint8], list[float]]:
    """Return labels, and the best times to blend, to label, to do both, and of the calling thread."""
    classes, tiles = len(logits[0]), list(zip(grid.tiles(), logits, strict=True))
    labels = np.concatenate(list(stitched(grid, classes, device, work, confidence, tiles)))

    def once() -> tuple[float, float, float, float]:
        blender, bands = DeviceBlender(grid, classes, device, work), deque[Band]()
        blend = wall_ms(device, lambda: bands.extend(filter(None, (blender.add(*each) for each in tiles))))
        upsampler = DeviceStitcher(grid, classes, device, confidence=confidence, work=work)._upsampler
        label = wall_ms(device, lambda: [None for band in bands for _ in upsampler.rows(band)])
        bands.clear()
        began = time.thread_time()
        both = wall_ms(device, lambda: [None for _ in stitched(grid, classes, device, work, confidence, tiles)])
        return blend, label, both, 1000 * (time.thread_time() - began)

    return labels, [min(each) for each in zip(*(once() for _ in range(repeat)), strict=True)]


def stitched(
    grid: Grid,
    classes: int,
    device: torch.device,
    work: Arithmetic,
    confidence: bool,
    tiles: Sequence[tuple[Tile, Tensor]],
) -> Iterator[NDArray[np.uint8]]:
    """Yield the labels of a photo as they come."""
    stitcher = DeviceStitcher(grid, classes, device, confidence=confidence, work=work)
    for tile, logits in tiles:
        for rows in stitcher.add(tile, logits):
            yield rows.labels


def wall_ms(device: torch.device, action: Callable[[], object]) -> float:
    """Return milliseconds until an action and all that it queued on the device are done."""
    for step in (lambda: None, action):
        began = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return 1000 * (time.perf_counter() - began)


def as_table(found: Sequence[Timed]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for each in found:
        scale, (height, width), classes, confidence, by, *times, equal = astuple(each)
        words = [f"{scale:g}", f"{height} x {width}", str(classes), "yes" if confidence else "no", by]
        lines.append("| " + " | ".join([*words, *(f"{ms:.2f}" for ms in times), f"{100 * equal:.4f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="Where to stitch.")
    parser.add_argument("--small", action="store_true", help="A tiny photo, one run.")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    small = asked.small
    print(as_table(time_stitching(device, shape=SMALL, classes=(3,), repeat=1) if small else time_stitching(device)))


if __name__ == "__main__":
    main()
