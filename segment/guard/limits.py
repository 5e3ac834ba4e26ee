"""When a run begins no further image: after many failures, after a time, on a full disk, on a signal; its memory."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from segment.guard.pulse import Pulse
from segment.guard.request import RunLimits
from segment.record.outcome import Outcome
from segment.record.sums import End

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(slots=True)
class Gate:
    """Says whether further images may begin. Any thread may ask. The time limit counts from the gate's creation."""

    limits: RunLimits
    """What the user allows."""
    end: End = "complete"
    """Why no further image may begin; `complete` while images may."""
    pulse: Pulse = field(default_factory=Pulse)
    """Signs of life of the run."""
    _failed: int = 0
    _made: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open(self) -> bool:
        """Whether further images may begin."""
        longest = self.limits.max_runtime_s
        if longest is not None and time.monotonic() - self._made >= longest:
            self.shut("runtime")
        return self.end == "complete"

    def shut(self, why: End) -> None:
        """Let no further image begin. The first reason stays, but a stall replaces it: the run ends at once then."""
        with self._lock:
            if self.end == "complete" or why == "stalled":
                self.end = why

    def shut_by(self, error: BaseException) -> None:
        """Let no further image begin, because an error or a signal ends the run."""
        self.shut("failed" if isinstance(error, Exception) else "interrupted")

    def see(self, outcome: Outcome) -> None:
        """Count how an image ended."""
        self.pulse.move()
        if outcome.state != "failed":
            return
        with self._lock:
            self._failed += 1
        if self.limits.max_errors is not None and self._failed > self.limits.max_errors:
            self.shut("errors")


@cache
def memory_bytes() -> float:
    """Return the bytes that this process may use: the machine's, or a container's limit."""
    most = float(psutil.virtual_memory().total)
    try:
        return min(most, float(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return most
