"""Measure all that a GPU is to show, in one command of at most eight minutes: nothing is fetched, little is needed.

    python benchmarks/gpu.py --json R.json [--budget 480] [--only files network] [--small]

It needs PyTorch, transformers, numba and what reads and writes images; noseam need not be installed. Photos are made
first, on all cores. Sections come in the order of their worth: `machine`, `photos`, `network` (the network alone in
each form, while networks are compiled), `files` (files to masks), `start`, `labels` (equal labels by precision),
`peers`, `tiles` (large ones against small ones), `stitch`, `training`, `host` (reading, and what waiting for the disk
costs), `compiled peer` (transformers' network by `torch.compile`).

Results are printed as they come, and written to the JSON file after each. A section that fails, lacks a package or
takes too long costs itself alone, and says so. `--small` tries everything out on a CPU, with a tiny network and tiny
photos; its figures say nothing. `benchmarks/on_gpu/` holds the sections; `benchmarks/on_gpu/predicted.py` what was
expected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    sys.path.insert(0, str(ROOT))  # noseam, where it is not installed
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    from on_gpu.command import main as measure

    measure(__doc__ or "")


if __name__ == "__main__":
    main()
