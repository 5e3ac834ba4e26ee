"""What dask says in the process of the run: nothing, but for how worker processes ended."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")
_ENDED = re.compile(r"Worker process (\d+) (?:was killed by signal|exited with status) (\d+|unknown signal)")
_log = logging.getLogger(__name__)


class Heard(logging.Handler):
    """Hears dask's messages: notes how processes ended, and repeats the others for `--debug` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.signals: dict[int, int] = {}
        """The signals that ended worker processes, by their numbers."""
        self.last = ""
        """The last error of dask."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a message."""
        text = record.getMessage()
        if (found := _ENDED.match(text)) is not None and "signal" in text and found[2].isdigit():
            self.signals[int(found[1])] = int(found[2])
        if record.levelno >= logging.ERROR:
            self.last = text
        _log.debug("dask: %s: %s", record.name, text, exc_info=record.exc_info)


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
