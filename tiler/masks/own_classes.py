"""The classes that masks of noseam name themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from tiler.classes import ClassTable, Colour, distinct_colours, read_class_table
from tiler.errors import ClassTableError, TilerError
from tiler.files.names import CLASS_TABLE
from tiler.masks.labels import open_labels

_THREADS = 8
_Part = TypeVar("_Part")


def own_class_table(masks: Iterable[Path], folder: Path) -> ClassTable | None:
    """Return the names and colours of the classes of masks, by what noseam wrote into them.

    Names stand in every mask that noseam wrote. Colours stand in the palette of a GeoTIFF; those of a PNG stand in
    the `classes.csv` of a run's folder, which counts if it has the same names. They are made up where neither is there.

    Parameters
    ----------
    masks : iterable of Path
        The masks; those that carry no names, or cannot be read, say nothing.
    folder : Path
        Where the masks lie; the `classes.csv` stands in it or in the folder that holds it.

    Returns
    -------
    ClassTable or None
        None where no mask carries names.

    Raises
    ------
    ClassTableError
        If two masks name or colour a class differently. The message says which.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        told = [(path, found) for path, found in pool.map(_told, masks) if found is not None]
    names = _agreed([(path, found[0]) for path, found in told], "named")
    colours = _agreed([(path, found[1]) for path, found in told if found[1]], "coloured")
    return ClassTable(names, colours or _beside(folder, names)) if names else None


def _told(mask: Path) -> tuple[Path, tuple[tuple[str, ...], tuple[Colour, ...]] | None]:
    with suppress(TilerError), open_labels(mask, None) as labels:  # such a mask fails when it is cut
        if names := labels.class_names:
            return mask, (names, labels.colours_of(len(names)))
    return mask, None


def _agreed(told: Sequence[tuple[Path, tuple[_Part, ...]]], how: str) -> tuple[_Part, ...]:
    """Return what all masks say; nothing where none says anything."""
    for path, found in told[1:]:
        first, expected = told[0]
        for index, (one, other) in enumerate(zip_longest(expected, found)):
            if one != other:
                said = ["missing" if each is None else f"{how} {each}" for each in (one, other)]
                raise ClassTableError(
                    f"class {index} is {said[0]} in {first} and {said[1]} in {path}; expected masks of one model: "
                    "give the names and colours of all with --classes, a CSV with name,r,g,b"
                )
    return told[0][1] if told else ()


def _beside(folder: Path, names: tuple[str, ...]) -> tuple[Colour, ...]:
    """Return the colours of the class table beside masks, if it is theirs; else colours that are made up."""
    for path in (folder / CLASS_TABLE, folder.parent / CLASS_TABLE):
        with suppress(ClassTableError):
            if (table := read_class_table(path)).names == names:
                return table.colours
    return distinct_colours(len(names))
