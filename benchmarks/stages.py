"""Show where the time of a job goes: the whole job against the network alone, and what each stage costs.

    python benchmarks/stages.py [--photos 12] [--rounds 3] [--case b0 b0-full b5]

It measures three things per case, all in one process. The first is the ratio of two times, taken in turns: the whole
job (photos of 6000 x 4000 to label and colour PNGs, start-up aside), and the same engine on the same tiles with
nothing else to do. The second is how many cores the whole job kept busy. The third is each stage of one photo by
itself, in core seconds (CPU time of all threads). `b0-full` is at source resolution, 176 tiles of 512 px a photo.
`--small` tries it out on tiny photos.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from measure import Spread, machine, table, write_model, write_photos

from segment.engine.request import EngineOptions
from segment.model.checkpoint import describe_checkpoint
from segment.model.presets import Size
from segment.plan.request import Request
from segment.plan.survey import ImagePlan, SurveyPlan, plan_survey
from segment.run.local import LocalWorkers
from segment.run.model import OpenModel, open_model
from segment.run.runner import Runner
from tiler.files.walk import walk_survey
from tiler.grid.tiling import Tiling
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.image import open_image
from tiler.source.tiles import read_tiles

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Case:
    """A network and how its photos are cut."""

    size: Size
    """Preset."""
    window: int
    """Side of a window, source pixels; tiles have 512 model pixels."""
    share: int = 1
    """One photo in so many is run, because each takes that much longer."""


CASES = {"b0": Case("b0", 2000), "b0-full": Case("b0", 512, 4), "b5": Case("b5", 2000, 3)}


def measure(model: OpenModel, plan: SurveyPlan, request: Request, rounds: int) -> tuple[Spread, Spread, float]:
    """Return seconds of the whole job and of the network alone, and the cores that the whole job kept busy."""
    tiles = _tiles(plan.images[0]) * len(plan.images)
    whole, alone, cores = [], [], []
    for number in range(rounds + 1):  # the first, untimed turn warms up
        took = _clock(lambda: list(Runner(LocalWorkers(model)).run(plan, request, overwrite=True)))
        if any(outcome.state != "done" for outcome in took.value):
            raise SystemExit(str(took.value))
        forward = _clock(lambda: [future.result() for future in [model.engine.submit(tile) for tile in tiles]])
        if number:
            whole.append(took.seconds)
            cores.append(took.cpu / took.seconds)
            alone.append(forward.seconds)
    return Spread.of(whole), Spread.of(alone), float(np.median(cores))


def stages(model: OpenModel, plan: ImagePlan) -> dict[str, float]:
    """Return the core seconds of each stage of one photo, one after the other."""
    read = _clock(lambda: _tiles(plan))
    network = _clock(lambda: [future.result() for future in [model.engine.submit(tile) for tile in read.value]])
    stitcher = model.engine.stitcher(plan.grid, confidence=False)
    placed = list(zip(plan.grid.tiles(), network.value, strict=True))
    stitch = _clock(lambda: [rows for tile, logits in placed for rows in stitcher.add(tile, logits)])
    meta = MaskMeta(plan.grid.source_shape, model.classes, plan.info.georeference, {})

    def write() -> None:
        with MaskWriter(plan.outputs, meta) as writer:
            for rows in stitch.value:
                writer.write(rows.labels)
            writer.commit()

    steps = {"read": read, "network": network, "blend and label": stitch, "encode and verify": _clock(write)}
    return {name: step.cpu for name, step in steps.items()}


@dataclass(frozen=True, slots=True)
class _Took:
    value: Any
    seconds: float
    cpu: float


def _clock(function: Callable[[], _Result]) -> _Took:
    started, cpu = time.perf_counter(), time.process_time()
    value = function()
    return _Took(value, time.perf_counter() - started, time.process_time() - cpu)


def _tiles(plan: ImagePlan) -> list[np.ndarray]:
    with open_image(plan.found.path) as image:
        return [pixels for _, pixels in read_tiles(image, plan.grid) if pixels is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=12, help="Photos per job; fewer where they take long.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything runs.")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="What to run.")
    parser.add_argument("--small", action="store_true", help="Two tiny photos, one round.")
    arguments = parser.parse_args()
    height, width = (800, 1200) if arguments.small else (4000, 6000)
    photos, rounds = (2, 1) if arguments.small else (arguments.photos, arguments.rounds)
    jobs, costs = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in arguments.case:
            case = CASES[name]
            count = max(photos // case.share, 1)
            tiling = Tiling(case.window, 512, 0.25)
            written = write_model(folder / name, 24, case.size, tiling)
            source = write_photos(folder / f"photos-{count}", count, height, width)
            request = Request(tiling=tiling, out=folder / "masks")
            plan = plan_survey(walk_survey([source], out=request.out), request)
            model = open_model(describe_checkpoint(str(written)), options=EngineOptions(device="cpu"))
            with closing(model.engine):
                whole, alone, cores = measure(model, plan, request, rounds)
                cost = stages(model, plan.images[0])
            ratio = f"{whole.median / alone.median:.2f}"
            jobs.append((name, model.engine.name, str(count), str(whole), str(alone), ratio, f"{cores:.1f}"))
            costs.append((name, *(f"{seconds:.3f}" for seconds in cost.values())))
    print(
        table(("case", "engine", "photos", "whole job, s", "network alone, s", "ratio", "cores busy"), jobs), end="\n\n"
    )
    print(table(("core seconds of one photo", "read", "network", "blend and label", "encode and verify"), costs))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
