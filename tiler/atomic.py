"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME_BYTES = 100
_HIDDEN = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.part([.-].*)?$", re.DOTALL)
"""What `hidden_name` gives, and what SQLite appends to it."""


def hidden_name(final: Path) -> Path:
    """Return a hidden name in the same folder, with the same ending, used by nobody else and short enough to write."""
    stem = os.fsencode(final.name)[:_NAME_BYTES].decode(errors="ignore")
    return final.with_name(f".{stem}.{os.getpid()}-{secrets.token_hex(4)}.part{final.suffix}")


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


def sweep(folder: Path) -> int:
    """Remove what ended processes of this machine left under hidden names in a folder and below; return how many.

    Those of processes that still run are left alone. Call it only where no other machine writes.
    """
    swept = 0
    for parent, folders, files in os.walk(folder):
        for name in filter(_is_left, folders + files):
            path = Path(parent, name)
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                swept += 1
    return swept


def _is_left(name: str) -> bool:
    found = _HIDDEN.match(name)
    return found is not None and not _runs(int(found[1]))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's, so there
        return True
    return process != os.getpid()
