"""What a worker process holds of the runs that it works for, and what it does: opens their models, does their tasks.

Only this module and `start.py` run in the workers. dask calls the functions by their names.
"""

from __future__ import annotations

import asyncio
import platform
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
from distributed import get_worker
from distributed.comm import get_address_host

from segment.engine.choose import has_cuda, open_engine
from segment.engine.request import EngineOptions
from segment.errors import CheckpointError, ModelNameError, WorkersError
from segment.model.checkpoint import Description, describe_checkpoint, weights_digest
from segment.record.hardware import count_gpus
from segment.record.logs import ignore_placeless
from segment.run.cores import share_cores
from segment.run.model import OpenModel
from segment.run.task import Ended, Task
from segment.run.worker import Worker
from segment.workers.board import Board, waited_for
from segment.workers.orders import Done, Facts, Order, Site, packed, portable, unpacked
from segment.workers.turns import Turns
from segment.workers.voice import Voice
from tiler.extra import version_of
from tiler.source.shut_off import allow_vrt
from tiler.stopwatch import offer, start, taken

_LOOK_S, _SEEN_S = 1.0, 5.0
_turns = Turns()
_opening = threading.Lock()
_runs: dict[str, _Here] = {}
_models: dict[tuple[object, ...], OpenModel] = {}


async def open_here(site: bytes, dask_worker: Any) -> bytes:
    """Return what the worker says when it has opened the model of a run, or the error that keeps it from that."""
    return await asyncio.to_thread(_opened, unpacked(site), dask_worker)


async def leave_here(key: str) -> None:
    """Forget a run, and let go of its model."""
    await asyncio.to_thread(_leave, key)


def do_here(order: bytes) -> bytes:
    """Return what came of a task, in a thread of the worker."""
    known: Order = unpacked(order)
    return packed(_enter(known.site, get_worker()).do(known))


def _opened(site: Site, worker: Any) -> bytes:
    try:
        return packed(_enter(site, worker).facts)
    except Exception as error:
        return packed(portable(error))


def _enter(site: Site, worker: Any) -> _Here:
    with _opening:
        if site.key not in _runs:
            _forget_ended()
            _runs[site.key] = _Here(site, worker)
        here = _runs[site.key]
    if site.engine_name and here.facts.engine != site.engine_name:
        raise WorkersError(
            f"worker {worker.name} runs {here.facts.engine}, and the others run {site.engine_name}; "
            "--engine, --device and --precision make them alike"
        )
    return here


def _leave(key: str) -> None:
    with _opening:
        if key in _runs:
            _runs.pop(key).voice.close()
        _close_unused()


def _forget_ended() -> None:
    """Forget the runs that ended without a word."""
    for key in [key for key, here in _runs.items() if not here.board.is_there]:
        _runs.pop(key).voice.close()
    _close_unused()


def _close_unused() -> None:
    """Close the models that no run uses."""
    used = {id(here.model) for here in _runs.values()}
    for key in [key for key, model in _models.items() if id(model) not in used]:
        _models.pop(key).engine.close()


class _Here:
    """One run in this process."""

    def __init__(self, site: Site, worker: Any) -> None:
        self.board, self._worker = Board(site.board), worker
        probe = _refuse_other_place(site, worker)
        ignore_placeless()
        if site.allow_vrt:
            allow_vrt()
        if site.takes_times:
            start()
        self.voice = Voice(partial(worker.log_event, site.key), site.level)
        try:
            self.model = _model(site, worker)
        except BaseException:
            self.voice.close()
            raise
        offer("cores", self.model.threads.cores)
        self.facts = Facts(self.model.engine.name, self.model.threads.cores, probe)
        self._crews: dict[str, Worker] = {}
        self._looked, self._open = -_LOOK_S, False

    def do(self, order: Order) -> Done:
        """Do a task, alone where processes ended with it before; do not begin it where too many did."""
        deaths = self.board.deaths(order.name)
        if sum(death.alone for death in deaths) > order.forgiven:
            return Done(str(self._worker.name), deaths=deaths)
        alone = bool(deaths) or self._worker.state.nthreads == 1
        with _turns.alone() if deaths else _turns.together():
            if not self._is_open():
                return Done(str(self._worker.name))
            task = replace(order.task, standing=None) if deaths else order.task  # another may have made its masks
            with self.board.begun(order.name, alone=alone), self.voice.telling(order.number) as advance:
                ended = self._crew(order).end(task, self._is_open, self._unless_over(advance))
                pixels = self.voice.pixels(order.number)
        return Done(str(self._worker.name), _as_made(ended, order.task) if deaths else ended, pixels, taken())

    def _crew(self, order: Order) -> Worker:
        with _opening:
            return self._crews.setdefault(order.crew, Worker(self.model, order.work))

    def _is_open(self) -> bool:
        """Return whether tasks may begin; the board is looked at once a second."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._open, self._looked = self.board.is_open, time.monotonic()
        return self._open

    def _unless_over(self, advance: Callable[[int], None]) -> Callable[[int], None]:
        """Return what counts pixels, and raises where the run is over, whose files nobody waits for."""

        def count(pixels: int) -> None:
            if not self._is_open() and not self.board.is_there:
                raise WorkersError("the run is over")
            advance(pixels)

        return count


def _as_made(ended: Ended | None, task: Task) -> Ended | None:
    """Return how a task ended that was begun before: what that worker made and could not tell is made by this run."""
    was_current = task.standing is not None and task.standing.state == "current"
    if ended is None or ended.outcome is None or ended.outcome.state != "skipped" or was_current:
        return ended
    return replace(ended, outcome=replace(ended.outcome, state="done", reason=""))


def _refuse_other_place(site: Site, worker: Any) -> str:
    """Return the name of a new file on the board; raise unless this process has the run's version, and its files."""
    me = f"worker {worker.name} on {platform.node()}"
    if (found := version_of("noseam")) != site.version:
        raise WorkersError(f"{me} has noseam {found}, and this run has {site.version}; install the same on both")
    out = site.board.parent
    if not waited_for(site.board.exists, _SEEN_S, _LOOK_S / 4):  # a share may show new folders late
        raise WorkersError(f"{me} does not see the output folder {out} as this machine does; mount it there too")
    probe = site.board / f"seen.{secrets.token_hex(4)}"
    try:
        probe.touch()
    except OSError as error:
        why = error.strerror or error
        raise WorkersError(f"{me} cannot write to the output folder {out}: {why}; let its user do so") from error
    for source in site.sources:
        if not source.exists():
            raise WorkersError(f"{me} does not see {source}; mount it there under the same path")
    return probe.name


def _model(site: Site, worker: Any) -> OpenModel:
    """Return the model of a run, opened once in this process."""
    device = _device(site.engine, worker.name)
    cores = site.cores or max(int(joblib.cpu_count()) // site.beside.get(get_address_host(worker.address), 1), 1)
    temperature, balance = site.description.temperature, site.description.balance
    key = (site.digest, site.classes, site.engine, device, cores, temperature, balance)
    if key not in _models:
        _close_unused()
        options = replace(site.engine, device=device)
        engine = open_engine(_description(site), site.digest, options, threads=cores)
        _models[key] = OpenModel(
            site.description.name, site.digest, site.classes, engine, share_cores(cores), temperature, balance
        )
    return _models[key]


def _description(site: Site) -> Description:
    """Return the checkpoint as this machine has it."""
    found = site.description
    if not site.beside:  # this is the machine of the run
        return found
    if not found.folder.exists():
        try:
            found = replace(describe_checkpoint(found.name), balance=found.balance)
        except ModelNameError as error:
            raise CheckpointError(f"{found.folder}: not there; mount it under the same path") from error
    if weights_digest(found) != site.digest:
        raise CheckpointError(
            f"{found.folder}: the weights differ from those of the run; copy the checkpoint there again"
        )
    return found


def _device(engine: EngineOptions, worker: Any) -> str:
    """Return the device of a worker: the workers of this machine take its GPUs in turn."""
    gpus = count_gpus() if isinstance(worker, int) and engine.engine != "openvino" else 0
    if gpus > 1 and (engine.device == "cuda" or (engine.device == "auto" and has_cuda())):
        return f"cuda:{worker % gpus}"
    return engine.device
