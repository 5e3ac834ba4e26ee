"""What noseam says while it works: lines for people, and lines of JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OURS = ("noseam", "segment", "tiler")
"""Loggers whose messages are shown. Loggers of other packages show errors only."""


def configure_logging(level: int, json_file: Path | None = None, *, tracebacks: bool = False) -> None:
    """Show messages on standard error, and append them to a file as JSON if there is one.

    Parameters
    ----------
    level : int
        Least level of noseam's own messages on standard error; the file gets those from INFO on in any case.
    json_file : Path or None
        Gets one object per message: ts, level, logger, message, and what the message is about.
    tracebacks : bool
        Show the place in the program where something failed, too.

    Raises
    ------
    OSError
        If the file cannot be written to.
    """
    console = logging.StreamHandler()
    console.setFormatter(_LineFormatter(tracebacks=tracebacks))
    console.addFilter(lambda record: record.levelno >= (level if record.name.split(".")[0] in OURS else logging.ERROR))
    handlers: list[logging.Handler] = [console]
    if json_file is not None:
        file = _JsonFile(json_file, encoding="ascii")
        file.setFormatter(_JsonFormatter())
        handlers.append(file)
    logging.basicConfig(level=logging.ERROR, handlers=handlers, force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level if json_file is None else min(level, logging.INFO))
    ignore_placeless()


def ignore_placeless() -> None:
    """Ignore rasterio's warnings of images without a place from now on; most photos have none."""
    for message in ("Dataset has no geotransform", "The given matrix is equal to Affine.identity"):
        warnings.filterwarnings("ignore", message=message)


def one_line(text: str) -> str:
    """Return a text in which nothing can move the cursor or end the line."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class _LineFormatter(logging.Formatter):
    """One record is one line, tracebacks aside, and no file name can move the cursor."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
        self._tracebacks = tracebacks

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return super().formatException(ei) if self._tracebacks else ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = one_line(record.message)
        return super().formatMessage(record)


class _JsonFile(logging.FileHandler):
    """Says once that it cannot write, and lets the run go on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        self.setLevel(logging.CRITICAL + 1)
        logging.getLogger(OURS[0]).error("%s: the log cannot be written: %s", self.baseFilename, sys.exception())


class _JsonFormatter(logging.Formatter):
    """One record is one object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
