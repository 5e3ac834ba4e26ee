"""Read which images validate from a list that a user wrote."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from tiler.errors import CropRequestError
from tiler.files.names import read_name
from tiler.files.walk import IMAGE_SUFFIXES
from tiler.words import read_text

_NAMES = ("source", "name", "image", "file", "filename", "photo")
_SIDES = ("split", "set", "subset")
_VAL = frozenset({"val", "valid", "validation"})
_LISTED = 10


def read_val_list(path: Path, sources: Sequence[str]) -> frozenset[str]:
    """Return the sources that a list names.

    A line holds a name, with or without folders and suffix; one that begins with `#` is passed over. In a CSV whose
    first line is a header with one of the columns source, name, image, file, filename and photo, that column holds the
    names. If there is a column split, set or subset too, its rows with val, valid or validation count alone. So
    `crops.csv` of another folder is such a list.

    Parameters
    ----------
    path : Path
        The list.
    sources : sequence of str
        Names of the sources: POSIX paths without suffixes.

    Raises
    ------
    CropRequestError
        If the list cannot be read, names nothing or everything, or has names that are no source's or of several
        sources. The message lists them.
    """
    names = _names(path)
    if not names:
        raise CropRequestError(f"{path}: no name found; expected the name of an image on each line")
    ends = _by_last_name(sources)
    found: set[str] = set()
    unknown, several = [], []
    for name in names:
        meant = _meant(name, ends)
        found.update(meant[:1])
        if not meant:
            unknown.append(name)
        elif len(meant) > 1:
            several.append(f"{name} ({', '.join(meant[:3])})")
    if unknown:
        close = get_close_matches(unknown[0], sources, 1)
        raise CropRequestError(
            f"{path}: {len(unknown)} of {len(names)} names are no image's with a mask: {_listed(unknown)}"
            + (f"; did you mean {close[0]}?" if close else f"; there are images such as {min(sources)}")
        )
    if several:
        raise CropRequestError(
            f"{path}: {len(several)} of {len(names)} names are of several images: {_listed(several)}; "
            "write the folder before the name"
        )
    if len(found) == len(set(sources)):
        raise CropRequestError(f"{path}: all {len(found)} images validate; expected some that train")
    return frozenset(found)


def _names(path: Path) -> list[str]:
    text = read_text(path, CropRequestError)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return []
    parted = ";" if ";" in lines[0] and "," not in lines[0] else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=parted)]
    except csv.Error as error:
        raise CropRequestError(f"{path}: {error}; expected the name of an image on each line") from error
    head = [cell.lower() for cell in rows[0]]
    column = next((head.index(name) for name in _NAMES if name in head), None)
    if column is None:
        return list(dict.fromkeys(line.strip() for line in lines))
    side = next((head.index(name) for name in _SIDES if name in head), None)
    kept = (row for row in rows[1:] if side is None or (side < len(row) and row[side].lower() in _VAL))
    return list(dict.fromkeys(row[column] for row in kept if column < len(row) and row[column]))


def _by_last_name(sources: Iterable[str]) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {}
    for source in sorted(sources):
        ends.setdefault(source.rpartition("/")[2], []).append(source)
    return ends


def _meant(name: str, ends: dict[str, list[str]]) -> list[str]:
    """Return the sources that a name may mean: those that end as it does, or with which it ends."""
    path = PurePosixPath(name.replace("\\", "/"))
    stem = path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path
    for each in (stem, stem.with_name(read_name(stem.name).image) if stem.name else stem):
        if found := [source for source in ends.get(each.name, ()) if _agree(each.parts, PurePosixPath(source).parts)]:
            return [each.as_posix()] if each.as_posix() in found else found
    return []


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    shared = min(len(one), len(other))
    return one[-shared:] == other[-shared:]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
