"""Photos and networks, made once and quickly."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import joblib
from measure import make_photo, write_model
from PIL import Image

from on_gpu.bench import Bench, Row
from segment.model.presets import Size
from tiler.grid.tiling import Tiling

CLASSES = 24
DISTINCT = 8
"""Photos that differ; a long folder holds each many times."""


def make_photos(bench: Bench) -> Iterator[Row]:
    """Make the distinct photos on all cores, and the networks."""
    folder = bench.folder / "distinct"
    folder.mkdir(exist_ok=True)
    count = 2 if bench.small else DISTINCT
    make = partial(_make, folder, bench.photo_shape)
    if bench.small:
        sizes = list(map(make, range(count)))
    else:
        with ProcessPoolExecutor(min(int(joblib.cpu_count()), count), get_context("spawn")) as pool:
            sizes = list(pool.map(make, range(count)))
    yield Row("distinct photos", count, more={"MB each": sum(sizes) / count / 1e6, "megapixels": bench.megapixels})
    for size in bench.sizes:
        model_of(bench, size)
    yield Row("networks", " and ".join(bench.sizes), more={"classes": CLASSES})


def _make(folder: Path, shape: tuple[int, int], index: int) -> int:
    path = folder / f"photo_{index:02d}.jpg"
    if not path.exists():
        Image.fromarray(make_photo(*shape, index)).save(path, quality=92)
    return path.stat().st_size


def photos(bench: Bench, count: int) -> Path:
    """Return a folder of so many photos, links to the distinct ones."""
    folder = bench.folder / f"photos-{count}"
    if folder.exists():
        return folder
    folder.mkdir()
    distinct = sorted((bench.folder / "distinct").glob("*.jpg"))
    for index in range(count):
        _link(distinct[index % len(distinct)], folder / f"photo_{index:04d}.jpg")
    return folder


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def model_of(bench: Bench, size: Size) -> Path:
    """Return an untrained checkpoint, written once."""
    folder = bench.folder / f"model-{size}"
    if not (folder / "config.json").exists():
        write_model(folder, CLASSES, size, Tiling(bench.window_px, bench.input_px))
    return folder
