"""Time the stitch kernels of one thread on 24 MP, against sampling every class at every pixel.

Run from the repository, inside its virtual environment (with the development packages, because it uses
the tests' kernel):

    python -m benchmarks.stitch [--scale 0.256 --scale 1] [--classes 2 --classes 24 --classes 150] [--repeat 3]

It prints a Markdown table of the best of a few runs, in milliseconds. Its columns are sampling every class, the labels
alone, the labels with confidence, and blending the tiles of such an image. Sampling every class is the tests' kernel,
which finds label and margin and is written to be obvious; it runs once. `smooth` logits change over about 16 cells,
`rough` ones are smooth with noise of a tenth of their range, `noise` is white.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.exhaustive import sample_all
from tiler.grid.tiles import Grid, plan_grid
from tiler.stitch.blend import Blender, LogitsBand
from tiler.stitch.upsample import Upsampler

SHAPE = 4000, 6000
KINDS = {"smooth": (3.0, 0.0), "rough": (3.0, 0.3), "noise": (0.0, 1.0)}


def make_logits(grid: Grid, classes: int, kind: str) -> NDArray[np.float32]:
    """Return a whole field of blended logits, (C, height, width) in cells."""
    generator = np.random.default_rng(0)
    height, width = grid.cells_shape
    coarse, fine = KINDS[kind]
    field = np.empty((classes, height, width), np.float32)
    for layer in field:
        knots = generator.normal(size=(max(height // 16, 2), max(width // 16, 2))).astype(np.float32)
        smooth = np.asarray(Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC))
        layer[:] = coarse * smooth + fine * generator.normal(size=(height, width))
    return field


def best_ms(action: Callable[[], object], repeat: int) -> float:
    """Return the least of some runs, after one that compiles."""
    action()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def time_labels(grid: Grid, classes: int, kind: str, repeat: int) -> tuple[float, float, float]:
    """Return milliseconds for sampling every class, for the labels, and for labels with confidence."""
    field = make_logits(grid, classes, kind)
    band = LogitsBand(0, field)
    plain, rated = Upsampler(grid), Upsampler(grid, confidence=True)
    return (
        best_ms(lambda: sample_all(field, grid), 1),
        best_ms(lambda: [None for _ in plain.rows(band)], repeat),
        best_ms(lambda: [None for _ in rated.rows(band)], repeat),
    )


def time_blending(grid: Grid, classes: int, repeat: int) -> float:
    """Return milliseconds for adding all tiles to a blender."""
    height, width = (side // 4 for side in grid.tile_shape)
    logits = np.random.default_rng(0).normal(size=(classes, height, width)).astype(np.float32)

    def blend() -> None:
        blender = Blender(grid, classes)
        for tile in grid.tiles():
            blender.add(tile, logits)

    return best_ms(blend, repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, action="append", help="Model pixels per source pixel.")
    parser.add_argument("--classes", type=int, action="append", help="Number of classes.")
    parser.add_argument("--repeat", type=int, default=3, help="Runs to take the best of.")
    asked = parser.parse_args()
    print("| scale | classes | logits | every class, ms | labels, ms | with confidence, ms | blending, ms |")
    print("|---|---|---|---|---|---|---|")
    for scale in asked.scale or (0.256, 1.0):
        grid = plan_grid(SHAPE, scale=scale, tile=(512, 512), overlap=(128, 128))
        for classes in asked.classes or (2, 24, 150):
            blending = time_blending(grid, classes, asked.repeat)
            for kind in KINDS:
                every, labels, rated = time_labels(grid, classes, kind, asked.repeat)
                print(
                    f"| {scale:g} | {classes} | {kind} | {every:.0f} | {labels:.0f} | {rated:.0f} | {blending:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
