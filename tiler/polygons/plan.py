"""Which label masks go to which file of polygons; touches no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tiler.errors import OutputClashError, PolygonError, PolygonRequestError
from tiler.files.names import is_label_name, polygons_name, read_name
from tiler.files.vector import SUFFIXES, Format
from tiler.files.walk import Found, walk_survey

_FOREIGN_SUFFIXES = frozenset({".json", ".gml", ".kmz", ".shz", ".dwg", ".tab", ".sqlite", ".gdb", ".zip"})
"""Suffixes of vector formats that noseam does not write; a name with one is refused, not taken for a folder."""


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
        If `out` has the suffix of a vector format that noseam does not write.
    OutputClashError
        If the polygons of two masks would be written to one file.
    """
    if out.suffix.lower() in _FOREIGN_SUFFIXES and not out.is_dir():
        raise PolygonRequestError(f"{out}: expected a folder, or a name that ends in {', '.join(SUFFIXES)}")
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


def _output(mask: Found, out: Path, format: Format) -> Path:
    stem = mask.relative.stem
    name = read_name(stem)
    return out / mask.relative.with_name(polygons_name(name.image if name.kind == "label" else stem, format))
