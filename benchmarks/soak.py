"""Kill a long run again and again, and look whether anything is lost, wrong or left behind.

Run from the repository, inside its virtual environment, on Linux:

    python benchmarks/soak.py [--images 2000] [--seed 0] [--folder DIR]

It makes small images, one in twenty of them bad (cut short, empty, text, another format, a named pipe, a link to
nowhere), and an untrained network. It runs `noseam segment` on them, ends the run at a random instant by SIGKILL,
SIGTERM or SIGINT, and starts it again, until a run ends by itself. Then one more run makes everything again, untouched;
its memory and its open files are watched. The benchmark prints two tables. It fails if an image is missing, a good one
failed or a bad one did not, a mask differs between the runs, something is left behind, or memory or open files grow.
`--images 200` is a quick try.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, table, write_model
from PIL import Image

from tiler.grid.tiling import Tiling

ROOT = Path(__file__).parents[1]
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
BAD_EVERY = 20
HEIGHT, WIDTH = 150, 200
FIRST_SHARE, GROWTH = 0.25, 1.1
"""A run is ended within this share of the time that an untouched one takes, and each later one within so much more."""
LOOK_EVERY_S = 0.1
MORE_MB, MORE_FILES = 32, 8
"""What the last third of a run may need more than its middle third; it begins to work in the first."""
LASTING = {".noseam.lock"}
NOT_COMPARED = {"manifest.jsonl", "summary.csv", "failures.csv", *LASTING}


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended."""

    code: int
    """Its exit code as a shell gives it."""
    seconds: float
    """From its start to its end."""
    sums: dict[str, Any]
    """What it printed; empty if it did not get to that."""
    looks: list[tuple[float, int]]
    """Resident memory in 10^6 bytes, and number of open files, every so often."""


def cut_short(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2])


def empty(path: Path, whole: bytes) -> None:
    path.touch()


def text(path: Path, whole: bytes) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def another_format(path: Path, whole: bytes) -> None:
    with path.open("wb") as file:
        Image.new("RGB", (WIDTH, HEIGHT)).save(file, "BMP")


def pipe(path: Path, whole: bytes) -> None:
    os.mkfifo(path)


def link_to_nowhere(path: Path, whole: bytes) -> None:
    path.symlink_to("nowhere.jpg")


BAD: tuple[Callable[[Path, bytes], None], ...] = (cut_short, empty, text, another_format, pipe, link_to_nowhere)


def make_images(folder: Path, count: int) -> Counter[str]:
    """Write images in folders of a hundred; return how many there are of each sort."""
    sorts: Counter[str] = Counter()
    bad, suffixes = cycle(BAD), cycle((".jpg", ".png", ".tif"))
    for index in range(count):
        path = folder / f"{index // 100:03d}" / f"{index:05d}{next(suffixes)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(index).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)
        sort = "good"
        if index % BAD_EVERY == BAD_EVERY // 2:
            whole = path.read_bytes()
            path.unlink()
            spoil = next(bad)
            spoil(path, whole)
            sort = spoil.__name__.replace("_", " ")
        sorts[sort] += 1
    return sorts


def is_bad(name: str) -> bool:
    """Say whether an image was spoilt when it was made."""
    return int(Path(name).stem) % BAD_EVERY == BAD_EVERY // 2


def run(command: list[str], *, end_after_s: float | None = None, number: int = 0) -> Ended:
    """Run a command, end it by a signal after a while if that is asked for, and watch it."""
    started = time.monotonic()
    looks: list[tuple[float, int]] = []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors)
        while process.poll() is None:
            if end_after_s is not None and time.monotonic() - started >= end_after_s:
                process.send_signal(number)
                end_after_s = None
            looks += look(process.pid)
            time.sleep(LOOK_EVERY_S)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        output.seek(0)
        errors.seek(0)
        said, complaint = output.read(), errors.read()
    if "Traceback" in complaint:
        raise SystemExit(f"a run ended with a traceback:\n{complaint[-4000:]}")
    return Ended(code, time.monotonic() - started, json.loads(said) if said.strip() else {}, looks)


def look(process: int) -> list[tuple[float, int]]:
    """Return the memory and the number of open files of a process; nothing if it has just ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return [(resident * 1024 / 1e6, sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()))]
    except (OSError, StopIteration):
        return []


def thirds(looks: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return the peaks of each third of a run."""
    third = len(looks) // 3
    parts = looks[:third], looks[third : 2 * third], looks[2 * third :]
    return [(max(memory for memory, _ in part), max(files for _, files in part)) for part in parts]


def digests(out: Path) -> dict[str, str]:
    """Return what identifies every file of an output folder but the records."""
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()
            if name not in NOT_COMPARED}  # fmt: skip


def demand(true: bool, what: str) -> None:
    """End with what went wrong."""
    if not true:
        raise SystemExit(f"WRONG: {what}")


def check(out: Path, last: Ended, sorts: Counter[str]) -> None:
    """Look whether the last run, and all of them together, left what they should and nothing else."""
    good, count, sums = sorts["good"], sorts.total(), last.sums
    demand(last.code == 3, f"the last run ended with {last.code}, not 3")
    demand(sums["inputs"] == count, f"{sums['inputs']} inputs, {count} images")
    demand(sums["done"] + sums["skipped"] + sums["failed"] == count, f"the sums are {sums}")
    demand(sums["failed"] == count - good, f"{sums['failed']} failed, {count - good} are bad")
    demand(all(is_bad(failure["path"]) for failure in sums["failures"]), "a good image failed")
    lines = (out / "manifest.jsonl").read_text().splitlines()
    states = {(record["image"], record["state"]) for record in map(json.loads, lines)}
    demand({name for name, state in states if state == "failed"} == {name for name, _ in states if is_bad(name)},
           "the record has another set of failures")  # fmt: skip
    done = {name for name, state in states if state in {"done", "skipped"}}
    demand(len(done) == good, f"the record has {len(done)} good images of {good}")
    masks = [path for path in out.rglob("*_label.png") if path.is_file()]
    demand(len(masks) == good, f"{len(masks)} label masks for {good} good images")
    left = {path.name for path in out.rglob(".*")} - LASTING
    demand(not left, f"left behind: {sorted(left)[:5]}")


def check_flat(looks: list[tuple[float, int]]) -> None:
    """Look whether memory or open files grew."""
    _, middle, last = thirds(looks)
    demand(last[0] <= middle[0] + MORE_MB, f"memory grew from {middle[0]:.0f} to {last[0]:.0f} MB")
    demand(last[1] <= middle[1] + MORE_FILES, f"open files grew from {middle[1]} to {last[1]}")


def soak(command: list[str], seed: int, untouched_s: float) -> list[tuple[str, Ended]]:
    """Run and end until a run ends by itself; return every run with the signal that was sent to it."""
    generator, longest_s = random.Random(seed), FIRST_SHARE * untouched_s
    runs: list[tuple[str, Ended]] = []
    while not runs or runs[-1][1].code in {128 + number for number in SIGNALS}:
        number = generator.choice(SIGNALS)
        ended = run(command, end_after_s=generator.uniform(0.2, longest_s), number=number)
        runs.append((number.name, ended))
        longest_s *= GROWTH
        print(f"run {len(runs)}: {number.name}, exit code {ended.code} after {ended.seconds:.1f} s",
              file=sys.stderr)  # fmt: skip
    return runs


def report(runs: list[tuple[str, Ended]], untouched: Ended, sorts: Counter[str]) -> str:
    """Return what happened as two Markdown tables."""
    last, codes = runs[-1][1], Counter((name, ended.code) for name, ended in runs[:-1])
    counts = [(sort, str(number)) for sort, number in sorted(sorts.items())]
    counts += [(f"runs ended by {name} with {code}", str(number)) for (name, code), number in sorted(codes.items())]
    counts += [(f"{state} in the last run", str(last.sums[state])) for state in ("done", "skipped", "failed", "left")]
    watched = [
        [name, f"{memory:.0f}", str(files)]
        for name, (memory, files) in zip(("first", "middle", "last"), thirds(untouched.looks), strict=True)
    ]
    head = ("third of an untouched run", "peak memory, MB", "most open files")
    return f"{table(('what', 'number'), counts)}\n\n{table(head, watched)}\n\n{untouched.seconds:.1f} s untouched"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="Of the instants and the signals.")
    parser.add_argument("--folder", type=Path, help="An empty folder for everything; a temporary one by default.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sorts = make_images(folder / "images", given.images)
        model = write_model(folder / "model", 4, "nano", Tiling(128, 64, 0.25))
        command = [sys.executable, "-m", "cli", "-q", "segment", str(folder / "images"), "--out", str(folder / "masks"),
                   "--model", str(model), "--format", "png", "--threads", "2", "--json"]  # fmt: skip
        aside = [str(folder / "aside") if part == str(folder / "masks") else part for part in command]
        check(folder / "aside", run(aside), sorts)  # converts the network, too
        runs = soak(command, given.seed, run([*aside, "--overwrite"]).seconds)
        check(folder / "masks", runs[-1][1], sorts)
        demand(digests(folder / "masks") == digests(folder / "aside"), "masks of killed and untouched runs differ")
        untouched = run([*command, "--overwrite"])
        check(folder / "masks", untouched, sorts)
        demand(digests(folder / "masks") == digests(folder / "aside"), "masks made again differ")
        check_flat(untouched.looks)
        print(f"{machine()}\n\n{report(runs, untouched, sorts)}")


if __name__ == "__main__":
    main()
