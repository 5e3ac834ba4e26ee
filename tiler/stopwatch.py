"""What the stages of a run take: seconds of each, summed over all threads, at next to no cost.

A process has one stopwatch, because reading, labelling and writing of all images share its threads. While it does not
run, `watch` does nothing. While it runs, a stage takes two looks at the clock and one short lock; so stages are strips,
tiles and bands, never pixels.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, get_args

Stage = Literal[
    "plan", "open", "read", "wait", "upload", "network", "stitch", "download", "count", "encode", "verify", "sync",
    "polygons", "previews",
]  # fmt: skip
"""
`plan`: the survey's headers. `open`: the model. `read`: decode and resample. `wait`: from the moment when a tile is
handed in until its batch starts. `upload`: tiles to the device. `network`: the network. `stitch`: blend, upsample and
label. `download`: wait for labels of a device. `count`: the pixels of each class. `encode`: compress and write.
`verify`: read back. `sync`: wait for the disk. `polygons`: trace them. `previews`: small pictures for the report.
"""
STAGES: tuple[Stage, ...] = get_args(Stage)
Resource = Literal["cores", "device"]
"""What stages run on."""
_OFF: AbstractContextManager[None] = nullcontext()
_now = time.perf_counter


@dataclass(slots=True)
class Stages:
    """What stages took, in one process or in several."""

    seconds: dict[Stage, float] = field(default_factory=dict)
    """Seconds of each, summed over threads. A stage within another counts for itself alone."""
    times: dict[Stage, int] = field(default_factory=dict)
    """How often each ran."""
    offered: dict[Resource, float] = field(default_factory=dict)
    """Seconds for which cores and devices were there, summed over all of them."""
    core_s: float = 0.0
    """Core seconds that were used of those that were offered."""

    def count(self, stage: Stage, seconds: float, times: int = 1) -> None:
        """Add to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.times[stage] = self.times.get(stage, 0) + times

    def include(self, other: Stages) -> None:
        """Add what other stages took, such as those of another process."""
        for stage, seconds in other.seconds.items():
            self.count(stage, seconds, other.times[stage])
        for resource, offered in other.offered.items():
            self.offered[resource] = self.offered.get(resource, 0.0) + offered
        self.core_s += other.core_s


class _Offer:
    """Cores or devices that are there from now on."""

    def __init__(self, count: int) -> None:
        self._count, self._since, self._used = count, _now(), time.process_time()

    def taken(self) -> tuple[float, float]:
        """Return the seconds that were offered since the last time, and the core seconds of this process."""
        since, used = self._since, self._used
        self._since, self._used = _now(), time.process_time()
        return self._count * (self._since - since), self._used - used


class _Stopwatch:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = Stages()
        self._offers: dict[Resource, _Offer] = {}
        self.before: dict[Callable[[], None], None] = {}

    def add(self, stage: Stage, seconds: float, times: int = 1) -> None:
        with self._lock:
            self._found.count(stage, seconds, times)

    def include(self, stages: Stages) -> None:
        with self._lock:
            self._found.include(stages)

    def offer(self, resource: Resource, count: int) -> None:
        with self._lock:
            self._offers.setdefault(resource, _Offer(count))

    def taken(self) -> Stages:
        with self._lock:
            for resource, offer in self._offers.items():
                offered, used = offer.taken()
                self._found.include(Stages(offered={resource: offered}, core_s=used if resource == "cores" else 0.0))
            found, self._found = self._found, Stages()
            return found


class _Lap:
    """One stage of one thread; the stage around it stands still meanwhile."""

    __slots__ = ("_outer", "_since", "_spent", "_stage", "_stopwatch", "_threads")

    def __init__(self, stopwatch: _Stopwatch, stage: Stage, threads: int) -> None:
        self._stopwatch, self._stage, self._threads = stopwatch, stage, threads
        self._spent = self._since = 0.0
        self._outer: _Lap | None = None

    def __enter__(self) -> None:
        self._outer = getattr(_here, "lap", None)
        _here.lap = self
        self._since = _now()
        if self._outer is not None:
            self._outer._spent += self._since - self._outer._since

    def __exit__(self, *_: object) -> None:
        now = _now()
        _here.lap = self._outer
        if self._outer is not None:
            self._outer._since = now
        self._stopwatch.add(self._stage, (self._spent + now - self._since) * self._threads)


_here = threading.local()
_running: _Stopwatch | None = None


@contextmanager
def running(*, wanted: bool = True) -> Iterator[None]:
    """Let the stopwatch of this process run for a block, if that is wanted."""
    if wanted:
        start()
    try:
        yield
    finally:
        stop()


def start() -> None:
    """Let the stopwatch of this process run from zero."""
    global _running
    _running = _Stopwatch()


def stop() -> None:
    """Let it run no more, and forget what it found."""
    global _running
    _running = None


def is_running() -> bool:
    """Return whether this process takes times."""
    return _running is not None


def watch(stage: Stage, *, threads: int = 1) -> AbstractContextManager[None]:
    """Count the seconds of a block for a stage; the block stays in one thread, and yields to nobody.

    Parameters
    ----------
    stage : Stage
        The stage.
    threads : int
        How many threads work on it, where a library starts its own.
    """
    return _OFF if _running is None else _Lap(_running, stage, threads)


def add(stage: Stage, seconds: float, times: int = 1) -> None:
    """Count seconds that were measured otherwise."""
    if _running is not None:
        _running.add(stage, seconds, times)


def include(stages: Stages) -> None:
    """Count what the stages of another process took."""
    if _running is not None:
        _running.include(stages)


def offer(resource: Resource, count: int) -> None:
    """Say that this process may use so many cores or devices from now on; what was said before holds."""
    if _running is not None:
        _running.offer(resource, count)


def before_taking(call: Callable[[], None]) -> None:
    """Have a function called whenever times are taken, because it still has some to add."""
    if _running is not None:
        _running.before[call] = None


def taken() -> Stages:
    """Return what the stages took since the last time; nothing where the stopwatch does not run."""
    if _running is None:
        return Stages()
    for call in [*_running.before]:
        call()
    return _running.taken()
