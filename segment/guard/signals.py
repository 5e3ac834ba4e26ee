"""Signals that ask a run to end: the first ends the work in order, the second ends the process at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_S = 8.0
"""Seconds from the first signal until the process ends whatever is still under way."""
_ASKED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C; the signal of a plain `kill`; on Windows alone, Ctrl-Break and a console that is closed."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        """The exit code of the process, by the custom of shells."""


_received: list[Interrupted] = []


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on the first signal that asks for an end; on the second end at once.

    Files under their final names are whole at any instant. So ending at once loses work, but leaves no wrong file.
    """
    _received.clear()
    before = {number: signal.signal(number, _first) for number in _ASKED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_if_asked() -> None:
    """Raise `Interrupted` again, if a signal came and a library turned it into an error of its own.

    Bindings to C++ do so. OpenVINO, for one, says that it cannot be loaded if a signal comes while it is imported.
    """
    if _received:
        raise _received[0]


def is_asked() -> bool:
    """Return whether a signal asked this process to end."""
    return bool(_received)


def exit_now(code: int) -> NoReturn:
    """End the process at once. Python itself would wait for its threads, and some of them may hang for ever."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _first(number: int, _: FrameType | None) -> None:
    for each in _ASKED:
        signal.signal(each, _second)
    deadline = threading.Timer(GRACE_S, os._exit, [128 + number])
    deadline.daemon = True
    deadline.start()
    _received.append(Interrupted(number))
    raise _received[0]


def _second(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
