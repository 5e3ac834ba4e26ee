"""Segment pieces of images as a run does, and add up what they take."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from segment.engine.contract import Engine, Stitcher, Tiles
from segment.guard.limits import Gate
from segment.guard.request import RunLimits
from segment.plan.request import Request
from segment.plan.sample import moved, part_to_try
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.agenda import Agenda
from segment.run.local import LocalCrew
from segment.run.model import OpenModel
from segment.run.schedule import Schedule
from segment.run.task import Work
from tiler.files.outputs import all_paths
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid

_STALL_MIN = 2.0
_LOOK_S = 0.004


class _Counted:
    """An engine that counts its tiles, and what they cost."""

    def __init__(self, engine: Engine, work_of: Callable[[tuple[int, int]], float]) -> None:
        self._engine, self._work_of = engine, work_of
        self.classes, self.name, self.tiles_ahead = engine.classes, engine.name, engine.tiles_ahead
        self.tiles, self.work = 0, 0.0

    def submit(self, pixels: Tiles) -> Future[Any]:
        """See `Engine`."""
        self.tiles += 1
        self.work += self._work_of(pixels.shape[1:])
        return self._engine.submit(pixels)

    def stitcher(
        self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None
    ) -> Stitcher:
        """See `Engine`."""
        return self._engine.stitcher(grid, confidence=confidence, disagreement=disagreement, span=span)

    def close(self) -> None:
        """See `Engine`."""
        self._engine.close()


@dataclass(slots=True)
class Took:
    """What some pieces took, all together; those that failed are left out as far as can be."""

    tiles: int = 0
    """Tiles that the network ran."""
    work: float = 0.0
    """What they cost, in tiles of the size that the network was trained at."""
    planned_tiles: int = 0
    """Tiles of their grids."""
    pixels: int = 0
    """Source pixels."""
    core_s: float = 0.0
    """Core seconds of this process."""
    closing_s: float = 0.0
    """Seconds from their last labels until their files had their names."""
    mask_bytes: int = 0
    """Bytes of their masks before compression."""
    file_bytes: int = 0
    """Bytes of their files."""
    peak_bytes: int = 0
    """Largest resident memory of this process."""
    claims: list[int] = field(default_factory=list)
    """What `working_bytes` says of each."""


@dataclass(slots=True)
class Trial:
    """Runs pieces of images, as many at a time as a run does."""

    model: OpenModel
    """What segments them."""
    request: Request
    """What the survey was planned for."""
    folder: Path
    """Where their masks go, and are removed again."""
    most_work: float
    """A piece of an image costs no more than so many tiles of the size that the network was trained at."""
    tried: set[Path] = field(default_factory=set)
    """Images that were tried out with success."""
    failed: str = ""
    """Why the first image that failed did so."""

    def piece(self, image: ImagePlan, place: float, share: float = 1.0) -> ImagePlan:
        """Return what is tried out of an image: this share of the most tiles, and a whole row at least."""
        most = max(int(self.most_work * len(image.grid) / image.work), 1)
        tiles = max(int(share * most), min(len(image.grid.col_offs), most))
        part = part_to_try(image, place, tiles, self.request.tiling)
        return moved(part, self.request.out, self.folder)

    def run(self, pieces: Sequence[ImagePlan], seconds: float = 60.0) -> Took:
        """Segment pieces of different images, and return what they took; none is begun after so many seconds."""
        engine, took = _Counted(self.model.engine, self.request.work), Took()
        began = time.process_time()
        with _peak() as peak:
            self._segment(pieces, engine, seconds, took)
        took.core_s = time.process_time() - began
        took.tiles, took.work, took.peak_bytes = engine.tiles, engine.work, peak[0]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        return took

    def _segment(self, pieces: Sequence[ImagePlan], engine: Engine, seconds: float, took: Took) -> None:
        labelled: dict[Path, float] = {}
        of_path = {piece.found.path: piece for piece in pieces}
        model = replace(self.model, engine=engine)
        gate = Gate(RunLimits(max_runtime_min=seconds / 60, max_stall_min=_STALL_MIN))
        work = Work(replace(self.request, report=False), overwrite=True)
        crew = LocalCrew(model, work, gate, lambda path, _: labelled.update({path: time.monotonic()}))
        try:
            ended = Schedule(Agenda(deque(pieces), {}, model.known, work), crew, gate).outcomes()
            for outcome in chain.from_iterable(ended):
                if outcome.state == "done":
                    took.closing_s += time.monotonic() - labelled[outcome.path]
                    self._add(outcome, of_path[outcome.path], took)
                else:
                    self.failed = self.failed or outcome.reason
        finally:
            crew.end(broken=False)

    def _add(self, outcome: Outcome, piece: ImagePlan, took: Took) -> None:
        self.tried.add(outcome.path)
        took.claims.append(piece.working_bytes(len(self.model.classes)))
        took.planned_tiles += len(piece.grid)
        took.pixels += piece.pixels
        took.mask_bytes += piece.output_bytes
        took.file_bytes += sum(path.stat().st_size for path in all_paths(piece.outputs))


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Yield a list whose one number is the largest resident memory during the block, once it has ended."""
    process, found, over = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while True:
            found[0] = max(found[0], process.memory_info().rss)
            if over.wait(_LOOK_S):
                return

    thread = threading.Thread(target=watch, name="memory")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
