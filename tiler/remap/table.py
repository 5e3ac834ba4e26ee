"""What leaving classes out and merging them makes of a class table, and of the ids in masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from tiler.classes import NO_LABEL, ClassTable, Colour
from tiler.errors import ClassTableError
from tiler.remap.options import RemapOptions

_MOST_NAMED = 30
_LIKE = 0.6


def remap_classes(classes: ClassTable, options: RemapOptions) -> tuple[ClassTable, NDArray[np.uint8]]:
    """Return the class table that is left, and the new id of every old one.

    Classes keep their order. A merged class takes the place and the colour of its first member. Where its name is that
    of a class, this class is its first member. Nothing changes by default.

    Parameters
    ----------
    classes : ClassTable
        The classes before.
    options : RemapOptions
        Which of them are left out or merged.

    Returns
    -------
    ClassTable
        The classes after.
    ndarray of uint8, shape (256,)
        The new id of each old id, so that `lookup[mask]` is the mask after. It is 255 for classes that are left out,
        for 255 itself, and for ids that are no class: check those before.

    Raises
    ------
    ClassTableError
        If a name is no class, a class is named twice, or no class is left.
    """
    groups = _groups(classes, options)
    fates = _fates(classes, options, groups)
    places: dict[str, int] = {}
    colours: list[Colour] = []
    for name, colour in zip(classes.names, classes.colours, strict=True):
        fate = fates.get(name, name)
        if fate is not None and groups.get(fate, [name])[0] == name:
            places[fate] = len(colours)
            colours.append(colour)
    if not places:
        raise ClassTableError(f"no class is left: --ignore names all {len(classes)}; expected one at least to count")
    lookup = np.full(256, NO_LABEL, np.uint8)
    for index, name in enumerate(classes.names):
        fate = fates.get(name, name)
        if fate is not None:
            lookup[index] = places[fate]
    return ClassTable(tuple(places), tuple(colours)), lookup


def _groups(classes: ClassTable, options: RemapOptions) -> dict[str, list[str]]:
    """Return the members of each new class by its name; a class of that name comes first."""
    groups: dict[str, list[str]] = {}
    for merge in options.merges:
        own = [merge.name] if merge.name in classes.names else []
        members = groups.setdefault(merge.name, own)
        members.extend(name for name in merge.members if name not in own)
    return groups


def _fates(classes: ClassTable, options: RemapOptions, groups: dict[str, list[str]]) -> dict[str, str | None]:
    """Return what becomes of each class that is named: the class that it is merged into, or None."""
    fates: dict[str, str | None] = {}
    named = [*(("--ignore", None, name) for name in options.ignore), *_merged(groups)]
    for flag, fate, name in named:
        if name not in classes.names:
            raise ClassTableError(f"{flag} {name}: no such class; {_known(name, classes.names)}")
        if fates.setdefault(name, fate) != fate:
            first = fates[name] or "--ignore"
            raise ClassTableError(f"{flag}: class {name} goes to {first} already; expected each class once")
    return fates


def _merged(groups: dict[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    for fate, members in groups.items():
        yield from (("--map", fate, name) for name in members)


def _known(name: str, names: Sequence[str]) -> str:
    if meant := get_close_matches(name, names, 1, _LIKE):
        return f"did you mean {meant[0]}?"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"known: {', '.join(names[:_MOST_NAMED])}{more}"
