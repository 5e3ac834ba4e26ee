"""Measure whole runs with one process and with several workers on the same cores: seconds, core seconds, memory.

Run from the repository, inside its virtual environment:

    python benchmarks/workers.py [--photos 24] [--rounds 3] [--workers 1 2 3 4] [--size b0] [--small]

Every figure is of a process of its own, `noseam segment`, files in and masks out, start-up included, in turns. The
network was converted before. "A photo" is the time beyond that of a run of one photo, divided by the photos beyond the
first; so start-up does not count there. Each run uses all cores, which its workers share.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from measure import Run, Spread, machine, run_undisturbed, table, write_model, write_photos

from segment.model.presets import Size
from tiler.grid.tiling import Tiling

TILING = Tiling(2000, 512, 0.25)


def segment(source: Path, model: Path, workers: int) -> Run:
    """Segment photos with so many workers."""
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        return run_undisturbed([
            sys.executable, "-m", "cli", "-q", "segment", str(source), "--out", out, "--model", str(model),
            "--workers", str(workers), "--overwrite",
        ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=24, help="Photos of 6000 x 4000.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything runs.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4], help="How many processes.")
    parser.add_argument("--size", default="b0", help="Preset of the network.")
    parser.add_argument("--small", action="store_true", help="Few tiny photos, one round, one and two workers.")
    given = parser.parse_args()
    size: Size = "nano" if given.small else given.size
    photos, rounds, counts = (3, 1, [1, 2]) if given.small else (given.photos, given.rounds, given.workers)
    height, width = (400, 600) if given.small else (4000, 6000)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = write_model(folder / "model", 24, size, TILING)
        many = write_photos(folder / "many", photos, height, width)
        one = folder / "one"
        one.mkdir()
        shutil.copy(min(many.iterdir()), one)
        segment(one, model, 1)  # converts the network
        found: defaultdict[int, list[tuple[Run, Run]]] = defaultdict(list)
        for _ in range(rounds):
            for count in counts:
                found[count].append((segment(one, model, count), segment(many, model, count)))
                print(count, *(f"{each.seconds:.2f}" for each in found[count][-1]), flush=True)
    rows = []
    for count, runs in found.items():
        whole = Spread.of([each.seconds for _, each in runs])
        photo = Spread.of([(each.seconds - alone.seconds) / (photos - 1) for alone, each in runs])
        start = Spread.of([alone.seconds for alone, _ in runs])
        cores = Spread.of([each.cpu_seconds for _, each in runs])
        rows.append((str(count), str(start), str(whole), str(photo), str(cores)))
    print(table(("workers", "one photo, s", f"{photos} photos, s", "a photo, s", "core seconds"), rows))
    print(machine())


if __name__ == "__main__":
    main()
