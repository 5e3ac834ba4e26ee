"""Time `noseam segment` while one thing varies: size of the photo, overlap, number of classes, or cores.

    python benchmarks/scaling.py [--vary size overlap classes cores] [--rounds 3]

All else stays at a photo of 6000 x 4000, overlap 0.25, 24 classes, all cores, MiT-B0 with random weights, windows of
2000 px brought to 512. Each point runs on a folder of four photos and on one of sixteen. The difference, divided by
twelve, is the time per photo of a long folder, from which megapixels per second follow. The short folder has more than
one photo, because a single one leaves cores idle that a second one uses. `--small` tries one point of each series out,
on tiny photos.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from measure import Run, Spread, machine, noseam_command, run_undisturbed, table, write_model, write_photos

from segment.model.presets import Size
from tiler.grid.tiling import Tiling

FEW, MANY = 4, 16


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the table."""

    height: int = 4000
    width: int = 6000
    overlap: float = 0.25
    classes: int = 24
    cores: int = len(os.sched_getaffinity(0))
    window: int = 2000
    input: int = 512
    size: Size = "b0"

    @property
    def megapixels(self) -> float:
        """Megapixels of one photo."""
        return self.height * self.width / 1e6

    @property
    def tiling(self) -> Tiling:
        """How photos are cut."""
        return Tiling(self.window, self.input, self.overlap)


def points(vary: Sequence[str], base: Point) -> list[tuple[str, Point]]:
    """Return what varies and the points that differ from `base` in that alone."""
    halves = [replace(base, height=base.height * step // 2, width=base.width * step // 2) for step in (1, 2, 4)]
    cores = sorted({min(count, base.cores) for count in (1, 2, 4, base.cores)})
    series = {
        "size": halves,
        "overlap": [replace(base, overlap=overlap) for overlap in (0.0, 0.25, 0.5)],
        "classes": [replace(base, classes=classes) for classes in (2, 24, 150)],
        "cores": [replace(base, cores=count) for count in cores],
    }
    return [(name, point) for name in vary for point in series[name]]


def measure(point: Point, folder: Path, *, rounds: int, prefix: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the cells of seconds of the short folder, seconds per photo, MP/s, cores used and peak MB."""
    model = folder / f"{point.size}-{point.classes}"
    if not model.exists():
        write_model(model, point.classes, point.size, point.tiling)

    def once(source: Path) -> Run:
        command = noseam_command(source, folder / "masks", model, point.tiling, *options)
        return run_undisturbed(command, cores=point.cores, prefix=prefix)

    short, long = (make_folder(point, folder, count) for count in (FEW, MANY))
    once(short)  # fills what noseam caches on disk
    less, more = zip(*((once(short), once(long)) for _ in range(rounds)), strict=True)
    seconds = [many.seconds - few.seconds for few, many in zip(less, more, strict=True)]
    busy = [many.cpu_seconds - few.cpu_seconds for few, many in zip(less, more, strict=True)]
    each = Spread.of([taken / (MANY - FEW) for taken in seconds])
    used = Spread.of([core / taken for core, taken in zip(busy, seconds, strict=True)])
    return [
        str(Spread.of([found.seconds for found in less])), str(each), f"{point.megapixels / each.median:.0f}",
        f"{used.median:.1f}", f"{max(found.peak_mb for found in (*less, *more)):.0f}",
    ]  # fmt: skip


def make_folder(point: Point, folder: Path, count: int) -> Path:
    """Return a folder of `count` copies of one photo, made if they are not there."""
    photo = write_photos(folder / f"one-{point.width}", 1, point.height, point.width) / "photo_00.jpg"
    copies = folder / f"{count}-{point.width}"
    copies.mkdir(exist_ok=True)
    for index in range(count):
        if not (copy := copies / f"photo_{index:02d}.jpg").exists():
            shutil.copy(photo, copy)
    return copies


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ("size", "overlap", "classes", "cores")
    parser.add_argument("--vary", nargs="+", choices=names, default=names, help="What varies.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that every point runs.")
    parser.add_argument("--options", default="", help="More options for noseam, in one string.")
    parser.add_argument("--prefix", default="", help="Command before every measured process, such as `flock FILE`.")
    parser.add_argument("--folder", type=Path, help="Where photos and masks go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="One point of each series, tiny photos, one round.")
    given = parser.parse_args()
    base = Point(400, 600, window=200, input=128, size="nano") if given.small else Point()
    head = (
        "varies", "photo", "overlap", "classes", "cores", f"{FEW} photos with start-up, s", "s per photo", "MP/s",
        "cores used", "peak MB",
    )  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = points(given.vary, base)
        if given.small:
            chosen = [next(pair for pair in chosen if pair[0] == name) for name in given.vary]
        for name, point in chosen:
            cells = measure(
                point, folder, rounds=1 if given.small else given.rounds,
                prefix=shlex.split(given.prefix), options=shlex.split(given.options),
            )  # fmt: skip
            size = f"{point.width} x {point.height}"
            rows.append([name, size, f"{point.overlap:g}", str(point.classes), str(point.cores), *cells])
            print(" ".join(rows[-1]), flush=True)
    print(f"\n{table(head, rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
