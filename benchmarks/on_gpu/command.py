"""The command line of `benchmarks/gpu.py`: which sections run, in which order, and for how long."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from on_gpu.bench import Bench, Row, Section, SkippedError, as_tables, attempted, bench_in, run_sections
from on_gpu.files import Compiling, files_to_masks, start
from on_gpu.host import host, stitching, the_machine
from on_gpu.inputs import make_photos
from on_gpu.labels import equal_labels
from on_gpu.network import FORMS, LATER_FORMS, PEER_FORMS, network_alone, peer_compiled, tile_sizes
from on_gpu.peers import peers
from on_gpu.training import training
from segment.record.logs import ignore_placeless

_COMPILER_S = 100.0


def network(bench: Bench) -> Iterator[Row]:
    """Measure the network alone in each form: peers first, some of noseam's beside the compiler, then the compiled."""
    yield from network_alone(bench, PEER_FORMS)
    with Compiling(bench) as compiling:
        yield from network_alone(bench, FORMS)
        yield from compiling.rows()
    yield from network_alone(bench, LATER_FORMS)


def compiled_peer(bench: Bench) -> Iterator[Row]:
    """Measure transformers' network as PyTorch compiles it, in a process that is ended when it takes too long."""
    if bench.device == "cpu":
        raise SkippedError("networks are compiled for CUDA only")
    for size in bench.sizes:
        yield from attempted(partial(_compiled_rows, bench, size), f"{size}, torch.compile")


def _compiled_rows(bench: Bench, size: str) -> Iterator[Row]:
    command = [sys.executable, str(Path(sys.argv[0]).resolve()), "--folder", str(bench.folder), "--child", size]
    limit = min(bench.left_s, _COMPILER_S)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise SkippedError(f"PyTorch was not done with compiling after {limit:.0f} s") from error
    yield Row(**json.loads(done.stdout.splitlines()[-1]))


SECTIONS = (
    Section("machine", the_machine, 20),
    Section("photos", make_photos, 60),
    Section("network", network, 220),
    Section("files", files_to_masks, 200),
    Section("start", start, 50),
    Section("labels", equal_labels, 60),
    Section("peers", peers, 80),
    Section("tiles", tile_sizes, 20),
    Section("stitch", stitching, 25),
    Section("training", training, 70),
    Section("host", host, 20),
    Section("compiled peer", compiled_peer, 120),
)


def main(text: str) -> None:
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--json", type=Path, help="Also write the results here, after every row.")
    parser.add_argument("--budget", type=float, default=470, help="Seconds for all of it.")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in SECTIONS], help="Sections to run.")
    parser.add_argument("--folder", type=Path, help="Where photos and masks go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="A tiny network and tiny photos, on the CPU.")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() and not given.small else "cpu"
    with bench_in(given.folder) as folder:
        os.environ.setdefault("NOSEAM_CACHE", str(folder / "cache"))
        ends = time.monotonic() + given.budget
        bench = Bench(folder, device, given.small, ends, given.json, section_ends=ends)
        if given.child:
            print(json.dumps(asdict(peer_compiled(bench, given.child))))
            return
        wanted = [each for each in SECTIONS if given.only is None or each.name in {"machine", "photos", *given.only}]
        if device == "cpu" and not given.small:
            print("No CUDA device is here, so everything takes long; --small tries it out.", flush=True)
        ignore_placeless()
        run_sections(bench, wanted)
        print(f"\n{as_tables(bench, wanted)}")
