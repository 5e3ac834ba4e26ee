"""Compare what `noseam plan` says of three jobs with what the jobs then take.

Run from the repository, inside its virtual environment:

    python benchmarks/plan.py [--rounds 3] [--only photos small mosaic] [--folder DIR] [--small]

It makes its own images: photos, small photos, and an orthomosaic with empty corners that also gets confidence and
polygons. The bundled model segments them. In each round every job is planned and then run, one right after the other,
each as a process of its own, so that both meet the same machine. `core seconds` are those of the job without its
start-up; unlike seconds they do not depend on what else runs. `--small` tries it out on tiny images.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from measure import Run, Spread, machine, make_photo, run, table, write_photos
from rasterio.windows import Window

import noseam

RECORDS = {"manifest.jsonl", "summary.csv"}
FIGURES = ("seconds", "core seconds", "memory, MB", "files, MB", "cores")


@dataclass(frozen=True, slots=True)
class Job:
    """Some images, and what is asked for."""

    name: str
    make: Callable[[Path, int], object]
    options: tuple[str, ...] = ()


def write_mosaic(folder: Path, divisor: int) -> None:
    """Write a GeoTIFF of 12,000 x 12,000 pixels over this divisor, with nodata outside of a diamond."""
    side, path = 12_000 // divisor, folder / "mosaic.tif"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    band, columns = side // 4, np.abs(np.arange(side) / side - 0.5)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", nodata=0, tiled=True,
        blockxsize=512, blockysize=512, compress="jpeg" if divisor == 1 else "deflate", photometric="rgb",
        crs="EPSG:32632", transform=rasterio.Affine(0.02, 0, 500_000, 0, -0.02, 5_000_000),
    ) as dataset:  # fmt: skip
        for start in range(0, side, band):
            pixels = np.maximum(make_photo(band, side, start), 1).transpose(2, 0, 1)
            rows = np.abs(np.arange(start, start + band) / side - 0.5)
            dataset.write(pixels * (rows[:, np.newaxis] + columns < 0.7), window=Window(0, start, side, band))


JOBS = (
    Job("photos", lambda folder, divisor: write_photos(folder, 12, 4000 // divisor, 6000 // divisor)),
    Job("small", lambda folder, divisor: write_photos(folder, 300 // divisor, 750, 1000)),
    Job("mosaic", write_mosaic, ("confidence", "polygons")),
)


def segment(source: Path, out: Path, options: Iterable[str]) -> Run:
    """Segment the images of a job, in a process of its own."""
    command = [sys.executable, "-m", "cli", "-q", "segment", str(source), "--out", str(out), "--model", "demo"]
    return run([*command, *(f"--{name}" for name in options)])


def measure(job: Job, source: Path, out: Path) -> dict[str, tuple[float, float]]:
    """Return what was said of a job and what it took, for each figure."""
    shutil.rmtree(out, ignore_errors=True)
    options: dict[str, Any] = dict.fromkeys(job.options, True)
    began = time.monotonic()
    said = noseam.plan(source, out, model="demo", **options).estimate
    planning_s = time.monotonic() - began
    took = segment(source, out, options)
    start = segment(source, out, options)  # it skips every image
    assert said is not None
    assert said.seconds is not None
    assert said.core_s is not None
    assert said.memory_bytes is not None
    assert said.calibration is not None
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in RECORDS]
    return {
        "seconds": (said.seconds, took.seconds),
        "core seconds": (said.core_s, took.cpu_seconds - start.cpu_seconds),
        "memory, MB": (said.memory_bytes / 1e6, took.peak_mb),
        "files, MB": ((said.mask_bytes + said.report_bytes) / 1e6, sum(path.stat().st_size for path in files) / 1e6),
        "cores": (said.calibration.cores, took.cpu_seconds / took.seconds),
        "planning": (planning_s, planning_s),
    }


def row(name: str, rounds: Sequence[dict[str, tuple[float, float]]]) -> list[str]:
    """Return a row of the table: for each figure what was said, what came, and how far off that was in the median."""
    cells = [name, str(Spread.of([each["planning"][0] for each in rounds]))]
    for figure in FIGURES:
        said, came = (Spread.of([each[figure][side] for each in rounds]) for side in (0, 1))
        off = Spread.of([100 * (each[figure][0] / each[figure][1] - 1) for each in rounds])
        cells += [str(said), str(came), f"{off.median:+.0f} ({off.least:+.0f} to {off.most:+.0f})"]
    return cells


def main() -> None:
    """Measure the jobs and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [job.name for job in JOBS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="Which jobs.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that every job is planned and run.")
    parser.add_argument("--folder", type=Path, help="Where images and masks go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="Tiny images, one round.")
    given = parser.parse_args()
    found: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in given.only}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        jobs = [job for job in JOBS if job.name in given.only]
        for job in jobs:
            job.make(folder / job.name, 10 if given.small else 1)
        for _ in range(1 if given.small else given.rounds):
            for job in jobs:
                found[job.name].append(measure(job, folder / job.name, folder / "masks"))
                print(job.name, found[job.name][-1], flush=True)
    head = [f"{figure}{end}" for figure in FIGURES for end in (", said", ", came", ", % off")]
    rows = [row(name, rounds) for name, rounds in found.items()]
    print(f"\n{table(['job', 'planning, s', *head], rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
