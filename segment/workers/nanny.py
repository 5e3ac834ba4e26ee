"""What starts a worker process of this machine, starts it again when it ended, and ends it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar
from weakref import WeakSet

from distributed import LocalCluster, Nanny, Status

_AGAIN_S = 0.25
_CLOSE_S = 3.0
_STARTING = Status.init, Status.starting
_hidden: list[dict[str, Any]] = []
_main_lock = threading.Lock()


class OwnNanny(Nanny):  # type: ignore[misc]  # dask is not typed
    """Starts a worker process, and starts it again when it ended."""

    _starting: ClassVar[WeakSet[OwnNanny]] = WeakSet()

    @classmethod
    def starting_in(cls, cluster: LocalCluster) -> list[OwnNanny]:
        """Return those whose processes start; a cluster counts them as its workers only when they have."""
        return [nanny for nanny in cls._starting if nanny.loop is cluster.loop]

    async def instantiate(self) -> Any:
        """Start the process, so that it does not import the program that runs here.

        Workers need nothing of it. A script without `if __name__ == "__main__":` would start itself again in each.
        A process that is ended while it starts is started again; dask does so only with those that had started.
        """
        self._starting.add(self)
        try:
            with _main_hidden():
                found = await super().instantiate()
                while found == Status.stopped and self.status in _STARTING:
                    await asyncio.sleep(_AGAIN_S)
                    found = await super().instantiate()
                return found
        finally:
            self._starting.discard(self)

    async def kill(self, timeout: float = _CLOSE_S, reason: str = "") -> None:
        """End the process; at once where it starts, for dask would wait until it has."""
        worker = self.process
        if worker is not None and worker.status == Status.starting and worker.process is not None:
            with suppress(ValueError):  # it ended by itself
                await worker.process.kill()
        await super().kill(timeout=timeout, reason=reason)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Hide for the block where the main module came from; blocks may overlap."""
    main = vars(sys.modules["__main__"])
    with _main_lock:
        if not _hidden:
            _hidden.append({name: main[name] for name in ("__spec__", "__file__") if name in main})
            main["__spec__"] = None
            main.pop("__file__", None)
        else:
            _hidden.append({})
    try:
        yield
    finally:
        with _main_lock:
            kept = _hidden.pop(0)
            if _hidden:
                _hidden[0] = kept
            else:
                main.update(kept)
