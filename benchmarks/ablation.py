"""What each ingredient of a training brings by itself, on the Semantic Drone Dataset.

    python benchmarks/ablation.py DATA FOLDER --base bundled:start --steps 600 --seeds 0 1
    python benchmarks/ablation.py DATA FOLDER --base mini --only "as the recipe says" "rate 2e-3"

Every row is the recipe with one thing changed. It is trained as often as there are seeds, on the 230 photos that train
in `drone_split.json`, and judged on the 50 that validate, at full resolution, as `drone_dataset.py` does; see there
for DATA. `--with NAME=VALUE` sets an option of `noseam train` in all rows, by its name in Python. Each training takes
one thread, and `--jobs` of them run at a time. What is in `FOLDER/ablation.csv` is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

import drone_dataset
from measure import machine, table

import noseam

Options = Mapping[str, Any]
FIRST = "as the recipe says"
BALANCE = "balance"
"""The option of `noseam crop`; all others are those of `noseam train`."""
ROWS: Mapping[str, Options] = {
    FIRST: {},
    "rate 6e-5, that of the head 10 times": {"lr": 6e-5, "head_lr_factor": 10.0},
    "rate 2e-4": {"lr": 2e-4, "head_lr_factor": 1.0},
    "rate 2e-4, that of the head 10 times": {"lr": 2e-4, "head_lr_factor": 10.0},
    "rate 6e-4": {"lr": 6e-4, "head_lr_factor": 1.0},
    "rate 6e-4, that of the head 3 times": {"lr": 6e-4, "head_lr_factor": 3.0},
    "rate 2e-3": {"lr": 2e-3, "head_lr_factor": 1.0},
    "schedule poly": {"schedule": "poly"},
    "schedule linear": {"schedule": "linear"},
    "schedule cosine": {"schedule": "cosine"},
    "no mean of weights": {"ema": 0.0},
    "mean of weights 0.99": {"ema": 0.99},
    "no augmentation": {"augment": False},
    "zoom 1 1": {"zoom": (1.0, 1.0)},
    "zoom 0.7 1.4": {"zoom": (0.7, 1.4)},
    "colour 0": {"colour": 0.0},
    "colour 0.4": {"colour": 0.4},
    "tilt": {"tilt": True},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.1": {"dropout": 0.1},
    "no coarse steps": {"coarse_first": 0.0},
    "coarse steps first, 0.8": {"coarse_first": 0.8},
    "shadow 0.3": {"shadow": 0.3},
    "blur 0.2, noise 0.2, jpeg 0.2": {"blur": 0.2, "noise": 0.2, "jpeg": 0.2},
    "ce+dice": {"loss": "ce+dice"},
    "ce+lovasz": {"loss": "ce+lovasz"},
    "ohem 0.7": {"ohem": 0.7},
    "class weights sqrt": {"class_weights": "sqrt"},
    "class weights median": {"class_weights": "median"},
    "no class bias": {"class_bias": False},
    "tiles that suit each photo": {"tile": "auto"},
    "batches of 2": {"batch_size": 2},
    "input 384": {"input_px": 384},
    "batches of 8": {"batch_size": 8},
    "crops of rare classes more often": {BALANCE: True},
}


def main() -> None:
    """Read the command line, train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the data set")
    parser.add_argument("folder", type=Path, help="folder of all that is made")
    parser.add_argument("--base", default="bundled:start", help="what training starts from")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--with", dest="options", action="append", default=[], metavar="NAME=VALUE", help="for all rows"
    )
    parser.add_argument("--one", nargs=2, metavar=("ROW", "SEED"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.one:
        row, seed = wanted.one
        one(wanted, row, int(seed))
        return
    print(machine(), flush=True)
    photos = drone_dataset.lay_out(wanted.data, wanted.folder / "photos")
    side = drone_dataset.side_of_six(photos)
    for balance in sorted({BALANCE in ROWS[row] for row in wanted.only}):
        drone_dataset.cut(photos, _crops(wanted, balance), side, balance=balance)
    missing = [(row, seed) for seed in wanted.seeds for row in wanted.only if not _of(wanted, row, seed)]
    with ThreadPoolExecutor(wanted.jobs) as jobs:
        list(jobs.map(lambda each: _in_a_process(wanted, *each), missing))
    print(f"\nbase {wanted.base}, {wanted.steps} steps, seeds {wanted.seeds}, with {wanted.options}\n")
    print(table(("", "accuracy, %", "mIoU, %", "change", "change"), list(_lines(wanted))), flush=True)


def one(wanted: argparse.Namespace, row: str, seed: int) -> None:
    """Train and judge a row once, and store its scores."""
    folder = wanted.folder / "ablation" / drone_dataset.slug("-".join(_key(wanted, row, seed).values()))
    steps = wanted.steps
    options = {"max_steps": steps, "validate_every": steps, "input_px": 256, "threads": 1, "workers": 1, "seed": seed}
    options |= {**dict(map(drone_dataset.option, wanted.options)), **ROWS[row]}
    crops = _crops(wanted, options.pop(BALANCE, False))
    started = time.monotonic()
    noseam.train(crops, folder / "model", base=wanted.base, **options)
    minutes = (time.monotonic() - started) / 60
    found = drone_dataset.segmented(wanted.folder / "photos", folder / "masks", str(folder / "model"), "cpu")
    told = {**_key(wanted, row, seed), "minutes": f"{minutes:.1f}",
            "accuracy": f"{100 * found.metrics.accuracy:.2f}", "miou": f"{100 * found.metrics.miou:.2f}"}  # fmt: skip
    print(told, flush=True)
    with (wanted.folder / "ablation.csv").open("a", newline="") as file:
        writer = csv.DictWriter(file, told)
        if not file.tell():
            writer.writeheader()
        writer.writerow(told)


def _crops(wanted: argparse.Namespace, balance: bool) -> Path:
    folder: Path = wanted.folder
    return folder / ("crops balanced" if balance else "crops")


def _key(wanted: argparse.Namespace, row: str, seed: int) -> dict[str, str]:
    """Return what tells a training from all others."""
    return {"base": wanted.base, "steps": str(wanted.steps), "with": " ".join(wanted.options), "row": row,
            "seed": str(seed)}  # fmt: skip


def _in_a_process(wanted: argparse.Namespace, row: str, seed: int) -> None:
    command = [sys.executable, __file__, wanted.data, wanted.folder, "--base", wanted.base, "--steps", wanted.steps]
    command += [f"--with={each}" for each in wanted.options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*map(str, command), "--one", row, str(seed)], check=True, env=environment)


def _of(wanted: argparse.Namespace, row: str, seed: int) -> tuple[float, float] | None:
    """Return the stored accuracy and mIoU of a row, in percent."""
    path = wanted.folder / "ablation.csv"
    if not path.exists():
        return None
    key = _key(wanted, row, seed)
    with path.open(newline="") as file:
        found = [line for line in csv.DictReader(file) if key.items() <= line.items()]
    return (float(found[-1]["accuracy"]), float(found[-1]["miou"])) if found else None


def _lines(wanted: argparse.Namespace) -> Sequence[Sequence[str]]:
    """Return a line for each row: the scores of each seed, and how far their mean is from that of the recipe."""
    scores = {row: [_of(wanted, row, seed) for seed in wanted.seeds] for row in ROWS}
    known = {row: list(zip(*found, strict=True)) for row, found in scores.items() if all(found)}
    base = [mean(each) for each in known[FIRST]] if FIRST in known else None
    lines = []
    for row, found in known.items():
        each = [", ".join(f"{value:.2f}" for value in values) for values in found]
        changes = [f"{mean(values) - was:+.2f}" for values, was in zip(found, base or (), strict=False)] or ["", ""]
        lines.append((row, *each, *changes))
    return lines


if __name__ == "__main__":
    main()
