"""Measure polygons of large label masks: seconds, number and peak memory; compare tiles with the whole mask.

Run from the repository, inside its virtual environment with the extra `vector`, on Linux:

    python benchmarks/polygons.py [--size 10000] [--check 4096] [--folder DIR] [--small]
    python benchmarks/polygons.py --batches 33000

It makes up masks of 7 classes: smooth blobs, and the same with noise that frays every outline into specks. Each is
turned into a GeoPackage by `tiler.polygons.make` in a process of its own: as it is; without patches of less than
0.16 square metres (64 pixels); and with outlines simplified too. The memory is the largest resident set that the kernel
saw. Then the polygons of a part are compared with those of one call of `rasterio.features.shapes`.

With `--batches` it writes so many batches of two squares instead, and a half and a quarter as many. The seconds should
grow with the batches, and no faster.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import shapely
from measure import machine, run_undisturbed, table
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from rasterio.features import shapes

from tiler.polygons.features import Features
from tiler.polygons.trace import trace
from tiler.polygons.vector_file import write_features

CLASSES, CELL, GSD_M = 7, 64, 0.05
FRAY = {"smooth": 0.0, "frayed": 0.05}
"""Standard deviation of the noise on fields of standard deviation 1."""
REQUESTS: dict[str, dict[str, float]] = {
    "as it is": {"min_area_m2": 0.0},
    "from 64 px on": {"min_area_m2": 0.16},
    "from 64 px on, simplified": {"min_area_m2": 0.16, "simplify_px": 1.0},
}
PACKAGES = ("noseam", "numpy", "rasterio", "shapely", "pyogrio", "pyarrow")
WRITE = """
import json, sys, time
from pathlib import Path
from tiler.polygons.make import write_polygons
from tiler.polygons.request import PolygonOptions
mask, out, request = sys.argv[1:]
started = time.monotonic()
report = write_polygons(Path(mask), Path(out), PolygonOptions(**json.loads(request)))
print(json.dumps([report.polygons, time.monotonic() - started]))
"""


def make_labels(size: int, fray: float) -> NDArray[np.uint8]:
    """Return the largest of random fields, pixel by pixel."""
    generator = np.random.default_rng(0)
    best, labels = np.full((size, size), -np.inf, np.float32), np.zeros((size, size), np.uint8)
    for index in range(CLASSES):
        coarse = generator.normal(size=(size // CELL + 2, size // CELL + 2)).astype(np.float32)
        field = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
        field = field + fray * generator.standard_normal((size, size), np.float32)
        labels[field > best] = index
        np.maximum(best, field, out=best)
    return labels


def write_mask(path: Path, labels: NDArray[np.uint8]) -> Path:
    height, width = labels.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8", nodata=255, crs="EPSG:32633",
        transform=rasterio.Affine(GSD_M, 0, 500_000, 0, -GSD_M, 5_000_000), tiled=True, compress="deflate",
    ) as dataset:  # fmt: skip
        dataset.write(labels, 1)
    return path


def measure(mask: Path, request: dict[str, float]) -> list[str]:
    """Write a GeoPackage; return polygons, seconds, seconds of the whole process, its peak memory, size of the file."""
    out = mask.with_suffix(".gpkg")
    found = run_undisturbed([sys.executable, "-W", "ignore", "-c", WRITE, str(mask), str(out), json.dumps(request)])
    polygons, seconds = json.loads(found.output)
    return [
        f"{polygons}", f"{seconds:.1f}", f"{found.seconds:.1f}", f"{found.peak_mb:.0f}",
        f"{out.stat().st_size / 1e6:.0f}",
    ]  # fmt: skip


def compare(labels: NDArray[np.uint8], tile_px: int = 1024) -> list[str]:
    """Return polygons and seconds, by tiles and at once, and the largest difference of a class's area, pixels."""
    started = time.monotonic()
    strips = (labels[row : row + tile_px] for row in range(0, len(labels), tile_px))
    tiled, tiled_areas = 0, np.zeros(CLASSES)
    for patches in trace(strips, tile_px=tile_px):
        tiled += len(patches)
        np.add.at(tiled_areas, patches.class_ids, shapely.area(patches.polygons))
    between = time.monotonic()
    whole, whole_areas = 0, np.zeros(CLASSES)
    for shape, value in shapes(labels):
        whole += 1
        whole_areas[int(value)] += shapely.geometry.shape(shape).area
    ended = time.monotonic()
    difference = np.abs(tiled_areas - whole_areas).max()
    return [f"{tiled}", f"{between - started:.1f}", f"{whole}", f"{ended - between:.1f}", f"{difference:g}"]


def write_batches(path: Path, count: int) -> float:
    """Write many small batches of polygons; return processor seconds of this process."""
    squares = shapely.box(np.arange(2 * count) % 1000, np.arange(2 * count) // 1000, np.arange(2 * count) % 1000 + 1,
                          np.arange(2 * count) // 1000 + 1)  # fmt: skip
    batches = (
        Features(squares[first : first + 2], np.zeros(2, np.uint8), ["one"] * 2, np.ones(2), "a.tif", None)
        for first in range(0, 2 * count, 2)
    )
    started = time.process_time()
    write_features(path, batches, CRS.from_epsg(32633), "a")
    return time.process_time() - started


def measure_batches(folder: Path, most: int) -> list[list[str]]:
    """Return a row per format: seconds of a quarter, a half and all batches, and the last by the first."""
    rows = []
    for suffix in (".parquet", ".gpkg", ".fgb"):
        seconds = [write_batches(folder / f"{part}{suffix}", most // part) for part in (4, 2, 1)]
        rows.append([suffix, *(f"{each:.2f}" for each in seconds), f"{seconds[-1] / seconds[0]:.1f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000, help="Side of the masks, pixels.")
    parser.add_argument("--check", type=int, default=4096, help="Side of the part that is compared, pixels.")
    parser.add_argument("--folder", type=Path, help="Where masks and polygons go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="Masks of 1000 pixels.")
    parser.add_argument("--batches", type=int, metavar="N", help="Write so many small batches instead.")
    arguments = parser.parse_args()
    if most := arguments.batches:
        with tempfile.TemporaryDirectory() as temporary:
            head = ["format", *(f"{most // part} batches, s" for part in (4, 2, 1)), "4 times the batches"]
            print(table(head, measure_batches(Path(temporary), most)), machine(PACKAGES), sep="\n\n")
        return
    size = 1000 if arguments.small else arguments.size
    rows, checks = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, fray in FRAY.items():
            labels = make_labels(size, fray)
            mask = write_mask(folder / f"{name}.tif", labels)
            rows += [[name, asked, *measure(mask, request)] for asked, request in REQUESTS.items()]
            checks.append([name, *compare(labels[: arguments.check, : arguments.check])])
    print(table(["mask", "polygons", "number", "s", "s with start-up", "peak MB", "GeoPackage MB"], rows))
    print()
    print(table(["part", "by tiles", "s", "at once", "s", "largest difference of areas, px"], checks))
    print()
    print(machine(PACKAGES))


if __name__ == "__main__":
    main()
