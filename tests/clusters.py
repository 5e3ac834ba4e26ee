"""A dask cluster of processes, and worker processes that tests end, stop or make ill; a run leaves none of its own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests import ROOT

_MARK = "NOSEAM_TESTED_RUN"
_PATIENCE_S = 60.0
ILL = '''\
"""Loaded by every Python that finds this folder: variables say what is wrong with it.

POISON names an image that kills whoever segments it, and FULL one for which the disk is full. SLOW_S is what each
image takes, and START_S what the start of each process takes. HIDDEN is a path that is not seen, and VERSION another
version of noseam.
"""
import importlib.abc
import importlib.metadata
import importlib.util
import os
import pathlib
import sys
import time

if "spawn_main" in " ".join(sys.orig_argv):
    time.sleep(float(os.environ.get("START_S", "0")))
see, tell = pathlib.Path.exists, importlib.metadata.version
hidden = os.environ.get("HIDDEN", "/is/there/none")
pathlib.Path.exists = lambda path: not str(path).startswith(hidden) and see(path)
if "VERSION" in os.environ:
    importlib.metadata.version = lambda name: os.environ["VERSION"] if name == "noseam" else tell(name)


class Ill(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "segment.run.image":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            healthy = module.segment_image

            def segment_image(masks, **options):
                time.sleep(float(os.environ.get("SLOW_S", "0")))
                if masks.plan.found.path.name == os.environ.get("POISON"):
                    os.kill(os.getpid(), 9)
                if masks.plan.found.path.name == os.environ.get("FULL"):
                    from tiler.masks.sink import write_error

                    raise write_error(masks.plan.label, OSError(28, "No space left on device"))
                return healthy(masks, **options)

            module.segment_image = segment_image

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Ill())
'''


@dataclass(frozen=True)
class Marked:
    """Environment of one run, by which all its processes can be found."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables for the run."""
        return {**os.environ, _MARK: self.token, **more}

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the run that have not ended."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        return [process for process in self.processes() if "spawn_main" in " ".join(process.cmdline())]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            running = process.status() != psutil.STATUS_ZOMBIE
            return bool(running and process.environ().get(_MARK) == self.token)
        except (psutil.Error, OSError):
            return False

    def assert_all_gone(self, within_s: float = 5.0) -> None:
        """Check that no process of the run is left."""
        deadline = time.monotonic() + within_s
        while left := self.processes():
            assert time.monotonic() < deadline, [process.cmdline() for process in left]
            time.sleep(0.1)


def wait_for(happened: Callable[[], object], patience_s: float = _PATIENCE_S) -> None:
    """Return as soon as a condition holds."""
    deadline = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ill(folder: Path, **variables: str) -> dict[str, str]:
    """Return variables that make workers ill, see `ILL`."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(ILL)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), *others])), **variables}


@dataclass
class Cluster:
    """A scheduler and workers."""

    address: str
    marked: Marked
    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def add(self, name: str, *options: str, **variables: str) -> None:
        """Start a worker of two threads, and return when the scheduler knows it."""
        command = [
            sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--name", name, "--nthreads", "2",
            "--no-dashboard", "--memory-limit", "0", "--local-directory", str(self.folder), *options,
        ]  # fmt: skip
        self.workers[name] = self._start(command, name, variables)
        wait_for(lambda: name in self._names())

    def kill(self, name: str) -> None:
        """Kill a worker and its nanny, and return when the scheduler has missed it."""
        whole = psutil.Process(self.workers[name].pid)
        for process in (whole, *whole.children(recursive=True)):
            process.kill()
        wait_for(lambda: name not in self._names())

    def _names(self) -> set[str]:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return {each["name"] for each in client.scheduler_info(n_workers=-1)["workers"].values()}

    def _start(self, command: list[str], name: str, variables: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=self.marked.environment(**variables))


@contextmanager
def cluster_of(folder: Path, *names: str) -> Iterator[Cluster]:
    """Yield a scheduler with workers of these names, each with one GPU, as they say; they end with the block."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
        "--no-dashboard",
    ]  # fmt: skip
    marked = Marked()
    with (folder / "scheduler.log").open("wb") as log:
        scheduler = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=marked.environment())
    cluster = Cluster(f"tcp://127.0.0.1:{port}", marked, folder, scheduler)
    try:
        wait_for(lambda: b"Scheduler at" in (folder / "scheduler.log").read_bytes())
        for name in names:
            cluster.add(name, "--resources", "GPU=1")
        yield cluster
    finally:
        for process in marked.processes():
            process.send_signal(signal.SIGKILL)
        for each in (scheduler, *cluster.workers.values()):
            each.wait()
