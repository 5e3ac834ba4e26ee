"""One run at a time per output folder, or per output file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from segment.errors import FolderInUseError, RecordError
from segment.plan.shard import WHOLE, Shard, marked
from tiler.files.atomic import hidden_folder, replacing, sweep

LOCK, HOLDER = ".noseam.lock", ".holder"
"""The hidden file that a run locks in its output folder; the ending of the file beside it that names the run."""
_LOCKS_OF_SHARDS = ".noseam.*-of-*.lock"
_PATIENCE_S, _BLINK_S = 2.0, 0.2
"""How long a run waits for a lock that others hold for an instant, to see that it is free: runs, or `holders`."""


def refuse_unwritable(out: Path) -> None:
    """Make an output folder; raise `RecordError` where it cannot be written to, before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with hidden_folder(out / "probe"):
            pass
    except OSError as error:
        raise RecordError(f"{out}: the output folder cannot be written to: {error.strerror or error}") from error


@contextmanager
def hold_folder(out: Path, shard: Shard = WHOLE) -> Iterator[None]:
    """Keep other runs out of an output folder for the block, and remove what killed runs left in it and below.

    A run of the whole survey keeps out every other run. A run of one shard keeps out three kinds: a run of the whole
    survey, a run of the same shard, and a run of a shard I/N with another N, which would share images with it. Shards
    of one N work side by side.

    The operating system holds the lock, and frees it when the process ends in whatever way. On a network share the
    lock works only if the share passes locks on.

    Parameters
    ----------
    out : Path
        The output folder; it is made if it is missing.
    shard : Shard
        The part of the survey that this run works on.

    Raises
    ------
    FolderInUseError
        If another run holds the folder; the message names its process.
    RecordError
        If the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            own = out / shard.mark(LOCK)
            stack.callback(_lock(own, _BLINK_S).release)
            if shard == WHOLE:
                for path in sorted(out.glob(_LOCKS_OF_SHARDS)):
                    stack.callback(_lock(path, _BLINK_S).release)
                    _holder(path).unlink(missing_ok=True)  # a killed shard left it
            else:  # each is held for an instant, to see that it is free; other shards do the same
                beside = [path for path in out.glob(_LOCKS_OF_SHARDS) if not path.match(f"*-of-{shard.count}.lock")]
                for path in (out / LOCK, *sorted(beside)):
                    _lock(path, _PATIENCE_S).release()
        except OSError as error:
            raise RecordError(f"{out}: cannot be written to: {error.strerror or error}") from error
        with _signed(own):
            sweep(out, of_all=shard == WHOLE)
            yield


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Keep other runs from one output file for the block; other files of its folder stay free for them.

    A run that holds the folder itself keeps this one out.

    Parameters
    ----------
    path : Path
        The output file; its folder is made if it is missing.

    Raises
    ------
    FolderInUseError
        If another run writes this file, or holds its folder; the message names its process.
    RecordError
        If the folder cannot be written to.
    """
    own, folder = path.with_name(f".{path.name}.noseam.lock"), path.parent / LOCK
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.callback(_lock(own, held=path).release)
            if folder.exists():
                _lock(folder, _PATIENCE_S).release()
        except OSError as error:
            raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error
        with _signed(own):
            yield


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that holds an output folder."""

    pid: int
    """Its process; 0 where it has only just begun, or is about to end."""
    host: str
    """The machine of that."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "a run that has just begun or is about to end"


def holders(out: Path) -> Mapping[Shard, Holder]:
    """Return which runs hold an output folder right now, by the shard that they work on.

    A lock that a killed run left does not count. Where the folder cannot be written to, that is told of runs of this
    machine alone.
    """
    locks = (path for path in (out / LOCK, *sorted(out.glob(_LOCKS_OF_SHARDS))) if path.exists())
    found = {marked(path.name): _read_holder(path) or Holder(0, "") for path in locks if _is_held(path)}
    return {WHOLE: found[WHOLE]} if WHOLE in found else found  # it holds the locks of all shards too


def _is_held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # this user may not write here
        holder = _read_holder(lock)
        return holder is not None and (holder.host != platform.node() or psutil.pid_exists(holder.pid))


def _read_holder(lock: Path) -> Holder | None:
    try:
        found = json.loads(_holder(lock).read_text(encoding="utf-8"))
        return Holder(int(found["pid"]), str(found["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lock(path: Path, patience_s: float = 0, held: Path | None = None) -> FileLock:
    lock = FileLock(path, timeout=patience_s)
    try:
        lock.acquire()
    except Timeout:
        who = _who(path) or _who(path.with_name(LOCK))
        reason = f"{held or path.parent}: in use by another run of noseam{who}; wait for it, or stop it"
        raise FolderInUseError(reason) from None
    return lock


@contextmanager
def _signed(lock: Path) -> Iterator[None]:
    """Say beside a lock who holds it, for the block."""
    holder = _holder(lock)
    with suppress(OSError), replacing(holder) as path:  # only messages of other runs need it
        path.write_text(json.dumps(_me()), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink()


def _me() -> dict[str, object]:
    return {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat(timespec="seconds")}


def _holder(lock: Path) -> Path:
    return lock.with_suffix(HOLDER)


def _who(lock: Path) -> str:
    try:
        holder = json.loads(_holder(lock).read_text(encoding="utf-8"))
        return f": process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # that run has only just begun, or has just ended
        return ""
