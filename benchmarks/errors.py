"""Ask which raster finds wrong labels better, confidence or disagreement, on scenes whose truth is known.

    python benchmarks/errors.py [--model bundled:demo] [--photos 6] [--size 2048 3072] [--seed 501] [--tile 512]
    python benchmarks/errors.py --model MODEL --images FOLDER --truth FOLDER [--tile PX] [--window PX]

Photos are segmented as they are, blurred, and faded, so that the model also meets what it was not trained on. "AUROC":
how often a wrong label ranks above a right one, ties by half; 50 is chance. "wrong among the worst": how many of the
labels that a raster calls worst are wrong; where a level of it holds more pixels than are wanted, their mean counts.
"two tiles": only where tiles overlap; "everywhere": where one tile stands alone, nothing disagrees. "both": confidence
and disagreement added up.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from measure import machine, table
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

import noseam
from tiler.files.pairs import pair_files

LEVELS = 255
WORST = 0.01, 0.05, 0.10
HEAD = (
    "photos",
    "where",
    "wrong, %",
    "raster",
    "AUROC, %",
    *(f"wrong among the worst {100 * each:g} %, %" for each in WORST),
)
Counts = NDArray[np.int64]
"""Right and wrong labels by what a raster says of them, from good to bad: shape (levels, 2)."""


def changed(picture: Image.Image, how: str) -> Image.Image:
    """Return a photo as a model did not meet it in training."""
    if how == "blurred":
        return picture.filter(ImageFilter.GaussianBlur(3))
    if how == "faded":
        return ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(0.6)).enhance(0.4)
    return picture


def count(doubt: NDArray[np.uint16], wrong: NDArray[np.bool_], levels: int) -> Counts:
    """Return how many labels are right and wrong at each level of doubt."""
    found = np.bincount(2 * doubt.ravel().astype(np.int64) + wrong.ravel(), minlength=2 * levels)
    return found.reshape(levels, 2)


def auroc(counts: Counts) -> float:
    """Return how often a wrong label is doubted more than a right one, ties by half."""
    right, wrong = counts.T.astype(float)
    below = np.concatenate(([0], np.cumsum(right)[:-1]))
    return float((wrong * (below + right / 2)).sum() / (wrong.sum() * right.sum()))


def wrong_among_worst(counts: Counts, share: float) -> float:
    """Return which share of the most doubted labels is wrong."""
    worst_first = counts[::-1].sum(axis=1)
    wanted = share * worst_first.sum()
    taken = np.minimum(np.cumsum(worst_first), wanted)
    taken = np.diff(np.concatenate(([0], taken)))
    of_level = counts[::-1, 1] / np.maximum(worst_first, 1)
    return float((taken * of_level).sum() / wanted)


def read(path: Path) -> NDArray[np.uint8]:
    """Return the one band of a mask."""
    with rasterio.open(path) as file:
        found: NDArray[np.uint8] = file.read(1)
    return found


def doubts(masks: Path, stem: str) -> Iterator[tuple[str, str, NDArray[np.uint16], NDArray[np.bool_]]]:
    """Yield what rasters say of an image: where, which raster, its doubt in each pixel, and the pixels that count."""
    sure, apart = read(masks / f"{stem}_confidence.png"), read(masks / f"{stem}_disagreement.png")
    labelled, several = sure != 255, apart != 255
    unsure = (254 - np.minimum(sure, 254)).astype(np.uint16)
    differing = np.where(several, apart, 0).astype(np.uint16)
    for where, pixels in (("two tiles", labelled & several), ("everywhere", labelled)):
        yield where, "confidence", unsure, pixels
        yield where, "disagreement", differing, pixels
        yield where, "both", unsure + differing, pixels


def measured(images: Path, truth: Path, out: Path, options: dict[str, object]) -> dict[tuple[str, str], Counts]:
    """Segment photos; return the counts by place and raster."""
    for outcome in noseam.segment(images, out, confidence=True, disagreement=True, format="png", **options):  # type: ignore[arg-type]
        if outcome.state == "failed":
            sys.exit(outcome.reason)
    found: dict[tuple[str, str], Counts] = {}
    for pair in pair_files(out, truth).pairs:
        labels, true = read(pair.first), read(pair.second)
        for where, raster, doubt, pixels in doubts(pair.first.parent, pair.first.stem.removesuffix("_label")):
            pixels &= true != 255
            counts = count(doubt[pixels], (labels != true)[pixels], 2 * LEVELS)
            found[where, raster] = found.get((where, raster), np.zeros((2 * LEVELS, 2), np.int64)) + counts
    return found


def rows(how: str, found: dict[tuple[str, str], Counts]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table for some photos."""
    total = {where: counts.sum() for (where, _), counts in found.items()}
    for (where, raster), counts in found.items():
        place = f"{where} ({100 * total[where] / total['everywhere']:.0f} %)" if where != "everywhere" else where
        shares = (f"{100 * wrong_among_worst(counts, share):.1f}" for share in WORST)
        yield (
            how,
            place,
            f"{100 * counts[:, 1].sum() / counts.sum():.2f}",
            raster,
            f"{100 * auroc(counts):.1f}",
            *shares,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bundled:demo")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--size", type=int, nargs=2, default=(2048, 3072))
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--tile", default="512")
    parser.add_argument("--window", type=int)
    parser.add_argument("--as-they-are", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        images, truth = given.images, given.truth
        if images is None:
            size, scenes = map(str, given.size), Path(folder, "scenes")
            command = [sys.executable, "-m", "cli", "-q", "scenes", str(scenes), "--photos", str(given.photos)]
            subprocess.run([*command, "--photo-size", *size, "--seed", str(given.seed)], check=True)
            images, truth = scenes / "images", scenes / "truth"
        lines: list[tuple[str, ...]] = []
        for how in ("as they are",) if given.as_they_are else ("as they are", "blurred", "faded"):
            there = Path(folder, how)
            there.mkdir()
            for path in sorted(path for path in images.iterdir() if path.is_file()):
                changed(Image.open(path).convert("RGB"), how).save(there / f"{path.stem}.png", compress_level=1)
            options = {"model": given.model, "tile": given.tile, "window_px": given.window}
            lines += rows(how, measured(there, truth, Path(folder, f"masks {how}"), options))
    print(table(HEAD, lines))
    print(machine())


if __name__ == "__main__":
    main()
