"""What dask says in the process of the run: nothing, but for how worker processes ended."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from segment.guard.signals import is_asked

_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")
_ENDED = re.compile(r"Worker process (\d+) (?:was killed by(?: signal)?|exited with status) (\d+|unknown signal)")
_log = logging.getLogger(__name__)


class Heard(logging.Handler):
    """Hears dask's messages: tells how processes ended, and repeats warnings for those who want to know all."""

    def __init__(self) -> None:
        super().__init__()
        self.signals: dict[int, int] = {}
        """What ended worker processes, by their numbers: a signal, or 0 where that is not known."""
        self.ended: dict[int, float] = {}
        """When they ended, in seconds as `time.time` counts."""
        self.last = ""
        """The last error of dask."""
        self.is_over = False
        """Whether processes end because the run does."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a message."""
        text = record.getMessage()
        if (found := _ENDED.match(text)) is not None and not (self.is_over or is_asked()):
            self._tell(int(found[1]), found[2], by_signal="killed" in text)
        if record.levelno >= logging.ERROR:
            self.last = text
        if record.levelno >= logging.WARNING:
            _log.debug("dask: %s: %s", record.name, text, exc_info=record.exc_info)

    def _tell(self, process: int, code: str, *, by_signal: bool) -> None:
        self.ended[process] = time.time()
        self.signals[process] = int(code) if by_signal and code.isdigit() else 0
        how = (
            f"was ended by {'' if code[0] == 'u' else 'signal '}{code}"
            if by_signal
            else f"ended with exit status {code}"
        )
        _log.warning("worker process %d %s; another takes its place", process, how)


@contextmanager
def quiet_dask() -> Iterator[Heard]:
    """Keep dask's messages and warnings from the user for the block; yield what hears them."""
    heard, before = Heard(), [(logging.getLogger(name), *_state(logging.getLogger(name))) for name in _LOGGERS]
    for logger, *_ in before:
        logger.handlers, logger.propagate = [heard], False
        logger.setLevel(logging.INFO if logger.name == "distributed" else logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"distributed|tornado")
            yield heard
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def _state(logger: logging.Logger) -> tuple[list[logging.Handler], bool, int]:
    return logger.handlers, logger.propagate, logger.level
