"""The processes that read crops: they leave signals to the one that trains, and end with it, however it ends."""

from __future__ import annotations

import copy
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

_PARENT_DIED = 1
"""PR_SET_PDEATHSIG of Linux's `prctl`."""
_END_S = 2.0


class Reader(multiprocessing.Process):
    """A process of a loader that only the process that started it can end.

    A terminal, `timeout`, systemd and docker send their signal to all processes of a group. The one that trains ends in
    order then, and tells its readers. Were they to end of themselves, it would take that for a crash. So signals are
    held back by a mask, which a process has from its first instant: a handler would come too late, and PyTorch sets one
    of its own. A thread looks at what was held back, and ends the process where its starter sent it.
    """

    def __init__(self, *args: Any, **known: Any) -> None:
        super().__init__(*args, **known)
        self._starter = os.getpid()

    def start(self) -> None:
        """Start with signals held back."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _held())
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        """Read until told to end, or until the process that trains is gone."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
            if os.getppid() != self._starter:  # it died before that was said
                os._exit(1)
        threading.Thread(target=self._listen, daemon=True).start()
        super().run()

    def _listen(self) -> None:
        while signal.sigwaitinfo(_held()).si_pid != self._starter:
            pass
        os._exit(0)


def _held() -> set[signal.Signals]:
    return {signal.SIGINT, signal.SIGTERM}


def read_by_readers(loader: Any) -> Any:
    """Return a loader whose processes are readers; one without processes stays as it is.

    Where the operating system cannot say who sent a signal (macOS, Windows), it stays as it is too.

    Parameters
    ----------
    loader : DataLoader
        PyTorch's, or accelerate's, which keeps PyTorch's within.
    """
    within: DataLoader[Any] = getattr(loader, "base_dataloader", loader)
    if within.num_workers and hasattr(signal, "sigwaitinfo"):
        context: BaseContext = copy.copy(multiprocessing.get_context())
        context.Process = Reader  # type: ignore[attr-defined]
        within.multiprocessing_context = context
    return loader


@contextmanager
def readers_end() -> Iterator[None]:
    """End all readers in the end, because a loader that was interrupted waits for them."""
    try:
        yield
    finally:
        readers = [each for each in multiprocessing.active_children() if isinstance(each, Reader)]
        for reader in readers:
            reader.terminate()
        for reader in readers:
            reader.join(_END_S)
