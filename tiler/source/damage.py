"""Collect what GDAL complains of in pixels that it decodes all the same."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tiler.errors import RasterReadError

_MOST = 3
_LOGGERS = ("rasterio._err", "rasterio._env")
"""rasterio sends GDAL's warnings there, and errors after which the call succeeded all the same."""
_ADVICE = re.compile(r" \(this (?:error|warning) can be turned as an? (?:error|warning) by setting \w+ to \w+\)")


class Damage:
    """Complaints about one image; shared by the threads that read it, one at a time.

    Parameters
    ----------
    path : Path
        The image.
    strict : bool
        Whether a complaint is an error.
    found : iterable of str
        Complaints that are known already.
    """

    def __init__(self, path: Path, *, strict: bool = False, found: Iterable[str] = ()) -> None:
        self._path = path
        self._strict = strict
        self._found = list(found)

    @property
    def found(self) -> tuple[str, ...]:
        """Each complaint once, a few at most, in GDAL's words."""
        return tuple(self._found)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Collect the complaints of libjpeg while the file is opened. Others are about metadata, not about pixels.

        libjpeg warns once per open file. If it does so at opening, it is silent about the pixels later.

        Raises
        ------
        RasterReadError
            If libjpeg complains, and a complaint is an error.
        """
        header: list[str] = []
        with _collecting(header):
            yield
        self._found.extend(complaint for complaint in header if complaint.startswith("libjpeg:"))
        self._refuse()

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Collect what GDAL complains of in this thread.

        Raises
        ------
        RasterReadError
            If GDAL complains, and a complaint is an error.
        """
        with _collecting(self._found):
            yield
        self._refuse()

    def _refuse(self) -> None:
        if self._strict and self._found:
            raise RasterReadError(f"{self._path}: damaged: {self._found[0]}")


def without_advice(message: str) -> str:
    """Return a message of GDAL without its hint at a setting that users of noseam cannot change."""
    return _ADVICE.sub("", message)


@contextmanager
def _collecting(found: list[str]) -> Iterator[None]:
    """Append what rasterio logs in this thread. Other listeners hear what they would hear without this."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.addFilter(_COLLECTOR)  # a second time has no effect
        if logger.level != logging.INFO:
            logger.setLevel(logging.INFO)
    _COLLECTOR.local.found = found
    try:
        yield
    finally:
        _COLLECTOR.local.found = None


class _Collector(logging.Filter):
    """Note each record for the thread that it comes from, whatever level rasterio's loggers are set to."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        found: list[str] | None = getattr(self.local, "found", None)
        if found is not None:
            _note(found, record)
        return record.levelno >= logging.getLogger("rasterio").getEffectiveLevel()


_COLLECTOR = _Collector()


def _note(found: list[str], record: logging.LogRecord) -> None:
    last = record.args[-1] if isinstance(record.args, tuple) and record.args else record.msg  # GDAL's own words
    message = without_advice(str(last))
    if message not in found and len(found) < _MOST:
        found.append(message)
