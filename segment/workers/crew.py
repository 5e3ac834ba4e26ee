"""The tasks of one run, handed to workers by dask.distributed's own client, and taken back."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from distributed import KilledWorker
from distributed.comm.core import CommClosedError

from segment.errors import SchedulerLostError, WorkerEndedError
from segment.guard.limits import Gate
from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.run.crew import Advance
from segment.run.request import Resource
from segment.run.task import Ended, Task, Work
from segment.run.worker import failure, skipped
from segment.workers.blame import is_to_blame
from segment.workers.board import Board, Death
from segment.workers.here import do_here
from segment.workers.orders import Done, Order, Site, absolute, packed, unpacked
from segment.workers.pool import Pool
from segment.workers.quiet import Heard
from tiler.stopwatch import include

_BUSY_PERCENT = 10.0
"""A worker process that waits uses less of a core, a few percent, for dask's own signs of life."""
_ALONE_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Held:
    """A task in hand."""

    task: Task
    """What was asked for."""
    order: Order
    """The same for a worker."""
    future: Future[Ended | None]
    """Who waits for it."""
    asked: Any = None
    """What dask holds of it."""
    tries: int = 0
    pixels: int = 0
    began: float | None = None


class DaskCrew:
    """Workers that do the tasks of one run.

    Parameters
    ----------
    pool : Pool
        Who does them.
    site : Site
        What they know of the run.
    work : Work
        What the run asks.
    gate : Gate
        Says whether further tasks may begin.
    advance : callable
        Takes the path of an image and how many more of its pixels are labelled.
    resource : Resource or None
        What every task takes of a worker.
    heard : Heard
        What dask told of processes of this machine that ended.
    clean : callable
        Removes what processes that were ended left in the output folder.
    """

    def __init__(
        self,
        pool: Pool,
        site: Site,
        work: Work,
        gate: Gate,
        advance: Advance,
        *,
        resource: Resource | None,
        heard: Heard,
        clean: Callable[[], None],
    ) -> None:
        self._pool, self._site, self._work, self._gate, self._advance = pool, site, work, gate, advance
        self._resources = {resource.name: resource.amount} if resource else None
        self._heard, self._clean = heard, clean
        self._board, self._name = Board(site.board), secrets.token_hex(4)
        self._held: dict[int, _Held] = {}
        self._submitted = 0
        self._lock = threading.Lock()
        self._ending = False
        self._began = time.monotonic()
        self._left = self._explained = 0
        self._seen: dict[str, float] = {}
        self._known = self._names()
        self._alone_since: float | None = None
        gate.pulse.of_others()
        self._board.open()
        pool.each_second = self._each_second

    @property
    def most(self) -> int:
        """Two tasks for each thread of a worker, so that none waits for the next, and few wait for one that ends."""
        return 2 * max(self._pool.threads, 1)

    def submit(self, task: Task) -> Future[Ended | None]:
        """Hand in a task; see `Crew`. Where nothing is to do, no worker is asked."""
        if task.standing is not None and task.standing.state == "current":
            return _at_once(task.image, task.standing)
        with self._lock:
            self._submitted += 1
            number = self._submitted
        held = _Held(task, Order(self._site, self._name, self._work, number, absolute(task)), Future())
        with self._lock:
            self._held[number] = held
        self._ask(number, held)
        return held.future

    def look(self) -> None:
        """Shut the board with the gate; raise where the scheduler is gone; say so where no worker is left."""
        self._shut_with_gate()
        if self._pool.is_lost:
            raise self._lost()
        if self._pool.workers:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > _ALONE_S:
            self._alone_since = float("inf")
            _log.warning("no worker is left; the run goes on when one comes, and --max-stall ends it")

    def under_way(self) -> Mapping[Path, float]:
        """Return the images that are worked on, and how many seconds each took so far."""
        now = time.monotonic()
        with self._lock:
            begun = [held for held in self._held.values() if held.began is not None]
        return {held.task.path: now - (held.began or now) for held in begun}

    def end(self, *, broken: bool) -> None:
        """Begin nothing more, and return when nothing is under way; give up what is where the run is broken."""
        self._ending = True
        self._board.shut()
        given_up = broken or self._gate.end == "stalled"
        with self._lock:
            left = [held.asked for held in self._held.values() if held.asked is not None]
        if given_up:
            self._heard.is_over = True
            self._pool.kill()
        if left and not self._pool.is_lost:
            self._pool.client.cancel(left, force=True)
        if not given_up:
            for held in [*self._held.values()]:
                held.future.exception()
        self._pool.each_second = lambda: None
        self._gate.pulse.of_this_process()
        self._clean()  # a process of a cluster may have ended unseen

    def _ask(self, number: int, held: _Held) -> None:
        held.tries += 1
        key = f"noseam-{self._name}-{number}-{held.tries}"
        held.asked = self._pool.client.submit(
            do_here, packed(held.order), key=key, pure=False, resources=self._resources, retries=0
        )
        held.asked.add_done_callback(partial(self._take, number, held))

    def _take(self, number: int, held: _Held, asked: Any) -> None:
        """Take back a task from dask, in a thread of its own."""
        try:
            done: Done = unpacked(asked.result())
        except KilledWorker:  # too many processes ended while it waited for them, and the board alone says why
            if not self._ending:
                self._ask(number, held)
                return
            self._give(number, held, None)
        except (CancelledError, CommClosedError):  # how dask says that the scheduler is gone, by when it noticed
            self._give(number, held, None if self._ending else self._lost())
        except BaseException as error:
            self._give(number, held, error)
        else:
            if done.deaths and not self._is_to_blame(done.deaths):
                alone = sum(death.alone for death in done.deaths)
                held.order = replace(held.order, forgiven=alone)
                self._ask(number, held)
                return
            self._give(number, held, self._ended(held, done))

    def _give(self, number: int, held: _Held, result: Ended | BaseException | None) -> None:
        with self._lock:
            self._held.pop(number, None)
            held.asked = None
        if isinstance(result, BaseException):
            held.future.set_exception(result)
        else:
            held.future.set_result(result)

    def _ended(self, held: _Held, done: Done) -> Ended | None:
        """Return how a task ended, with the name of its worker, and the path that the run knows the image by."""
        self._gate.pulse.move()
        worker = self._pool.label(done.worker)
        include(done.stages)
        if done.deaths:
            self._explained += len(done.deaths)
            ended: Ended | None = Ended(failure(held.task.image, self._blame(held.task, done.deaths)))
        else:
            ended = done.ended
            self._count(held, done.pixels)
        if ended is None or ended.outcome is None:
            return ended
        if ended.outcome.disk_full:
            self._gate.shut("disk full")
        self._shut_with_gate()
        return replace(ended, outcome=replace(ended.outcome, path=held.task.path, worker=worker))

    def _is_to_blame(self, deaths: tuple[Death, ...]) -> bool:
        """Return whether a task ended processes, and was not hit by what ends them anyway."""
        ended = len(self._heard.ended) if self._pool.is_local else self._left
        worked_s = (time.monotonic() - self._began) * max(len(self._pool.workers), 1)
        return is_to_blame(deaths, self._heard.ended, max(ended - len(deaths) - self._explained, 0), worked_s)

    def _blame(self, task: Task, deaths: tuple[Death, ...]) -> WorkerEndedError:
        signals = self._heard.signals
        found = sorted({signals[death.process] for death in deaths if signals.get(death.process)})
        by = f", by signal {' and '.join(map(str, found))}" if found else ""
        memory = "; is its memory too small?" if not found or 9 in found else ""
        return WorkerEndedError(
            f"{task}: its worker ended {len(deaths)} times while it worked on this image{by}{memory}"
        )

    def _count(self, held: _Held, pixels: int) -> None:
        """Tell of a task's pixels up to a number; it is less than before where another worker began anew."""
        with self._lock:
            more, held.pixels = pixels - held.pixels, pixels
        if more:
            self._advance(held.task.path, more)

    def hear(self, said: Mapping[str, Any]) -> None:
        """Take in what a worker says, in the thread of the client."""
        self._gate.pulse.move()
        if (held := self._held.get(said.get("begun", said.get("ended", 0)))) is not None:
            held.began = time.monotonic() if "begun" in said else None
        for number, pixels in said.get("pixels", ()):
            if (held := self._held.get(number)) is not None:
                self._count(held, pixels)

    def _each_second(self) -> None:
        """Note that workers compute; a long image may tell nothing else."""
        self._shut_with_gate()
        self._tell_changes()
        for address, worker in self._pool.workers.items():
            seen = worker.get("last_seen", 0.0)
            if self._seen.get(address) != seen and worker.get("metrics", {}).get("cpu", 0.0) > _BUSY_PERCENT:
                self._gate.pulse.move()
            self._seen[address] = seen

    def _tell_changes(self) -> None:
        """Say which workers of a cluster came and left; those of this machine start again at once."""
        before, self._known = self._known, self._names()
        for address in () if self._pool.is_local else self._known.keys() - before.keys():
            _log.info("worker %s has come", self._known[address])
        for address in () if self._pool.is_local else before.keys() - self._known.keys():
            self._left += 1
            _log.warning("worker %s has left; others do its tasks", before[address])

    def _names(self) -> dict[str, str]:
        return {address: self._pool.label(worker["name"]) for address, worker in self._pool.workers.items()}

    def _shut_with_gate(self) -> None:
        if not self._gate.open:
            self._board.shut()

    def _lost(self) -> SchedulerLostError:
        return SchedulerLostError(
            f"the scheduler at {self._pool.address} does not answer any more; start it again, and the same command "
            "goes on"
        )


def _at_once(image: ImagePlan, standing: Standing) -> Future[Ended | None]:
    found: Future[Ended | None] = Future()
    try:
        found.set_result(Ended(skipped(image, standing)))
    except Exception as error:
        found.set_result(Ended(failure(image, error)))
    return found
