"""Walk a survey: find its images, in an order that is always the same, without opening them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiler.files.names import LEGEND, LEGEND_KEY

_HEAD_BYTES = 2048
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""Suffixes of files that a walk takes for images, in lower case."""


@dataclass(frozen=True, slots=True)
class Found:
    """One image of a survey."""

    path: Path
    """The file."""
    relative: Path
    """Its path below the source in which it was found; its masks get the same path below the output folder."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a walk found."""

    images: tuple[Found, ...]
    """Every image once, sorted by path within each source."""
    unreadable: tuple[tuple[Path, str], ...]
    """Folders that could not be listed, with the reason."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many files with other suffixes were passed over, by suffix."""


def walk_survey(sources: Iterable[Path], *, out: Path | None) -> Survey:
    """Return the images in files and folders.

    A file in a folder counts if its suffix is one of `IMAGE_SUFFIXES`, in upper or lower case, and if it is no legend
    that noseam drew. A file that is a source itself counts whatever its suffix. A file that is reached twice counts
    once.

    Parameters
    ----------
    sources : iterable of Path
        Files, and folders that are walked to any depth. Links to folders are not followed. Hidden files and hidden
        folders are passed over.
    out : Path or None
        The output folder, which is passed over where it lies within a source.

    Returns
    -------
    Survey
        The images, the folders that cannot be listed, and what was passed over.
    """
    images: dict[Path, Found] = {}
    unreadable: list[tuple[Path, str]] = []
    ignored: Counter[str] = Counter()
    skip = out and out.resolve()
    for source in sources:
        if not source.is_dir():
            images.setdefault(identity(source), Found(source, Path(source.name)))
            continue
        for path in _files(source, skip, unreadable):
            suffix = path.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                if _is_legend(path):
                    continue
                images.setdefault(identity(path), Found(path, path.relative_to(source)))
            else:
                ignored[suffix or path.name] += 1
    return Survey(tuple(images.values()), tuple(unreadable), ignored)


def identity(path: Path) -> Path:
    """Return the one path that stands for a file, whatever path leads to its folder; a link is a file of its own."""
    return path.parent.resolve() / path.name


def _is_legend(path: Path) -> bool:
    """Return whether a file is a legend that noseam drew: by its name, and by a text that stands before its pixels."""
    if path.name != LEGEND:
        return False
    try:
        with path.open("rb") as file:
            return LEGEND_KEY.encode() in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _files(folder: Path, skip: Path | None, unreadable: list[tuple[Path, str]]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        unreadable.append((folder, f"the folder cannot be listed: {error.strerror}"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if path.resolve() == skip:
                continue
            yield from _files(path, skip, unreadable)
        elif not (entry.is_symlink() and path.is_dir()):
            yield path
