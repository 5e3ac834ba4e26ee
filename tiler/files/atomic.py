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

import psutil

_NAME_BYTES = 100
_PROCESS = secrets.token_hex(4)
_HIDDEN = re.compile(r"\..+\.(\d+)-([0-9a-f]{8})-([0-9a-f]{8})[0-9a-f]{8}\.part([.-].*)?$", re.DOTALL)
"""Matches what `hidden_name` returns, and such a name with an ending that SQLite appends to it.

The groups are the number of the process, the machine, and the token of the process.
"""


def hidden_name(final: Path) -> Path:
    """Return a name that a file can have until it gets its final one.

    Parameters
    ----------
    final : Path
        The final name.

    Returns
    -------
    Path
        A hidden name in the same folder, with the same suffix. No two calls return one name, in any process. It is
        short enough for every file system that can hold the final name.
    """
    stem = os.fsencode(final.name)[:_NAME_BYTES].decode(errors="ignore")
    return final.with_name(f".{stem}.{os.getpid()}-{_machine()}-{_PROCESS}{secrets.token_hex(4)}.part{final.suffix}")


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """Yield a hidden name to write to; the file gets its final name where the block ends without an exception.

    A link that stands under the final name is replaced. The file that it leads to stays as it is.

    Parameters
    ----------
    final : Path
        The final name, in a folder that exists.

    Raises
    ------
    OSError
        If the file cannot be renamed. The hidden file is removed then, as after an exception in the block.
    """
    temporary = hidden_name(final)
    try:
        yield temporary
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(final: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    final : Path
        Its name, in a folder that exists. A file or link of that name is replaced.
    data : bytes
        What it holds.

    Raises
    ------
    OSError
        If it cannot be written. A file that stood there before stays as it was.
    """
    with replacing(final) as temporary:
        temporary.write_bytes(data)


@contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder under a hidden name; it is removed with all that it holds when the block ends.

    Parameters
    ----------
    path : Path
        The folder lies beside this path, under a name that is made from it.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    folder = hidden_name(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, *, of_all: bool) -> int:
    """Remove the hidden files and folders that ended processes left behind.

    What a running process of this machine is writing stays. So does what cannot be removed.

    Parameters
    ----------
    folder : Path
        Where to look, in it and below. Links to folders are not followed.
    of_all : bool
        Whether to remove what other machines left too. Nobody can tell from here whether their processes still run.
        So this may be True only where no other machine writes to the folder.

    Returns
    -------
    int
        How many files and folders were removed.
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
    return not _is_another_running(int(found[1])) if found[2] == _machine() else of_all


def _is_another_running(process: int) -> bool:
    """Return whether a number is that of a running process other than this one.

    The files of this process bear its own token. A file of its number with another token is left by an earlier process.
    """
    if process == os.getpid():
        return False
    try:
        # os.kill(process, 0), the usual way to ask, would send Ctrl-C to the process on Windows.
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)  # in a container nobody may await its end
    except (OverflowError, ValueError, psutil.NoSuchProcess):  # no system has numbers so large
        return False
    except (OSError, psutil.Error):  # the system does not say, so the file stays
        return True


@cache
def _machine() -> str:
    """Return 8 hex digits that stand for the host, its start and the container.

    Where the digits differ, the same number means another process.
    """
    facts = [platform.node()]
    with suppress(OSError):  # only Linux has these files
        facts += Path("/proc/sys/kernel/random/boot_id").read_text().split()
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(facts).encode()):08x}"
