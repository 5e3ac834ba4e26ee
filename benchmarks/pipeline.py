"""Measure a run without its network: megapixels a second, and what holds the interpreter lock.

Run from the repository, inside its virtual environment, on Linux:

    python benchmarks/pipeline.py [--case photos-0.256 photos-1 survey device] [--photos 24] [--rounds 3]
        [--images 3] [--processes 1] [--delay-ms 0] [--against CHECKOUT] [--functions PY_SPY]

It makes its own images. An engine of constant time stands in for the network: it gives smooth logits of 24 classes,
made before, after `--delay-ms` in which it holds neither a core nor the lock. All else is a real run, files in, masks
out: photos of 6000 x 4000 to label and colour PNGs at scale 0.256 (windows of 2000 px to 512) and at 1, or one GeoTIFF
of 12,000 x 12,000 to a COG. Core time counts, and the part of it during which a thread held the lock (`lock.py`).
"Handed over" counts how often another thread took the lock than had it before; 0 where this Python does not say.

`device` is the stitching of one such photo on a device, with tensors of two classes and few columns, so that computing
takes no time: calls of PyTorch, and the time for which they hold the lock. On CUDA the kernels follow.

CHECKOUT is another state of this repository, measured in turns. `--functions` asks py-spy, a program that is installed
elsewhere, which functions hold the lock; it counts wall time, so nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lock import handed_over, watching
from measure import Spread, machine, table, write_photos
from memory import Case as Image
from memory import make_image
from numpy.typing import NDArray
from PIL import Image as Picture

from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.run.cores import Threads, share_cores
from segment.run.runner import Runner
from tiler.classes import ClassTable, distinct_colours
from tiler.files.walk import walk_survey
from tiler.grid.tiles import Grid, plan_grid
from tiler.grid.tiling import Tiling
from tiler.stitch.stitcher import Stitcher

CLASSES = 24
SETS = 4
RATE, START_S = 500, 2.0
"""Of py-spy."""
CASES = ("photos-0.256", "photos-1", "survey", "device")
COLUMNS, TURNS = 200, 50
"""Of the photo that is stitched on a device, and how often that is done."""


class ConstantEngine:
    """Gives logits that were made before, a constant time after each tile came."""

    def __init__(self, delay_s: float) -> None:
        self.classes, self.name = CLASSES, "constant"
        self._delay_s = delay_s
        self._logits: dict[tuple[int, ...], list[NDArray[np.float32]]] = {}
        self._turn = 0
        self._lock = threading.Lock()

    def submit(self, pixels: NDArray[np.uint8]) -> Future[Any]:
        """See `Engine`."""
        with self._lock:
            shape = pixels.shape[1:]
            if shape not in self._logits:
                self._logits[shape] = [_smooth(shape[0] // 4, shape[1] // 4, seed) for seed in range(SETS)]
            self._turn += 1
            future = _Later(time.monotonic() + self._delay_s)
            future.set_result(self._logits[shape][self._turn % SETS])
        return future

    def tiles_ahead(self, shape: tuple[int, int]) -> int:
        """See `Engine`."""
        return 4

    def stitcher(self, grid: Grid, *, confidence: bool, **more: Any) -> Stitcher:
        """See `Engine`."""
        return Stitcher(grid, CLASSES, confidence=confidence, **more)

    def close(self) -> None:
        """See `Engine`."""


class _Later(Future[Any]):
    def __init__(self, due: float) -> None:
        super().__init__()
        self._due = due

    def result(self, timeout: float | None = None) -> Any:
        time.sleep(max(self._due - time.monotonic(), 0))
        return super().result(timeout)


def _smooth(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return logits that change over about 16 cells, so that masks look like masks."""
    generator = np.random.default_rng(seed)
    knots = generator.normal(0, 3, (CLASSES, max(height // 16, 2), max(width // 16, 2))).astype(np.float32)
    layers = [Picture.fromarray(each).resize((width, height), Picture.Resampling.BICUBIC) for each in knots]
    return np.stack([np.asarray(layer) for layer in layers])


@dataclass(frozen=True)
class Job:
    """What a child process runs."""

    case: str
    source: str
    window: int
    images: int
    delay_s: float
    py_spy: str = ""


def run_here(job: Job) -> dict[str, Any]:
    """Return what a run took in this process; one image was segmented before, so that everything is loaded."""
    threads = share_cores()
    runner = _runner(ConstantEngine(job.delay_s), replace(threads, images=job.images or threads.images))
    with tempfile.TemporaryDirectory() as folder:
        request = Request(tiling=Tiling(job.window, 512, 0.25), out=Path(folder))
        plan = plan_survey(walk_survey([Path(job.source)], out=request.out), request)
        _finish(runner, replace(plan, images=plan.images[:1]), request)
        before = handed_over()
        with watching() as held:
            _finish(runner, plan, request)
        handed = handed_over() - before
        lines: Counter[str] = Counter()
        if job.py_spy:
            with _spying(job.py_spy, Path(folder, "stacks"), lines):
                _finish(runner, plan, request)
    count = len(plan.images)
    return {
        "images": count,
        "speed": plan.pixels / 1e6 / held.seconds,
        "core_ms": held.core_s / count * 1e3,
        "lock_ms": held.held_s / count * 1e3,
        "handed": handed / count,
        "functions": {name: lines[name] / RATE / count * 1e3 for name in lines},
    }


def _runner(engine: ConstantEngine, threads: Threads) -> Runner:
    colours = ClassTable(tuple(f"class {index}" for index in range(CLASSES)), distinct_colours(CLASSES))
    parts = "constant", "0" * 32, colours, engine, threads
    try:
        from segment.run.local import LocalWorkers
        from segment.run.model import OpenModel
    except ImportError:  # another checkout, of before there were workers
        return Runner(*parts)  # type: ignore[arg-type, call-arg]
    return Runner(LocalWorkers(OpenModel(*parts)))


def _finish(runner: Runner, plan: Any, request: Request) -> None:
    for outcome in runner.run(plan, request, overwrite=True):
        if outcome.state != "done":
            raise SystemExit(outcome.reason)


@contextmanager
def _spying(py_spy: str, stacks: Path, found: Counter[str]) -> Iterator[None]:
    """Add the samples during the block in which a thread held the lock, by innermost function of noseam."""
    command = [py_spy, "record", "--pid", str(os.getpid()), "--gil", "--nonblocking", "--rate", str(RATE)]
    command += ["--duration", "3600", "--format", "raw", "-o", str(stacks)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as spy:
        time.sleep(START_S)
        yield
        spy.send_signal(signal.SIGINT)
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        own = re.findall(r"([^;]+ \((?:tiler|segment)/[^;:]+):\d+\)", stack)
        found[f"{own[-1]})" if own else "other"] += int(count)


def run_side_by_side(job: Job, checkout: Path | None, processes: int) -> dict[str, Any]:
    """Return what runs took in so many processes at the same time, each with all photos; the speed is that of all."""
    if processes == 1:
        return run_apart(job, checkout)
    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(lambda _: run_apart(job, checkout), range(processes)))
    return {**found[0], "speed": sum(each["speed"] for each in found)}


def run_apart(job: Job, checkout: Path | None) -> dict[str, Any]:
    """Return what a run took in a process of its own, by the code of a checkout."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout.absolute())
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(job.__dict__)],
        env=environment, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stitch_here() -> dict[str, Any]:
    """Return calls of PyTorch for stitching a photo on a device, and milliseconds that hold the lock."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from segment.engine import device_tensors
    from segment.engine.device_arithmetic import Arithmetic
    from segment.engine.device_choice import arithmetic
    from segment.engine.device_stitch import DeviceStitcher

    class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += 1
            return func(*args, **kwargs or {})

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    grid = plan_grid((4000, COLUMNS), scale=0.256, tile=(544, 64), overlap=(64, 0))
    logits = torch.zeros(2, 136, 16, device=device)
    device_tensors._rows_at_once = lambda classes, width, cells: 116  # as of 6000 columns and 24 classes

    def stitch(work: Arithmetic) -> None:
        stitcher = DeviceStitcher(grid, 2, device, work=work)
        stitcher._upsampler._rows_at_once = 1398  # as of 6000 columns
        for tile in grid.tiles():
            for _ in stitcher.add(tile, logits):
                pass

    found: dict[str, Any] = {}
    for work in (device_tensors.Tensors(), *([arithmetic(device)] if device.type == "cuda" else [])):
        stitch(work)
        with Calls() as calls:  # type: ignore[no-untyped-call]
            stitch(work)
        with watching() as held:
            for _ in range(TURNS):
                stitch(work)
        found[work.name] = {"calls": calls.count, "lock_ms": held.held_s / TURNS * 1e3}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES[:2], help="What to run.")
    parser.add_argument("--photos", type=int, default=24, help="Photos of a run.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything runs.")
    parser.add_argument("--images", type=int, default=0, help="Images in flight; as in a run by default.")
    parser.add_argument("--processes", type=int, default=1, help="Processes that run side by side.")
    parser.add_argument("--delay-ms", type=float, default=0, help="What the engine takes for a tile.")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="Another checkout.")
    parser.add_argument("--functions", default="", metavar="PY_SPY", help="py-spy, to say which functions hold it.")
    parser.add_argument("--small", action="store_true", help="Three tiny photos, one round.")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        job = Job(**json.loads(given.child))
        print(json.dumps(stitch_here() if job.case == "device" else run_here(job)))
        return
    checkouts = {"here": None, **({"there": given.against} if given.against else {})}
    with tempfile.TemporaryDirectory() as temporary:
        for case in given.case:
            source = make_source(Path(temporary), case, 3 if given.small else given.photos, small=given.small)
            window = 512 if case == "photos-1" else 2000
            job = Job(case, str(source), window, given.images, given.delay_ms / 1e3, given.functions)
            found: dict[str, list[dict[str, Any]]] = {where: [] for where in checkouts}
            for _ in range(1 if given.small else given.rounds):
                for where, checkout in checkouts.items():
                    found[where].append(run_side_by_side(job, checkout, given.processes))
            print(f"{case}\n\n{as_table(case, found)}\n", flush=True)
    print(machine())


def make_source(folder: Path, case: str, photos: int, *, small: bool) -> Path:
    """Return a folder of images that were not there: copies of one photo, or one GeoTIFF."""
    made = folder / ("survey" if case == "survey" else "photos")
    if case == "device" or made.exists():
        return made
    made.mkdir()
    if case == "survey":
        side = 1200 if small else 12_000
        make_image(made / "square.tif", Image("square.tif", side, side, 2000))
        return made
    photo = write_photos(folder / "one", 1, *((400, 600) if small else (4000, 6000))) / "photo_00.jpg"
    for index in range(photos):
        shutil.copy(photo, made / f"photo_{index:03d}.jpg")
    return made


def as_table(case: str, found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Return what was found in words: a row for each checkout, then the functions that hold the lock."""
    if case == "device":
        return table(
            ("code", "by", "calls", "lock held, ms"),
            [
                (where, name, str(runs[0][name]["calls"]), str(Spread.of([run[name]["lock_ms"] for run in runs])))
                for where, runs in found.items()
                for name in runs[0]
            ],
        )
    names = ("speed", "core_ms", "lock_ms", "handed")
    head = ("code", "megapixels/s", "core ms an image", "of them with the lock", "handed over, an image")
    rows = [[where, *(str(Spread.of([run[name] for run in runs])) for name in names)] for where, runs in found.items()]
    text = table(head, rows)
    for where, runs in found.items():
        if functions := runs[-1]["functions"]:
            most = sorted(functions.items(), key=lambda each: -each[1])[:15]
            text += "\n\n" + table((f"holds the lock, {where}", "ms"), [(name, f"{ms:.2f}") for name, ms in most])
    return text


if __name__ == "__main__":
    main()
