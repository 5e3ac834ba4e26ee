"""Ask which labels depend on where tiles lie, remedy by remedy: one image under several grids, nothing else changed.

    python benchmarks/seams.py --model MODEL --images FOLDER [--truth FOLDER] [--photos 12] [--only REGEX] [--cut]
    python benchmarks/seams.py --model bundled:demo --fields 3 --only noseam --masks FOLDER

"depends": per cent of labels that differ between the plain grid and two whose inner tiles are moved, by a third and two
thirds, and by a half, of the gap between tiles; in brackets the standard error over images. "by confidence": the same
among labels of a confidence below 0.1, 0.3, 0.6 and above. "lines": changes of label within 16 px of the middle of an
overlap, over those at the same places under a grid that has no overlap there; 1 where lines leave no trace. "cut": the
image against itself without its first 64 rows and 96 columns; this changes what the network sees at the border, so it
is not 0 for an image in one tile.

Labels are those of the logits grid. Truth is read at the centres of its cells. "pixels" go through the network for each
of the image. "work" counts attention too (`tiler/grid/fit.py`). "core seconds" are the sum over tiles of the fastest
forward pass of their shape, by OpenVINO in fp32 on one core.

`--fields` makes up photos of even, pale fields. `--masks` writes masks in colour, the plain grid's above that of a
moved one.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import machine, make_field, table
from numpy.typing import NDArray
from PIL import Image
from remedies import NO_SHIFT, REMEDIES, Photo, Remedy, Shift, shape_from_afar
from tally import HEAD, Labels, Logits, Shape, Tally, label

from segment.engine.choose import open_engine
from segment.engine.request import EngineOptions
from segment.model.checkpoint import Description, describe_checkpoint, weights_digest
from tiler.classes import ClassTable
from tiler.files.pairs import pair_files
from tiler.files.walk import walk_survey
from tiler.grid.fit import tile_cost
from tiler.grid.tiles import LOGITS_STRIDE, Grid, plan_grid
from tiler.grid.window import Window
from tiler.masks.labels import open_labels
from tiler.source.image import open_image
from tiler.source.raster import gdal_environment

SHIFTS: tuple[Shift, ...] = ((1 / 3, 2 / 3), (1 / 2, 1 / 2))
CUT_PX = 64, 96
FIELD_SHAPE = 2048, 3072


class TimedNetwork:
    """A network on one core, in fp32, that notes how long each shape of tiles takes at least."""

    def __init__(self, description: Description) -> None:
        digest = weights_digest(description)
        self._engine = open_engine(description, digest, EngineOptions(device="cpu", precision="fp32"), threads=1)
        self.seconds: dict[Shape, float] = {}

    def __call__(self, tile: NDArray[np.uint8]) -> Logits:
        """Return the logits of a tile."""
        shape = tile.shape[1], tile.shape[2]
        if shape not in self.seconds:
            self._engine.submit(tile).result()  # compiles the network for this shape
        started = time.process_time()
        logits: Logits = np.asarray(self._engine.submit(tile).result())
        seconds = time.process_time() - started
        self.seconds[shape] = min(self.seconds.get(shape, seconds), seconds)
        return logits

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()


@dataclass(frozen=True, slots=True)
class Case:
    """An image at the model's scale."""

    name: str
    """Of the file."""
    pixels: NDArray[np.uint8]
    """Red, green, blue, shape (3, height, width)."""
    truth: Labels | None
    """At the centres of the cells of the logits grid."""


def read_cases(given: argparse.Namespace, description: Description) -> Iterator[Case]:
    """Yield made-up fields, or images evenly spread over those of the folder."""
    for seed in range(given.fields):
        yield Case(f"field-{seed}", _smaller(make_field(*FIELD_SHAPE, seed), description.tiling.scale()), None)
    paths = [] if given.images is None else [found.path for found in walk_survey([given.images], out=None).images]
    truth = {pair.first: pair.second for pair in pair_files(given.images, given.truth).pairs} if given.truth else {}
    count = min(given.photos or len(paths), len(paths))
    for index in range(count):
        path = paths[index * (len(paths) - 1) // max(count - 1, 1)]
        with gdal_environment():
            yield _read(path, truth.get(path), description)


def _smaller(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _read(path: Path, truth: Path | None, description: Description) -> Case:
    tiling = description.tiling
    with open_image(path) as image:
        grid = plan_grid(image.info.shape, scale=tiling.scale(), tile=(tiling.input_px,) * 2, overlap=(0, 0))
        pixels = image.model_rows(grid, 0, grid.model_shape[0])
    return Case(path.stem, pixels, None if truth is None else _read_truth(truth, grid.model_shape, description.classes))


def _read_truth(path: Path, model_shape: Shape, classes: ClassTable) -> Labels:
    with open_labels(path, classes) as labels:
        full = labels.read(Window(0, 0, *labels.shape))
    rows, cols = (
        np.minimum(np.arange(LOGITS_STRIDE / 2, model + 2, LOGITS_STRIDE) * source / model, source - 1).astype(int)
        for source, model in zip(full.shape, model_shape, strict=True)
    )
    return full[np.ix_(rows, cols)]


class Bench:
    """One model and the remedies to measure with it."""

    def __init__(self, description: Description, remedies: list[Remedy], *, cut: bool) -> None:
        self._description, self._remedies, self._cut = description, remedies, cut
        self._network = TimedNetwork(description)
        self._tallies = [Tally(len(description.classes)) for _ in remedies]

    def measure(self, case: Case, masks: Path | None) -> None:
        """Add an image to the tallies; write its masks into a folder if there is one."""
        photo = Photo(case.pixels, self._network)
        beyond = Photo(case.pixels[:, CUT_PX[0] :, CUT_PX[1] :], self._network)
        for number, (remedy, tally) in enumerate(zip(self._remedies, self._tallies, strict=True)):
            found = self._compare(photo, remedy, tally)
            if case.truth is not None:
                tally.judge(found[0], case.truth)
            if self._cut:
                other, _ = self._label(beyond, remedy, NO_SHIFT)
                rows, cols = (side // LOGITS_STRIDE for side in CUT_PX)
                tally.cut.append(100 * float((other != found[0][rows:, cols:]).mean()))
            if masks is not None:
                self._draw(masks / f"{case.name}-{number:02d}.png", found)

    def table(self) -> str:
        """Return what came out, in Markdown."""
        rows = zip(self._remedies, self._tallies, strict=True)
        return table(HEAD, [tally.row(remedy.name, self._network.seconds) for remedy, tally in rows])

    def close(self) -> None:
        """Stop the network."""
        self._network.close()

    def _compare(self, photo: Photo, remedy: Remedy, tally: Tally) -> list[Labels]:
        """Return the labels of an image, of the plain grid first."""
        labels, sure = self._label(photo, remedy, NO_SHIFT)
        others = [self._label(photo, remedy, shift)[0] for shift in SHIFTS]
        tally.compare(labels, sure, others)
        plain = self._grids(photo, remedy, NO_SHIFT)
        for shift, other in zip(SHIFTS, others, strict=True):
            tally.cross(labels, plain[0], other, self._grids(photo, remedy, shift)[0])
        tiles = [grid.tile_shape for grid in plain for _ in grid.tiles()]
        tiles += [shape_from_afar(photo.shape, remedy.low)] * bool(remedy.low)
        tally.tiles.append(tuple(tiles))
        area = photo.shape[0] * photo.shape[1]
        tally.pixels.append(sum(height * width for height, width in tiles) / area)
        work = (tile_cost(height * width, self._description.cost.balance_px) for height, width in tiles)
        tally.work.append(sum(work) / area)
        return [labels, *others]

    def _label(self, photo: Photo, remedy: Remedy, shift: Shift) -> tuple[Labels, NDArray[np.float32]]:
        return label(photo.blended(remedy, self._grids(photo, remedy, shift)))

    def _grids(self, photo: Photo, remedy: Remedy, shift: Shift) -> list[Grid]:
        return remedy.grids(photo.shape, self._description.tiling, self._description.cost.balance_px, shift)

    def _draw(self, path: Path, found: list[Labels]) -> None:
        palette = self._description.classes.palette()[:, :3]
        picture = Image.fromarray(palette[np.concatenate([found[0], found[-1]])])
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize((4 * picture.width, 4 * picture.height), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bundled:demo", help="A checkpoint.")
    parser.add_argument("--images", type=Path, help="A folder of images.")
    parser.add_argument("--truth", type=Path, help="A folder of label masks of the same names.")
    parser.add_argument("--photos", type=int, default=0, help="So many of the images, evenly spread; 0: all.")
    parser.add_argument("--fields", type=int, default=0, help="Make up so many photos of even fields.")
    parser.add_argument("--only", default="", help="A regular expression of the names of remedies to measure.")
    parser.add_argument("--cut", action="store_true", help="Compare with the image cut at its start, too.")
    parser.add_argument("--masks", type=Path, help="Write masks into this folder.")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "Dataset has no geotransform")
    remedies = [remedy for remedy in REMEDIES if re.search(given.only, remedy.name)]
    bench = Bench(describe_checkpoint(given.model), remedies, cut=given.cut)
    for case in read_cases(given, describe_checkpoint(given.model)):
        started = time.monotonic()
        bench.measure(case, given.masks)
        print(f"{case.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(bench.table())
    bench.close()
    print(machine())


if __name__ == "__main__":
    main()
