"""Which label masks go to which file of polygons; touches no file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tiler.errors import OutputClashError, PolygonError, PolygonRequestError
from tiler.files.names import is_label_name, polygons_name, read_name
from tiler.files.vector import SUFFIXES, Format
from tiler.files.walk import Found, walk_survey

_OF_A_FILE = re.compile(r"\.[A-Za-z]{2,8}")
"""What looks like the suffix of a file; a name with one that is not known is refused, not taken for a folder."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of polygons."""

    path: Path
    """Its name."""
    masks: tuple[Path, ...]
    """The label masks whose polygons it gets."""


def plan_files(sources: Sequence[Path], out: Path, format: Format) -> tuple[PlannedFile, ...]:
    """Return the files to write for masks and folders of masks.

    Parameters
    ----------
    sources : sequence of Path
        Label masks, whatever their names; and folders, in which every file counts that is named as a label mask.
    out : Path
        Where the suffix is that of a vector format, one file for all masks. Otherwise a folder, which gets the tree of
        the sources: one `NAME_polygons` for each `NAME_label`.
    format : str
        How to store the files in a folder.

    Returns
    -------
    tuple of PlannedFile
        Empty where there is no mask.

    Raises
    ------
    PolygonError
        If a folder cannot be listed.
    PolygonRequestError
        If `out` is no folder, and has a suffix of 2 to 8 letters that stands for no vector format that noseam writes.
    OutputClashError
        If the polygons of two masks would be written to one file.
    """
    _refuse_other_files(out)
    survey = walk_survey(sources, out=out)
    for path, reason in survey.unreadable:
        raise PolygonError(f"{path}: {reason}")
    named = set(sources)
    masks = [image for image in survey.images if image.path in named or is_label_name(image.path)]
    if out.suffix.lower() in SUFFIXES and not out.is_dir():
        return (PlannedFile(out, tuple(mask.path for mask in masks)),) if masks else ()
    planned: dict[str, PlannedFile] = {}
    for mask in masks:
        path = _output(mask, out, format)
        other = planned.setdefault(str(path).casefold(), PlannedFile(path, (mask.path,)))
        if other.masks != (mask.path,):
            raise OutputClashError(f"{other.masks[0]} and {mask.path} would both write {path}; rename one")
    return tuple(planned.values())


def _refuse_other_files(out: Path) -> None:
    suffix = out.suffix.lower()
    if suffix in SUFFIXES or not _OF_A_FILE.fullmatch(suffix) or out.is_dir():
        return
    hint = "".join(f"; did you mean {near}?" for near in get_close_matches(suffix, SUFFIXES, 1))
    raise PolygonRequestError(
        f"{out}: expected a folder, or a name that ends in {', '.join(SUFFIXES)}; another ending of 2 to 8 letters is "
        f"taken for that of a file, unless a folder of that name is there{hint}"
    )


def _output(mask: Found, out: Path, format: Format) -> Path:
    stem = mask.relative.stem
    name = read_name(stem)
    return out / mask.relative.with_name(polygons_name(name.image if name.kind == "label" else stem, format))
