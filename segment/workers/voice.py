"""What a worker tells the run meanwhile: messages of the log, which tasks it began, and how far they are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from segment.record.logs import OURS

_EVERY_S = 1.0
_FORM = logging.Formatter()


class Voice(logging.Handler):
    """Sends events to the run; any thread may call any method.

    Parameters
    ----------
    send : callable
        Takes an event: a dictionary of plain values.
    level : int
        Least level of the messages of noseam that are sent.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], level: int) -> None:
        super().__init__(level)
        self._send = send
        self._pixels: dict[int, int] = {}
        self._told = time.monotonic()
        self._counting = threading.Lock()
        for name in OURS:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            if logger.getEffectiveLevel() > level:
                logger.setLevel(level)

    def close(self) -> None:
        """Send nothing more."""
        for name in OURS:
            logging.getLogger(name).removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a message of the log."""
        try:
            trace = _FORM.formatException(record.exc_info) if record.exc_info else ""
            self._send({"log": [record.name, record.levelno, record.getMessage(), trace]})
        except Exception:
            self.handleError(record)

    @contextmanager
    def telling(self, number: int) -> Iterator[Callable[[int], None]]:
        """Yield what takes how many more pixels of a task are labelled; the first and the last thing told is that."""
        self._send({"begun": number})
        with self._counting:
            self._pixels[number] = 0
        try:
            yield lambda pixels: self._count(number, pixels)
        finally:
            with self._counting:
                self._pixels.pop(number, None)
            self._send({"ended": number})

    def pixels(self, number: int) -> int:
        """Return how many pixels of a task are labelled, while it is told of."""
        with self._counting:
            return self._pixels.get(number, 0)

    def _count(self, number: int, pixels: int) -> None:
        """Count pixels; now and then send how far all tasks of the process are."""
        with self._counting:
            self._pixels[number] += pixels
            now = time.monotonic()
            if now - self._told < _EVERY_S:
                return
            self._told = now
            counts = [[each, count] for each, count in self._pixels.items()]
        self._send({"pixels": counts})


def repeat(said: Mapping[str, Any], who: str) -> None:
    """Log again, in the process of the run, what a worker logged."""
    name, level, text, trace = said["log"]
    logger = logging.getLogger(name)
    if logger.isEnabledFor(level):
        logger.log(level, "%s: %s", who, text, exc_info=_RemoteError(trace) if trace else None)


class _RemoteError(Exception):
    """What a worker said of where an error came from."""
