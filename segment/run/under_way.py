"""The images that a run works on at a time: how much they may hold, and what time each takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segment.errors import ImageMemoryError
from segment.guard.limits import memory_bytes


class UnderWay:
    """Lets images begin while the memory of all of them stays within a limit, and shares the time among them.

    Images that are worked on at the same moment share that moment equally, so the shares of all images add up to the
    time in which any is worked on. An image that waits for room is not worked on. Any thread may call any method.

    Parameters
    ----------
    limit : int
        Most bytes that the images hold together. An image that needs more runs alone.
    clock : callable
        Returns seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._held: dict[Path, int] = {}
        self._shares: dict[Path, float] = {}
        self._shared_until = clock()
        self._changed = threading.Condition()

    @contextmanager
    def work_on(self, path: Path) -> Iterator[None]:
        """Count an image as worked on for the block."""
        with self._changed:
            self._share()
            self._held[path], self._shares[path] = 0, 0.0
        try:
            yield
        finally:
            with self._changed:
                self._share()
                self._held.pop(path, None)
                del self._shares[path]
                self._changed.notify_all()

    def hold(self, path: Path, wanted: int) -> None:
        """Wait until there is room for an image that holds `wanted` bytes until its block ends.

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
            del self._held[path]
            self._changed.wait_for(lambda: not (held := sum(self._held.values())) or held + wanted <= self._limit)
            self._share()
            self._held[path] = wanted

    def seconds(self, path: Path) -> float:
        """Return the time that an image took so far; call it in the image's block."""
        with self._changed:
            self._share()
            return self._shares[path]

    def shares(self) -> dict[Path, float]:
        """Return the images that are worked on, and their seconds; images that wait for room are not among them."""
        with self._changed:
            self._share()
            return {path: self._shares[path] for path in self._held}

    def _share(self) -> None:
        """Give the time since the last call to those that are worked on."""
        now = self._clock()
        for path in self._held:
            self._shares[path] += (now - self._shared_until) / len(self._held)
        self._shared_until = now
