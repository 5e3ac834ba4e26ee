"""Open a model on workers, and find out that they can do the run."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import joblib

from segment.engine.convert import is_kept
from segment.engine.request import EngineOptions
from segment.errors import WorkersError
from segment.guard.limits import Gate
from segment.model.checkpoint import Description
from segment.plan.shard import WHOLE
from segment.record.logs import OURS
from segment.run.cores import share_cores
from segment.run.crew import Advance
from segment.run.model import KnownModel, identify
from segment.run.request import SegmentRequest
from segment.run.task import Work
from segment.workers.board import Board, waited_for
from segment.workers.checks import refuse_other_versions, refuse_unknown_resource
from segment.workers.crew import DaskCrew
from segment.workers.here import leave_here, open_here
from segment.workers.orders import Facts, Site, packed, unpacked
from segment.workers.pool import Pool, found_pool, local_pool
from segment.workers.quiet import quiet_dask
from segment.workers.voice import repeat
from tiler.errors import NoseamError
from tiler.extra import version_of
from tiler.files.atomic import hidden_folder, sweep
from tiler.stopwatch import is_running
from tiler.words import counted

_SEEN_S = 10.0
_TRIES = 3
_log = logging.getLogger(__name__)


class DaskWorkers:
    """Workers of this machine or of a cluster, with a model open; close them after the last run.

    Parameters
    ----------
    request : SegmentRequest
        What was asked.
    description : Description
        The checkpoint.
    workers : int
        How many to start on this machine; of no meaning where the request names a scheduler.

    Raises
    ------
    NoseamError
        If the model cannot be opened there, as one process would say it.
    WorkersError
        If workers cannot be started or found, lack what the run needs, or do not see its files.
    """

    def __init__(self, request: SegmentRequest, description: Description, workers: int) -> None:
        self._request = request
        self._crew: DaskCrew | None = None
        with ExitStack() as stack:
            board = Board(stack.enter_context(hidden_folder(request.out.absolute() / "board")))
            board.open()
            self._heard = stack.enter_context(quiet_dask())
            classes, digest = identify(description, request.classes)
            options = request.worker_options
            cores = _cores_of_each(request.engine_options, None if options.scheduler else workers)
            if options.scheduler is None:
                threads = share_cores(cores).images
                self._pool = stack.enter_context(local_pool(workers, threads, self._heard, board.folder))
            else:
                self._pool = stack.enter_context(found_pool(options.scheduler))
                refuse_other_versions(self._pool, request.engine_options)
                refuse_unknown_resource(self._pool, options.resources)
            description = replace(description, folder=description.folder.absolute())
            sources = tuple(source.absolute() for source in request.sources)
            self._site = Site(
                key=f"noseam-{secrets.token_hex(8)}", version=version_of("noseam"), board=board.folder, sources=sources,
                allow_vrt=request.limits.allow_vrt, description=description, classes=classes, digest=digest,
                engine=request.engine_options, cores=cores, level=_level(), beside=_beside(self._pool),
                takes_times=is_running(),
            )  # fmt: skip
            stack.callback(self._leave)
            self._pool.client.subscribe_topic(self._site.key, self._hear)
            engine = self._open()
            self._site = replace(self._site, engine_name=engine)
            self.known = KnownModel(
                description.name, digest, classes, engine, description.temperature, description.balance
            )
            self.count = len(self._pool.workers)
            self._stack = stack.pop_all()
        _log.info("model %s, %d classes%s, %s, %s", description.name, len(classes), description.balance, engine,
                  self._tell(cores))  # fmt: skip

    def crew(self, work: Work, gate: Gate, advance: Advance) -> DaskCrew:
        """Return those who do the tasks of a run."""
        work = replace(work, request=replace(work.request, out=work.request.out.absolute()))
        self._crew = DaskCrew(
            self._pool, self._site, work, gate, advance, resource=self._request.worker_options.resources,
            heard=self._heard, clean=self._clean,
        )  # fmt: skip
        return self._crew

    def close(self) -> None:
        """Let go of the model, and end the workers of this machine."""
        self._stack.close()
        if self._heard.signals:
            self._clean()

    def _open(self) -> str:
        """Let every worker open the model; return the name of the engine that all of them run."""
        if not is_kept(self._site.digest):
            self._ask(list(self._pool.workers)[:1])  # it converts the network for the others
        found = self._ask(list(self._pool.workers))
        for address, facts in found.items():
            self._refuse_unseen(address, facts)
        return self._the_one(found)

    def _ask(self, addresses: list[str], tries: int = _TRIES) -> dict[str, Facts]:
        """Return what workers say of themselves when they have opened the model; where one ended, ask the next."""
        answers = self._pool.client.run(open_here, packed(self._site), workers=addresses, on_error="return")
        gone = {address for address, data in answers.items() if isinstance(data, OSError)}
        found = {address: self._facts(address, data) for address, data in answers.items() if address not in gone}
        if not gone:
            return found
        if tries == 1:
            raise WorkersError(
                f"{self._name(min(gone))} ended while it opened the model, as others did before; is memory too small?"
            )
        others = self._pool.others(addresses, len(gone))
        return {**found, **self._ask(others, tries - 1)} if others else found

    def _facts(self, address: str, data: Any) -> Facts:
        said = data if isinstance(data, Exception) else unpacked(data)
        if isinstance(said, Facts):
            return said
        if isinstance(said, WorkersError) or (isinstance(said, NoseamError) and self._pool.is_local):
            raise said
        if isinstance(said, NoseamError):
            raise type(said)(f"{self._name(address)}: {said}") from said
        raise WorkersError(
            f"{self._name(address)} failed while it opened the model: {type(said).__name__}: {said}"
        ) from said

    def _name(self, address: str) -> str:
        worker = self._pool.workers.get(address, {})
        return f"worker {self._pool.label(worker.get('name', address))} at {address}"

    def _refuse_unseen(self, address: str, facts: Facts) -> None:
        """Raise unless this process sees what a worker wrote to the output folder."""
        if not waited_for((self._site.board / facts.probe).exists, _SEEN_S, 0.1):
            raise WorkersError(
                f"{self._name(address)} writes to another folder than this machine's {self._site.board.parent}; "
                "mount the same there"
            )

    def _the_one(self, found: Mapping[str, Facts]) -> str:
        engines = {facts.engine: address for address, facts in found.items()}
        if len(engines) > 1:
            told = "; ".join(f"{self._name(address)} runs {engine}" for engine, address in sorted(engines.items()))
            raise WorkersError(
                f"workers run different engines, and masks would differ: {told}; --engine, --device and --precision "
                "make them alike"
            )
        return next(iter(engines))

    def _tell(self, cores: int | None) -> str:
        workers = counted(self.count, "worker")
        if self._pool.is_local:
            return f"{workers} of {counted(cores or 1, 'thread')}"
        return f"{workers} on {counted(len(self._site.beside), 'machine')}"

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take in what a worker says, in the thread of the client."""
        _, said = event
        if "log" in said:
            worker = self._pool.workers.get(said.get("worker", ""), {}).get("name")
            repeat(said, "a worker" if worker is None else f"worker {self._pool.label(worker)}")
        elif self._crew is not None:
            self._crew.hear(said)

    def _leave(self) -> None:
        if not self._pool.is_local and not self._pool.is_lost:
            self._pool.client.run(leave_here, self._site.key, on_error="ignore")

    def _clean(self) -> None:
        """Remove what processes that were ended left in the output folder; nobody else of this run writes there."""
        sweep(self._request.out, of_all=self._request.shard == WHOLE)


def _cores_of_each(engine: EngineOptions, workers: int | None) -> int | None:
    """Return the cores of each worker: those of this machine are shared; None: each machine's are by its workers."""
    if workers is None:
        return engine.threads
    return max((engine.threads or int(joblib.cpu_count())) // workers, 1)


def _level() -> int:
    return min(logging.getLogger(name).getEffectiveLevel() for name in OURS)


def _beside(pool: Pool) -> Mapping[str, int]:
    """Return the number of workers of a cluster on each machine."""
    return {} if pool.is_local else Counter(str(worker["host"]) for worker in pool.workers.values())
