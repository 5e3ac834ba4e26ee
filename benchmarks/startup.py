"""Measure what starting noseam costs: help, an import, a plan of nothing; against another checkout if there is one.

Run from the repository, inside its virtual environment, on Linux:

    python benchmarks/startup.py [--rounds 15] [--against CHECKOUT]

Every command is a process of its own. Commands and checkouts take turns, so that noise meets all of them alike.
CHECKOUT is another state of this repository, with a virtual environment of its own in `.venv`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from measure import Spread, machine, table

COMMANDS = {
    "python alone": ["-c", ""],
    "noseam --help": ["-m", "cli", "--help"],
    "noseam segment --help": ["-m", "cli", "segment", "--help"],
    "import segment.api": ["-c", "import segment.api"],
}
PACKAGES = ("noseam", "click")


def seconds(python: Path, checkout: Path, arguments: list[str]) -> float:
    started = time.monotonic()
    subprocess.run([python, *arguments], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="How often each command is run.")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="Another checkout, with its own .venv.")
    arguments = parser.parse_args()
    checkouts = {"here": (Path(sys.executable), Path.cwd())}
    if arguments.against:
        other = arguments.against.absolute()
        checkouts["there"] = (other / ".venv/bin/python", other)
    found: dict[tuple[str, str], list[float]] = {(name, where): [] for name in COMMANDS for where in checkouts}
    for _ in range(arguments.rounds):
        for name, where in found:
            found[name, where].append(seconds(*checkouts[where], COMMANDS[name]))
    rows = []
    for name in COMMANDS:
        spreads = [Spread.of(found[name, where]) for where in checkouts]
        rows.append([name, *map(str, spreads), f"{spreads[-1].median / spreads[0].median:.2f}"])
    print(table(["command", *(f"{where}, s" for where in checkouts), "ratio"], rows))
    print()
    print(machine(PACKAGES))


if __name__ == "__main__":
    main()
