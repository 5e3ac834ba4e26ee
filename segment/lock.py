"""One run at a time per output folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from segment.errors import FolderInUseError, RecordError
from tiler.atomic import replacing, sweep

LOCK, HOLDER = ".noseam.lock", ".noseam.holder"
"""Hidden files in an output folder: what is locked, and who locked it."""


@contextmanager
def hold_folder(out: Path) -> Iterator[None]:
    """Keep other runs out of an output folder, and sweep what killed ones left there.

    The lock is the operating system's and ends with the process, however that ends. On network
    shares it holds as far as the share passes locks on.

    Raises
    ------
    FolderInUseError
        If another run holds the folder; names it.
    RecordError
        If the folder cannot be written to.
    """
    lock = FileLock(out / LOCK, timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        if not isinstance(error, Timeout):
            raise RecordError(f"{out}: cannot be written to: {error.strerror or error}") from error
        raise FolderInUseError(
            f"{out}: in use by another run of noseam{_holder(out)}; wait for it, or stop it"
        ) from None
    try:
        with suppress(OSError), replacing(out / HOLDER) as path:  # it only tells others who holds the folder
            path.write_text(json.dumps(_me()), encoding="utf-8")
        sweep(out)
        yield
    finally:
        with suppress(OSError):
            (out / HOLDER).unlink()
        lock.release()


def _me() -> dict[str, object]:
    return {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat(timespec="seconds")}


def _holder(out: Path) -> str:
    try:
        holder = json.loads((out / HOLDER).read_text(encoding="utf-8"))
        return f": process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun, or just ended
        return ""
