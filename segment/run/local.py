"""Do the tasks of a run in threads of this process, several at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

from segment.guard.limits import Gate
from segment.model.checkpoint import Description
from segment.run.crew import Advance
from segment.run.model import KnownModel, OpenModel, open_model
from segment.run.request import SegmentRequest
from segment.run.task import Ended, Task, Work
from segment.run.worker import Worker
from tiler.stopwatch import offer


class LocalWorkers:
    """The process itself, with its model open.

    Parameters
    ----------
    model : OpenModel
        The model.
    """

    def __init__(self, model: OpenModel) -> None:
        self._model = model
        self.known: KnownModel = model.known
        self.count = 1

    def crew(self, work: Work, gate: Gate, advance: Advance) -> LocalCrew:
        """Return the threads that do the tasks of a run."""
        return LocalCrew(self._model, work, gate, advance)

    def close(self) -> None:
        """Stop the engine; threads that wait for logits end."""
        self._model.engine.close()


class LocalCrew:
    """Threads of this process: as many as the model's threads say, and fewer tasks where images are wide.

    Parameters
    ----------
    model : OpenModel
        What segments.
    work : Work
        What the run asks.
    gate : Gate
        Says whether further tasks may begin.
    advance : callable
        Called in the tasks' own threads with the path of an image and how many more of its pixels are labelled.
    """

    def __init__(self, model: OpenModel, work: Work, gate: Gate, advance: Advance) -> None:
        self._worker, self._model = Worker(model, work), model
        self._gate, self._advance = gate, advance
        self._pool = ThreadPoolExecutor(model.threads.images)
        self.most = 2 * model.threads.images

    def submit(self, task: Task) -> Future[Ended | None]:
        """Hand in a task; see `Crew`."""
        return self._pool.submit(self._end, task)

    def look(self) -> None:
        """Do nothing: the threads give signs of life themselves."""

    def under_way(self) -> Mapping[Path, float]:
        """Return the images that are worked on, and how many seconds each took so far."""
        found: Counter[Path] = Counter()
        for task, seconds in self._worker.under_way.shares().items():
            found[cast(Task, task).path] += seconds  # type: ignore[assignment]
        return found

    def end(self, *, broken: bool) -> None:
        """Begin nothing more and wait for what is under way; after a stall do not wait, because that may never end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if broken:
            self._model.engine.close()  # ends the threads that wait for logits
        self._pool.shutdown(wait=self._gate.end != "stalled")

    def _end(self, task: Task) -> Ended | None:
        ended = self._worker.end(task, lambda: self._gate.open, partial(self._move, task.path))
        if ended and ended.outcome and ended.outcome.disk_full:
            self._gate.shut("disk full")
        return ended

    def _move(self, path: Path, pixels: int) -> None:
        self._gate.pulse.move()
        self._advance(path, pixels)


def open_local(request: SegmentRequest, description: Description) -> LocalWorkers:
    """Open a checkpoint in this process, as a request says; it raises what `open_model` raises."""
    model = open_model(description, request.classes, request.engine_options)
    offer("cores", model.threads.cores)
    return LocalWorkers(model)
