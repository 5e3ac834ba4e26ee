"""A scheduler and its workers: started on this machine, or found at an address."""

from __future__ import annotations

import asyncio
import multiprocessing.resource_tracker
import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Status
from distributed.utils import LoopRunner

from segment.errors import WorkersError
from segment.workers.board import waited_for
from segment.workers.nanny import OwnNanny
from segment.workers.quiet import Heard

_FIND_S = 10.0
_START_S = 120.0
_LOOK_S = 1.0
_KILL_S = 0.5
_CLOSE_S = 3.0
_SETTINGS: Mapping[str, Any] = {
    "distributed.scheduler.allowed-failures": 10**9,  # the board alone says which task is to blame
    "distributed.scheduler.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["segment.workers.start"],
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.worker.multiprocessing-method": "spawn",
}
_LOUDNESS = "DASK_LOGGING__DISTRIBUTED"
_GIVEN_UP = Status.closed, Status.failed


class Pool:
    """A client of a scheduler, and what is known of its workers, asked anew every second.

    Parameters
    ----------
    client : Client
        The client.
    cluster : LocalCluster, optional
        The workers, if they are those of this machine.
    """

    def __init__(self, client: Client, cluster: LocalCluster | None = None) -> None:
        self.client, self._cluster = client, cluster
        self.is_local = cluster is not None
        self.address = str(client.scheduler.address)
        """The address of the scheduler."""
        self.workers: Mapping[str, Mapping[str, Any]] = {}
        """What the scheduler says of each worker, by address."""
        self.each_second: Callable[[], None] = lambda: None
        """Called after each time that the scheduler was asked."""
        self._closed = threading.Event()
        self.ask()
        threading.Thread(target=self._watch, name="watch workers", daemon=True).start()

    @property
    def threads(self) -> int:
        """How many tasks can be worked on at once."""
        return sum(int(worker["nthreads"]) for worker in self.workers.values())

    @property
    def is_lost(self) -> bool:
        """Whether the scheduler does not answer any more."""
        return self.client.status != "running" and not self._closed.is_set()

    def ask(self) -> None:
        """Ask the scheduler for its workers."""
        found = self.client.scheduler_info(n_workers=-1)
        self.workers = dict(found.get("workers", {}))

    def others(self, known: Collection[str], count: int) -> list[str]:
        """Return workers that came in the place of others; wait some seconds for so many."""

        def new() -> list[str]:
            return [address for address in self.workers if address not in known]

        self.wait_for(lambda: len(new()) >= count, _FIND_S)
        return new()

    def wait_for(self, happened: Callable[[], bool], within_s: float) -> bool:
        """Return whether something comes true of the workers within some seconds."""

        def asked() -> bool:
            self.ask()
            return happened()

        return happened() or waited_for(asked, within_s, _LOOK_S / 20)

    def label(self, name: object) -> str:
        """Return what a worker is called in messages and records; those of this machine count from 1."""
        return str(int(str(name)) + 1) if self.is_local else str(name)

    def kill(self) -> None:
        """End the workers of this machine at once; what they work on is lost."""
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.sync(_close_all, self._cluster, callback_timeout=_CLOSE_S)

    def close(self) -> None:
        """Let go of the client, and end the workers of this machine."""
        self._closed.set()
        with suppress(Exception):
            self.client.close(timeout=_CLOSE_S)
        if self._cluster is not None:
            self.kill()
            with suppress(Exception):
                self._cluster.close(timeout=_CLOSE_S)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_S):
            with suppress(Exception):  # whoever uses the client gets to know
                self.ask()
                self._mend()
            self.each_second()

    def _mend(self) -> None:
        """Start workers of this machine anew whose nannies gave up, as they do where a process dies at a bad moment."""
        cluster = self._cluster
        if cluster is not None and any(nanny.status in _GIVEN_UP for nanny in cluster.workers.values()):
            cluster.sync(_replace_lost, cluster, callback_timeout=_START_S)


@contextmanager
def local_pool(workers: int, threads: int, heard: Heard, folder: Path) -> Iterator[Pool]:
    """Yield workers of this machine, each with so many threads for tasks; they end with the block.

    What dask writes goes to a folder, and is left there.

    Raises
    ------
    WorkersError
        If they do not start.
    """
    with (
        _restored(os.environ),  # a nanny sets variables of the process that it starts, and of its own
        dask.config.set(_SETTINGS),
        _deaf_loop() as loop,
    ):
        os.environ[_LOUDNESS] = "critical"
        cluster = LocalCluster(
            n_workers=0, threads_per_worker=threads, memory_limit=None, processes=True, host="127.0.0.1",
            protocol="tcp", dashboard_address="127.0.0.1:0", silence_logs=False, local_directory=str(folder),
            worker_class=OwnNanny, loop=loop,
        )  # fmt: skip
        pool = None
        try:
            pool = Pool(Client(cluster, set_as_default=False), cluster)
            cluster.scale(workers)
            _wait_for(pool, workers, heard)
            yield pool
        finally:
            heard.is_over = True
            pool.close() if pool is not None else cluster.close(timeout=_CLOSE_S)


@contextmanager
def found_pool(address: str) -> Iterator[Pool]:
    """Yield the workers of a cluster that is there.

    Raises
    ------
    WorkersError
        If no scheduler answers at the address, or it has no worker.
    """
    _refuse_unknown_host(address)
    try:
        client = Client(address, timeout=_FIND_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise WorkersError(
            f"{address}: no dask scheduler answers there; `dask scheduler` starts one, and its first lines name its "
            "address"
        ) from error
    pool = None
    try:
        pool = Pool(client)
        if not pool.wait_for(lambda: bool(pool.workers), _FIND_S):
            raise WorkersError(f"{address}: the scheduler has no worker; `dask worker {address}` starts one")
        yield pool
    finally:
        pool.close() if pool is not None else client.close(timeout=_CLOSE_S)


def _refuse_unknown_host(address: str) -> None:
    """Raise at once where a name leads to no machine, which dask would look for again and again."""
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise WorkersError(f"{address}: no machine has the name {host}; look how it is spelt") from error


def _wait_for(pool: Pool, workers: int, heard: Heard) -> None:
    if not pool.wait_for(lambda: len(pool.workers) >= workers, _START_S):
        raise WorkersError(
            f"{len(pool.workers)} of {workers} workers have started after {_START_S:g} s; "
            f"{heard.last or '--debug shows what dask says'}"
        )


@contextmanager
def _restored(variables: MutableMapping[str, str]) -> Iterator[None]:
    before = dict(variables)
    try:
        yield
    finally:
        for name in variables.keys() - before.keys():
            del variables[name]
        variables.update(before)


async def _replace_lost(cluster: LocalCluster) -> None:
    for name in [name for name, nanny in cluster.workers.items() if nanny.status in _GIVEN_UP]:
        del cluster.workers[name]
    cluster.scale(len(cluster.worker_spec))  # it starts those that are missing


async def _close_all(cluster: LocalCluster) -> None:
    nannies = {*cluster.workers.values(), *OwnNanny.starting_in(cluster)}
    await asyncio.gather(*(nanny.close(timeout=_KILL_S) for nanny in nannies), return_exceptions=True)


@contextmanager
def _deaf_loop() -> Iterator[Any]:
    """Yield an event loop whose processes do not get Ctrl-C: they inherit that from the thread of the loop."""
    runner = LoopRunner()
    multiprocessing.resource_tracker.ensure_running()  # starting it later would undo the mask
    if hasattr(signal, "pthread_sigmask"):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            runner.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        runner.start()
    try:
        yield runner.loop
    finally:
        with suppress(TimeoutError):
            runner.stop(timeout=_CLOSE_S)
