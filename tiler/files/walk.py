"""Walk a survey: find its images, in an order that is always the same, without opening them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tiler.files.aside import is_aside
from tiler.files.names import LEGEND, LEGEND_KEY, read_product

_HEAD_BYTES = 2048
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""Suffixes of files that a walk takes for images, in lower case."""
NOWHERE: Mapping[Path, Path] = MappingProxyType({})
_DIGITS = re.compile(r"\d+")
_MOST_DIGITS = 20


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
    """Every image once, sorted by path within each source, numbers in names by their value."""
    unreadable: tuple[tuple[Path, str], ...]
    """Folders that could not be listed, with the reason."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many files with other suffixes were passed over, by suffix."""
    alone: Counter[str] = field(default_factory=Counter)
    """The same, without those that have an image of the same stem beside them, as a raw photo has its JPEG."""
    in_out: tuple[Path, ...] = ()
    """Images in the output folder that have no mask's name; they were passed over."""


def walk_survey(sources: Iterable[Path], *, out: Path | None, below: Mapping[Path, Path] = NOWHERE) -> Survey:
    """Return the images in files and folders.

    A file in a folder counts if its suffix is one of `IMAGE_SUFFIXES`, in upper or lower case, and if it is no legend
    that noseam drew. A file that is a source itself counts whatever its suffix. A file that is reached twice counts
    once.

    Parameters
    ----------
    sources : iterable of Path
        Files, and folders that are walked to any depth. Links to folders are not followed. Hidden files, hidden
        folders and those that noseam set aside, such as its report, are passed over.
    out : Path or None
        The output folder, which is passed over where it lies within a source.
    below : mapping of Path to Path
        Places of sources below the survey that they are parts of. The paths of their images begin with them.

    Returns
    -------
    Survey
        The images, the folders that cannot be listed, and what was passed over.
    """
    images: dict[Path, Found] = {}
    unreadable: list[tuple[Path, str]] = []
    ignored: list[Path] = []
    in_out: list[Path] = []
    skip = out and out.resolve()
    for source in sources:
        place = below.get(source, Path())
        if not source.is_dir():
            images.setdefault(identity(source), Found(source, place / source.name))
            continue
        for path in _files(source, skip, unreadable, in_out):
            suffix = path.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                if not _is_legend(path):
                    images.setdefault(identity(path), Found(path, place / path.relative_to(source)))
            else:
                ignored.append(path)
    stems = {found.path.with_suffix("") for found in images.values()}
    alone = (path for path in ignored if path.with_suffix("") not in stems)
    return Survey(tuple(images.values()), tuple(unreadable), _by_suffix(ignored), _by_suffix(alone), tuple(in_out))


def _by_suffix(paths: Iterable[Path]) -> Counter[str]:
    return Counter(path.suffix.lower() or path.name for path in paths)


def natural(name: str) -> tuple[str, str]:
    """Return what names are sorted by as people would: numbers in them by their value, so 101 before 1007."""
    return _DIGITS.sub(lambda found: found[0].zfill(_MOST_DIGITS), name), name


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


def _files(folder: Path, skip: Path | None, unreadable: list[tuple[Path, str]], in_out: list[Path]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: natural(entry.name))
    except OSError as error:
        unreadable.append((folder, f"the folder cannot be listed: {error.strerror}"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if is_aside(path):
                continue
            if path.resolve() == skip:
                in_out.extend(filter(_may_be_photo, _files(path, None, [], [])))
                continue
            yield from _files(path, skip, unreadable, in_out)
        elif not (entry.is_symlink() and path.is_dir()):
            yield path


def _may_be_photo(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and read_product(path.name) is None and not _is_legend(path)
