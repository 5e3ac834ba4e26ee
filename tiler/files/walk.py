"""Walk a survey: find the images, in a fixed order, without touching them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""File name endings, lower case, that a walk takes for images."""


@dataclass(frozen=True, slots=True)
class Found:
    """One image of a survey."""

    path: Path
    """The file."""
    relative: Path
    """Its place below the source it was found in; the output tree mirrors this."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a walk found."""

    images: tuple[Found, ...]
    """Every image once, sorted by path within each source."""
    unreadable: tuple[tuple[Path, str], ...]
    """Folders that could not be listed, with the reason."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many files with other endings were passed over, by ending."""


def walk_survey(sources: Iterable[Path], *, out: Path | None) -> Survey:
    """Return the images in files and folders.

    Folders are walked recursively and case-blind to the ending; links to folders are not followed,
    hidden files and an output folder within are passed over. A file that is named itself counts whatever
    its ending. A file reached twice counts once.

    Parameters
    ----------
    sources : iterable of Path
        Files and folders.
    out : Path or None
        The output folder, if there is one.
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
                images.setdefault(identity(path), Found(path, path.relative_to(source)))
            else:
                ignored[suffix or path.name] += 1
    return Survey(tuple(images.values()), tuple(unreadable), ignored)


def identity(path: Path) -> Path:
    """Return the path of a file by which it is known, however its folder is reached; a link is a file of its own."""
    return path.parent.resolve() / path.name


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
