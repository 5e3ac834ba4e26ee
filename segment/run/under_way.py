"""The tasks that a worker has in flight: how much they may hold, and what time each takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from segment.errors import ImageMemoryError
from segment.guard.limits import memory_bytes


class UnderWay:
    """Lets tasks begin while the memory of all of them stays within a limit, and shares the time among them.

    Tasks that are worked on at the same moment share that moment equally, so the shares of all tasks add up to the
    time in which any is worked on. A task that waits for room is not worked on. Any thread may call any method.

    Parameters
    ----------
    limit : int
        Most bytes that the tasks hold together. One that needs more runs alone.
    clock : callable
        Returns seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._held: dict[Hashable, int] = {}
        self._shares: dict[Hashable, float] = {}
        self._shared_until = clock()
        self._changed = threading.Condition()

    @contextmanager
    def work_on(self, task: Hashable) -> Iterator[None]:
        """Count a task as worked on for the block."""
        with self._changed:
            self._share()
            self._held[task], self._shares[task] = 0, 0.0
        try:
            yield
        finally:
            with self._changed:
                self._share()
                self._held.pop(task, None)
                del self._shares[task]
                self._changed.notify_all()

    def hold(self, task: Hashable, wanted: int) -> None:
        """Wait until there is room for a task that holds `wanted` bytes until its block ends.

        Raises
        ------
        ImageMemoryError
            If this machine has less memory than `wanted`.
        """
        if wanted > (most := memory_bytes()):
            raise ImageMemoryError(
                f"an image of this width needs up to {wanted / 1e9:.1f} GB of memory; this machine has {most / 1e9:.1f}"
            )
        with self._changed:
            self._share()
            del self._held[task]
            self._changed.wait_for(lambda: not (held := sum(self._held.values())) or held + wanted <= self._limit)
            self._share()
            self._held[task] = wanted

    def seconds(self, task: Hashable) -> float:
        """Return the time that a task took so far; call it in the task's block."""
        with self._changed:
            self._share()
            return self._shares[task]

    def shares(self) -> dict[Hashable, float]:
        """Return the tasks that are worked on, and their seconds; those that wait for room are not among them."""
        with self._changed:
            self._share()
            return {task: self._shares[task] for task in self._held}

    def _share(self) -> None:
        """Give the time since the last call to those that are worked on."""
        now = self._clock()
        for task in self._held:
            self._shares[task] += (now - self._shared_until) / len(self._held)
        self._shared_until = now
