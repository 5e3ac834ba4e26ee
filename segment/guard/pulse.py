"""Whether anything in this process moves: what tells a drive that hangs from long work."""

from __future__ import annotations

import time

_BUSY = 0.005
"""A process that uses less than this share of one core only waits."""


class Pulse:
    """Knows for how long nothing has moved: no image got on, and hardly any work was done. Any thread may ask."""

    def __init__(self) -> None:
        self.move()

    def move(self) -> None:
        """Take note of a sign of life."""
        self._moved, self._worked = time.monotonic(), time.process_time()

    def still_s(self) -> float:
        """Return for how many seconds nothing has moved, as far as those see who ask at least every few seconds."""
        still = time.monotonic() - self._moved
        if time.process_time() - self._worked > _BUSY * max(still, 1.0):
            self.move()
            return 0.0
        return still
