"""Measure how a made-up survey is cut into crops: speed, cores used, and peak memory of the process tree.

Run from the repository, inside its virtual environment, on Linux:

    python benchmarks/crop.py [--images 40] [--jobs -1] [--folder DIR] [--small]

It makes a few distinct photos of 6000 x 4000 pixels (JPEG, quality 92) and masks of 24 classes (PNG of
ids), copies them to the number asked for, and cuts them into crops of 2000 px in a process of its own,
by `tiler.crops.make.make_crops`. Every 50 ms the proportional set sizes (PSS, which counts shared pages once) of
that process and its children are summed; the largest sum is the peak. Sources were just written, so
they are read from the page cache.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from measure import table
from PIL import Image

HEIGHT, WIDTH = 4000, 6000
CLASSES = 24
DISTINCT = 4
INTERVAL_S = 0.05
CUT = """
import sys
from pathlib import Path
from tiler.crops.make import make_crops
from tiler.crops.plan import CropOptions
images, masks, out, jobs = sys.argv[1:]
report = make_crops(Path(images), Path(masks), Path(out), CropOptions(), classes=None, jobs=int(jobs))
assert not report.failed, report.failed
"""


def make_survey(folder: Path, count: int) -> int:
    """Write photos and masks; return their size in bytes."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image, mask = folder / "images" / f"{index:04d}.jpg", folder / "masks" / f"{index:04d}.png"
        if index < DISTINCT:
            _make_pair(image, mask, seed=index)
        else:
            shutil.copyfile(folder / "images" / f"{index % DISTINCT:04d}.jpg", image)
            shutil.copyfile(folder / "masks" / f"{index % DISTINCT:04d}.png", mask)
    return sum(path.stat().st_size for path in folder.rglob("*.*"))


def _make_pair(image: Path, mask: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    cell = 50
    fields = generator.integers(0, CLASSES, (HEIGHT // cell, WIDTH // cell), dtype=np.uint8)
    labels = fields.repeat(cell, axis=0).repeat(cell, axis=1)
    colours = generator.integers(30, 226, (CLASSES, 3), dtype=np.uint8)
    noise = generator.integers(-20, 21, (HEIGHT, WIDTH, 1), dtype=np.int16)
    Image.fromarray(np.clip(colours[labels] + noise, 0, 255).astype(np.uint8)).save(image, quality=92)
    Image.fromarray(labels).save(mask)


def measure(folder: Path, jobs: int) -> tuple[float, float, float]:
    """Cut a survey; return wall seconds, CPU seconds and peak memory of the process tree in MB."""
    command = [sys.executable, "-c", CUT, *(str(folder / name) for name in ("images", "masks", "crops")), str(jobs)]
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, _tree(process.pid))))
            time.sleep(INTERVAL_S)
    if process.returncode:
        raise SystemExit("cutting failed")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of a child and of its workers, because it waits for them
    return time.monotonic() - started, used.ru_utime + used.ru_stime, peak / 1e6


def _tree(root: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may just have ended
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:  # it may just have ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=40, help="Number of images.")
    parser.add_argument("--jobs", type=int, default=-1, help="Number of processes; -1: one per core.")
    parser.add_argument("--folder", type=Path, help="Where images and crops go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="Two images.")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.images = 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        shutil.rmtree(folder / "crops", ignore_errors=True)
        megabytes = make_survey(folder, arguments.images) / 1e6
        seconds, cpu, peak = measure(folder, arguments.jobs)
    megapixels = arguments.images * HEIGHT * WIDTH / 1e6
    head = "images", "megapixels", "source MB", "seconds", "MB/s", "megapixels/s", "cores used", "peak memory, MB"
    row = (
        f"{arguments.images}", f"{megapixels:.0f}", f"{megabytes:.0f}", f"{seconds:.1f}", f"{megabytes / seconds:.1f}",
        f"{megapixels / seconds:.0f}", f"{cpu / seconds:.1f}", f"{peak:.0f}",
    )  # fmt: skip
    print(table(head, [row]))


if __name__ == "__main__":
    main()
