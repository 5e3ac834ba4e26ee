"""The images that a run works on at a time, and how much they may hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from segment.errors import ImageMemoryError

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


class UnderWay:
    """Lets images begin while the memory of all of them stays within a limit.

    Any thread may call any method.

    Parameters
    ----------
    limit : int
        Most bytes that the images hold together. An image that needs more runs alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[Path, int] = {}
        self._changed = threading.Condition()

    @contextmanager
    def work_on(self, path: Path) -> Iterator[None]:
        """Count an image as worked on for the block."""
        with self._changed:
            self._held[path] = 0
        try:
            yield
        finally:
            with self._changed:
                self._held.pop(path, None)
                self._changed.notify_all()

    def hold(self, path: Path, wanted: int) -> None:
        """Wait until there is room for an image that holds `wanted` bytes until its block ends.

        Raises
        ------
        ImageMemoryError
            If this machine has less memory than `wanted`.
        """
        if wanted > (most := _memory_bytes()):
            raise ImageMemoryError(
                f"an image of this width needs up to {wanted / 1e9:.1f} GB of memory; this machine has {most / 1e9:.1f}"
            )
        with self._changed:
            del self._held[path]
            self._changed.wait_for(lambda: not (held := sum(self._held.values())) or held + wanted <= self._limit)
            self._held[path] = wanted

    def paths(self) -> set[Path]:
        """Return the images that are worked on; images that wait for room are not among them."""
        with self._changed:
            return set(self._held)


def _memory_bytes() -> float:
    """Return the bytes that this process may use: the machine's, or a container's limit."""
    most = float(psutil.virtual_memory().total)
    try:
        return min(most, float(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return most
