"""Try a run out for a few seconds: the network alone, then the real work on some images, or parts of them."""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import psutil

from segment.engine.contract import Engine
from segment.engine.convert import is_kept
from segment.model.checkpoint import weights_digest
from segment.plan.figures import Calibration, Rates
from segment.plan.request import Request
from segment.plan.sample import Sample
from segment.record.logs import configure_logging
from segment.run.apart import Task
from segment.run.cores import share_cores
from segment.run.model import OpenModel, open_model
from segment.run.trial import Took, Trial
from segment.run.worker import WORKING_BYTES
from tiler.errors import NoseamError
from tiler.grid.tiles import plan_grid
from tiler.source.shut_off import allow_vrt

_NETWORK_S = 0.7
"""Seconds that the network runs alone."""
_IMAGES_S = 2.5
"""Seconds for images that are tried out whole; what has begun is brought to its end."""
_WHOLE_S, _PART_S = 1.0, 0.6
"""Seconds that the network may take for an image that is tried out whole, and for a part of a larger one, on a machine
that does nothing else."""
_ROUND_S = 1.2
"""Where the first parts took longer, the next are smaller."""
_LEAST_SHARE = 0.2
_PARTS = 3
"""Parts of large images that are tried out."""
_READ_BYTES = 64 * 2**20
_READ_S = 0.5
_BUSY = 0.8
"""A network that keeps this fraction of the cores busy that are to be had waits for cores, not for a device."""


def calibrate(model: OpenModel, request: Request, samples: Sequence[Sample], folder: Path) -> Calibration:
    """Return what a few seconds of the real work show.

    First the network runs alone, on noise. Then images are segmented as a run does it, as many at a time, and core
    seconds are counted: unlike seconds, they hardly depend on what else the machine does.

    Parameters
    ----------
    model : OpenModel
        What segments.
    request : Request
        What the survey was planned for.
    samples : sequence of Sample
        Which images to take, at least one.
    folder : Path
        Where masks go, and are removed again; it is there, and is not the output folder.

    Returns
    -------
    Calibration
        `startup_s` lacks the seconds of the process from its start to its end: who started it adds them.
    """
    clock = _Clock()
    tile = samples[0].images[0].grid.tile_shape
    network = _run_network(model.engine, tile, request.work(tile))
    base = psutil.Process().memory_info().rss
    alone_s = network.tile_s * min(network.cores / model.threads.cores, 1)
    trial = Trial(model, request, folder, _WHOLE_S / alone_s)
    before_s = clock.seconds
    first = Trial(model, request, folder, most_work=1)  # loads what the first image of a run loads
    first.run([first.piece(samples[0].images[0], 0.5)])
    loading_s = clock.seconds - before_s
    few = model.threads.images
    read_bytes_s = _read([image.found.path for sample in samples for image in sample.images[:few]])
    rates = [_rates_of(trial, sample, network, base) for sample in samples]
    cores = min(clock.cores, float(share_cores().cores))
    return Calibration(
        engine=model.engine.name,
        samples=len(trial.tried),
        startup_s=loading_s - clock.seconds,
        tile_s=network.tile_s * (network.cores / cores if network.waits_for_cores else 1),
        tile_core_s=network.tile_core_s,
        cores=cores,
        cores_in_all=share_cores().cores,
        read_bytes_s=read_bytes_s,
        base_bytes=base,
        classes=len(model.classes),
        at_once=few,
        most_bytes=WORKING_BYTES,
        rates=tuple(rate for rate in rates if rate is not None),
        failed=trial.failed,
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Tells since when how many cores were to be had: those that this process used, and those that nobody did."""

    began: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.process_time)
    idle: float = field(default_factory=lambda: psutil.cpu_times().idle)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def core_s(self) -> float:
        return time.process_time() - self.used

    @property
    def cores(self) -> float:
        return (self.core_s + float(psutil.cpu_times().idle) - self.idle) / self.seconds


@dataclass(frozen=True, slots=True)
class _Network:
    """What the network takes for a tile of the size that it was trained at, with the device to itself."""

    tile_s: float
    tile_core_s: float
    cores: float

    @property
    def waits_for_cores(self) -> bool:
        return self.tile_core_s / self.tile_s > _BUSY * self.cores


def _run_network(engine: Engine, shape: tuple[int, int], work: float) -> _Network:
    """Run tiles of one shape, each of which costs as much as `work` tiles of the size that it was trained at."""
    tile = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    ahead = max(engine.tiles_ahead(shape), 1)
    _settle(engine, shape, [engine.submit(tile) for _ in range(-(-ahead // 2))])
    clock, waiting, count = _Clock(), deque(engine.submit(tile) for _ in range(ahead)), ahead
    while clock.seconds < _NETWORK_S:
        waiting.popleft().result()
        waiting.append(engine.submit(tile))
        count += 1
    _settle(engine, shape, waiting)
    return _Network(clock.seconds / count / work, clock.core_s / count / work, clock.cores)


def _settle(engine: Engine, shape: tuple[int, int], waiting: Sequence[Future[Any]]) -> None:
    """Wait until the device has computed all tiles; only labels on the host say so."""
    logits = [future.result() for future in waiting]
    grid = plan_grid(shape, scale=1, tile=shape, overlap=(0, 0))
    for _ in engine.stitcher(grid, confidence=False).add(next(grid.tiles()), logits[-1]):
        pass


def _read(paths: Sequence[Path]) -> float:
    """Return the bytes a second at which some files are read, each at most in part."""
    began, count = time.monotonic(), 0
    for path in paths:
        try:
            with path.open("rb") as file:
                while file.tell() < _READ_BYTES and (data := file.read(2**20)):
                    count += len(data)
        except OSError:  # its trial says so
            continue
        if time.monotonic() - began > _READ_S:
            break
    return max(count, 1) / max(time.monotonic() - began, 1e-9)


def _rates_of(trial: Trial, sample: Sample, network: _Network, base: int) -> Rates | None:
    """Return what a kind of image costs; None where every piece failed."""
    took = [each for each in _try_out(trial, sample) if each.pixels]
    if not took:
        return None
    at_once = trial.model.threads.images
    core_s = fmean((each.core_s - each.work * network.tile_core_s) / each.pixels for each in took)
    return Rates(
        sample.kind,
        tiles_run=fmean(each.tiles / each.planned_tiles for each in took),
        core_s=max(core_s, 0),
        closing_s=fmean(each.closing_s / each.pixels for each in took),
        compression=fmean(each.file_bytes / each.mask_bytes for each in took),
        memory=max(max(each.peak_bytes - base, 0) / _claimed(each, at_once) for each in took),
    )


def _claimed(took: Took, at_once: int) -> int:
    """Return the bytes that pieces were expected to hold, as many as were worked on at a time."""
    return max(sum(sorted(took.claims, reverse=True)[:at_once]), 1)


def _try_out(trial: Trial, sample: Sample) -> list[Took]:
    """Return what all images took, if none is too large; else what parts of a few took, from all over them.

    Each part stands for as much of its image as any other, because in the middle there is often more to do than at the
    edges. The first are the largest, since memory takes some rows of tiles to grow. The others are smaller where that
    took long.
    """
    whole = [trial.piece(image, 0.5) for image in sample.images]
    if all(piece.within is None for piece in whole):
        return [trial.run(whole, _IMAGES_S * max(sample.share, _LEAST_SHARE))]
    few = sample.images[: trial.model.threads.images]
    count = len(few) * -(-(_PARTS if sample.share > _LEAST_SHARE else 1) // len(few))
    places = sorted(((number + 0.5) / count for number in range(count)), key=lambda place: abs(place - 0.5))
    began, share = time.monotonic(), _PART_S / _WHOLE_S
    first = trial.run([trial.piece(image, place, share) for image, place in zip(few, places, strict=False)])
    share *= min(_ROUND_S / (time.monotonic() - began), 1)
    later = [list(zip(few, places[at:], strict=False)) for at in range(len(few), count, len(few))]
    return [first, *(trial.run([trial.piece(image, place, share) for image, place in each]) for each in later)]


def work() -> None:
    """Take a task from standard input, and leave the result in the folder that the command line names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    folder = Path(sys.argv[1])
    configure_logging(int(sys.argv[2]))
    try:
        task: Task = pickle.load(sys.stdin.buffer)
    except (EOFError, pickle.UnpicklingError):  # who started this process was ended before it had told the task
        return
    result: Calibration | NoseamError | None
    try:
        result = _in_this_process(task, folder)
    except NoseamError as error:
        result = error
    (folder / "partial").write_bytes(pickle.dumps(result))
    (folder / "partial").rename(folder / "result")


def _in_this_process(task: Task, folder: Path) -> Calibration | None:
    """Return what was found; None where the network had to be converted first, which left its memory behind."""
    if task.request.limits.allow_vrt:
        allow_vrt()
    digest = weights_digest(task.description)
    before = is_kept(digest)
    model = open_model(task.description, options=task.engine)
    with closing(model.engine):
        if not before and is_kept(digest):
            return None
        masks = folder / "masks"
        masks.mkdir()
        return calibrate(model, task.request, task.samples, masks)
