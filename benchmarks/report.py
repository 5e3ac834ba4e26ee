"""What a report costs: its previews within a run, the page at its end, all of it from files, and the space it takes.

Run from the repository, inside its virtual environment:

    python benchmarks/report.py [--rounds 3] [--count 12] [--photos DIR] [--many 2000] [--folder DIR] [--small]
        [--model bundled:demo] [--window N]

A model segments photos of 6000 x 4000 pixels with `--report` and `--no-report` in turn, each as a process of its own:
that of the demo, another checkpoint, or a network of random weights by its size, such as b0. Then `noseam report`
runs over the masks: as they are, and without any preview. Photos are made-up scenes, of which each is there several
times, or those of a folder. At the end the page of many small images is made, again and again. `--small` tries it out
on tiny images.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from measure import Run, Spread, machine, run, table, write_model, write_photos

from segment.model.presets import Size
from tiler.grid.tiling import Tiling
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import IMAGES, make_survey

SCENES = 3
SEED = 4711


def copies(folder: Path, count: int, divisor: int) -> Path:
    """Write some made-up photos, each several times under another name, and return their folder."""
    photos = folder / "photos"
    if not photos.exists():
        shape = (4000 // divisor, 6000 // divisor)
        make_survey(folder / "scenes", SceneOptions(photos=SCENES, photo_shape=shape, orthomosaics=0, seed=SEED))
        photos.mkdir(parents=True)
        made = sorted((folder / "scenes" / IMAGES).iterdir())
        for index in range(count):
            shutil.copyfile(made[index % len(made)], photos / f"{index:03d}.jpg")
    return photos


def checkpoint(model: str, folder: Path) -> str:
    """Return a model, or write one of random weights where its size is named."""
    sizes: tuple[Size, ...] = get_args(Size)
    for size in sizes:
        if model == size:
            return str(write_model(folder / size, classes=24, size=size, tiling=Tiling()))
    return model


def segment(photos: Path, out: Path, *more: str) -> Run:
    """Segment photos with confidence, in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    return run([sys.executable, "-m", "cli", "-q", "segment", str(photos), "--out", str(out), "--confidence", *more])


def report(out: Path) -> Run:
    """Make the report of masks, in a process of its own."""
    return run([sys.executable, "-m", "cli", "-q", "report", str(out)])


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def of_photos(photos: Path, out: Path, rounds: int, model: Sequence[str]) -> list[list[str]]:
    """Return the rows of the table of large photos: what a run takes, what a report does, for each photo."""
    count = len(list(photos.iterdir()))
    seconds: dict[str, list[float]] = {}
    segment(photos, out, *model)  # the first run makes the network ready, and no other does
    for _ in range(rounds):
        without = segment(photos, out, "--no-report", *model)
        with_report = segment(photos, out, *model)
        page = report(out)
        took = size(out / "report")
        shutil.rmtree(out / "report" / "images")
        from_files = report(out)
        found = {
            "run without a report, core seconds a photo": without.cpu_seconds / count,
            "the report's share of the run, % of core seconds": 100
            * (with_report.cpu_seconds / without.cpu_seconds - 1),
            "the report's share of the run, % of seconds": 100 * (with_report.seconds / without.seconds - 1),
            "`noseam report`, seconds a photo": page.seconds / count,
            "`noseam report` with all previews missing, seconds a photo": from_files.seconds / count,
            "space, MB a photo": took / 1e6 / count,
        }
        print(found, flush=True)
        for name, value in found.items():
            seconds.setdefault(name, []).append(value)
    return [[name, str(Spread.of(values))] for name, values in seconds.items()]


def of_many(photos: Path, out: Path, rounds: int, model: Sequence[str]) -> list[list[str]]:
    """Return the rows of the table of many small images."""
    segment(photos, out, *model)
    made = [report(out).seconds for _ in range(rounds)]
    page = size(out / "report" / "assets") + sum(
        (out / "report" / name).stat().st_size for name in ("index.html", "data.js")
    )
    count = len(list(photos.iterdir()))
    return [
        [f"`noseam report` of {count:,} small images, seconds", str(Spread.of(made))],
        ["its page without previews, MB", f"{page / 1e6:.2f}"],
    ]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything is run.")
    parser.add_argument("--count", type=int, default=12, help="Photos of 24 megapixels.")
    parser.add_argument("--photos", type=Path, help="Take the photos in this folder instead.")
    parser.add_argument("--many", type=int, default=2000, help="Small images.")
    parser.add_argument("--folder", type=Path, help="Where images and masks go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="Tiny images, one round.")
    parser.add_argument("--model", default="bundled:demo", help="A checkpoint, or a size for random weights.")
    parser.add_argument("--window", type=int, help="Side of a window, where the model is not to say.")
    given = parser.parse_args()
    divisor, rounds = (10, 1) if given.small else (1, given.rounds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        model = ["--model", checkpoint(given.model, folder)]
        if given.window:
            model += ["--window", str(given.window)]
        rows = of_photos(given.photos or copies(folder, given.count, divisor), folder / "masks", rounds, model)
        small = write_photos(folder / "small", given.many // divisor, 96, 128)
        rows += of_many(small, folder / "small-masks", rounds, model)
    print(f"\n{table(['', 'median (least to most)'], rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
