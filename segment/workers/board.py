"""What the processes of a run tell each other by files: whether tasks may begin, and which of them were begun.

Every process that does tasks of a run sees its board, a hidden folder in the output folder. A task that is being worked
on has a mark there, with an empty file's name alone. Only a process that dies leaves its marks. So it is known which
tasks it really worked on, whatever else waited for it.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_ME = secrets.token_hex(4)
_DYING_S = 1.0
_OPEN = "open"


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended while it worked on a task."""

    host: str
    """The name of its machine."""
    process: int
    """Its number there."""
    alone: bool
    """Whether it worked on nothing else."""
    begun: float
    """When it began, in seconds as `time.time` counts."""


class Board:
    """The board of one run.

    Parameters
    ----------
    folder : Path
        The hidden folder; whoever made it removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Let tasks begin."""
        (self.folder / _OPEN).touch()

    def shut(self) -> None:
        """Let no further task begin."""
        with suppress(OSError):
            (self.folder / _OPEN).unlink()

    @property
    def is_open(self) -> bool:
        """Whether tasks may begin."""
        return (self.folder / _OPEN).exists()

    @property
    def is_there(self) -> bool:
        """Whether the run goes on; what is under way after it is worth nothing."""
        return self.folder.exists()

    @contextmanager
    def begun(self, task: str, *, alone: bool) -> Iterator[None]:
        """Mark a task as being worked on by this process for the block."""
        mark = self.folder / f"{task}.{'alone' if alone else 'company'}.{os.getpid()}.{_ME}.{platform.node()}"
        with suppress(OSError):  # a full disk is told by the masks
            mark.touch()
        try:
            yield
        finally:
            with suppress(OSError):
                mark.unlink()

    def deaths(self, task: str) -> tuple[Death, ...]:
        """Return the processes that ended while they worked on a task.

        One of this machine that is still there is waited for, up to a second, because it may be dying. If it stays, it
        is none of them: it only lost its connection.
        """
        found = []
        for mark in sorted(self.folder.glob(f"{task}.*")):
            _, company, process, token, host = mark.name.split(".", 4)
            if token != _ME and (host != platform.node() or _has_ended(int(process))):
                found.append(Death(host, int(process), company == "alone", mark.stat().st_mtime))
        return tuple(found)


def waited_for(happened: Callable[[], object], within_s: float, every_s: float) -> bool:
    """Return whether something happened within some seconds; it is looked for once at least, and now and then."""
    deadline = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def _has_ended(process: int) -> bool:
    if process == os.getpid():  # a new process may have the number of the one that died
        return True
    return waited_for(lambda: not _runs(process), _DYING_S, 0.02)


def _runs(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
