"""Tell a drive that hangs from long work, by whether the processes of a run still do anything."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOOK_S = 1.0
_OFTEN_S = 0.25
_MINUTE_S = 60.0
_STDERR = 2
_BUSY = 0.005
"""A process that uses less than this share of one core only waits."""


class Pulse:
    """Measures for how long this process has done nothing. Any thread may call any method.

    An image that got on is a sign of life. So is processor time, because work on one image may be long.
    """

    def __init__(self) -> None:
        self._own = True
        self._look(time.monotonic())

    def of_others(self) -> None:
        """Let processor time of this process mean nothing from now on: others work, and their signs of life count."""
        self._own = False
        self.move()

    def of_this_process(self) -> None:
        """Let processor time of this process be a sign of life again."""
        self._own = True
        self.move()

    def move(self) -> None:
        """Note a sign of life."""
        self._moved = time.monotonic()
        if self._moved - self._looked > _OFTEN_S:
            self._look(self._moved)

    def _look(self, now: float) -> None:
        """Note a sign of life, and the processor time so far.

        A thread that asks for that often loses its core, and keeps the interpreter lock meanwhile.
        """
        self._moved, self._looked, self._worked = now, now, time.process_time()

    def still_s(self) -> float:
        """Return the seconds since the last sign of life.

        A call that finds processor time spent since then notes a sign of life and returns 0. So call it every few
        seconds: over a longer time a few busy moments look like rest.
        """
        still = time.monotonic() - self._moved
        if self._own and time.process_time() - self._worked > _BUSY * max(still, 1.0):
            self._look(time.monotonic())
            return 0.0
        return still


@contextmanager
def giving_up(pulse: Pulse, longest_s: float, code: int) -> Iterator[None]:
    """End the process if it does nothing for `longest_s` and a grace time.

    The grace time is as long as `longest_s`, but a minute at most. The run itself gives up its images after
    `longest_s`, and ends in order within the grace time. If its records hang too, it cannot end: nothing interrupts
    a read or write on a drive that hangs.

    Parameters
    ----------
    pulse : Pulse
        Measures how long the process does nothing.
    longest_s : float
        Seconds without a sign of life.
    code : int
        What the process exits with.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_S):
            if (still := pulse.still_s()) > longest_s + min(longest_s, _MINUTE_S):
                last_words = f"nothing moved for {still / _MINUTE_S:.2g} minutes; does a drive hang?\n"
                with suppress(OSError):  # nobody may listen any more
                    os.write(_STDERR, last_words.encode())
                os._exit(code)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
