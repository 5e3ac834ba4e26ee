"""The files in a zip or a folder that somebody handed in, by name; nothing is unpacked, and sizes are bounded."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from segment.errors import RequestError
from tiler.errors import LabelError

_MOST_FILES = 200_000
_ENCRYPTED = 0x1


class Files(Protocol):
    """Files by their names."""

    @property
    def names(self) -> Sequence[str]:
        """Their names, POSIX."""

    def read(self, name: str, most: int) -> bytes:
        """Return what a file holds; raise `LabelError` where it cannot be read, or holds more bytes than `most`."""


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Yield the files in a zip or a folder.

    Raises
    ------
    RequestError
        If it is neither, or holds more files than any export.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            yield _Zip(path, archive)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise RequestError(f"{path}: no zip that can be read: {error}") from error


class _Zip:
    """Files in a zip. Names are only compared, never opened, so none can lead out of a folder."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > _MOST_FILES:
            raise RequestError(f"{path}: {len(entries)} files found, expected {_MOST_FILES} at most")
        self._path, self._archive = path, archive
        self._entries = {entry.filename: entry for entry in entries}
        self.names = list(self._entries)

    def read(self, name: str, most: int) -> bytes:
        entry, where = self._entries[name], f"{self._path}: {name}"
        if entry.flag_bits & _ENCRYPTED:
            raise LabelError(f"{where}: encrypted; expected a zip without a password")
        try:
            with self._archive.open(entry) as file:
                data = file.read(most + 1)  # what the zip says of sizes need not be so
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError) as error:
            raise LabelError(f"{where}: cannot be read: {error}") from error
        return _bounded(where, data, most)


class _Folder:
    """Files in a folder and below; links are passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = [
            found.relative_to(path).as_posix()
            for found in sorted(path.rglob("*"))
            if found.is_file() and not found.is_symlink()
        ]

    def read(self, name: str, most: int) -> bytes:
        path = self._path / name
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise LabelError(f"{path}: cannot be read: {error.strerror or error}") from error
        return _bounded(str(path), data, most)


def named(files: Files, folder: str, suffix: str) -> dict[str, str]:
    """Return the files with a suffix that lie in a folder of this name, wherever it lies, by their stems."""
    found = {}
    for name in files.names:
        path = PurePosixPath(name.replace("\\", "/"))
        if folder in path.parts[:-1] and path.suffix.lower() == suffix:
            found[path.stem] = name
    return found


def _bounded(where: str, data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise LabelError(f"{where}: more than {most} bytes found, expected no file so large")
    return data
