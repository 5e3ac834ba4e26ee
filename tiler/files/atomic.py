"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_NAME_BYTES = 100
_PROCESS = secrets.token_hex(4)
_HIDDEN = re.compile(r"\..+\.(\d+)-([0-9a-f]{8})-([0-9a-f]{8})[0-9a-f]{8}\.part([.-].*)?$", re.DOTALL)
"""What `hidden_name` gives, and what SQLite appends to it."""


def hidden_name(final: Path) -> Path:
    """Return a hidden name in the same folder, with the same ending, used by nobody else and short enough to write."""
    stem = os.fsencode(final.name)[:_NAME_BYTES].decode(errors="ignore")
    return final.with_name(f".{stem}.{os.getpid()}-{_machine()}-{_PROCESS}{secrets.token_hex(4)}.part{final.suffix}")


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """Yield a hidden name to write to; what stands there takes the final name if the block ends well."""
    temporary = hidden_name(final)
    try:
        yield temporary
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder under a hidden name; it is removed with all that it holds when the block ends."""
    folder = hidden_name(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, *, of_all: bool) -> int:
    """Remove what ended processes left under hidden names in a folder and below; return how many.

    Those of processes that still run on this machine are left alone, and those of other machines too unless `of_all`,
    which is for when none of them writes there.
    """
    swept = 0
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            if not _is_left(name, of_all):
                continue
            path = Path(parent, name)
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                swept += 1
    return swept


def _is_left(name: str, of_all: bool) -> bool:
    found = _HIDDEN.match(name)
    if found is None or found[3] == _PROCESS:
        return False
    return not _runs(int(found[1])) if found[2] == _machine() else of_all


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's, so there
        return True
    return process != os.getpid()


@cache
def _machine() -> str:
    """Return 8 hex digits that differ where the same number means another process: host, its start, and container."""
    facts = [platform.node()]
    with suppress(OSError):  # Linux alone has them
        facts += Path("/proc/sys/kernel/random/boot_id").read_text().split()
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(facts).encode()):08x}"
