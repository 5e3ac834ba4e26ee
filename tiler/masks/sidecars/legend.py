"""Which classes a legend shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiler.classes import ClassTable, Colour


@dataclass(frozen=True, slots=True)
class Entry:
    """One class as a legend shows it."""

    value: int
    """Class id."""
    name: str
    """Its name."""
    colour: Colour
    """(red, green, blue), 0 to 255."""
    pixels: int | None
    """How many pixels have it; None where nobody counted."""


def legend(classes: ClassTable, pixels: Sequence[int] | None) -> tuple[Entry, ...]:
    """Return the classes that a mask holds, by id.

    Parameters
    ----------
    classes : ClassTable
        Names and colours.
    pixels : sequence of int or None
        Number of pixels of each class of the table; None: not counted, all classes are returned.
    """
    counts = [None] * len(classes) if pixels is None else [int(count) for count in pixels]
    rows = zip(classes.names, classes.colours, counts, strict=True)
    entries = (Entry(value, name, colour, count) for value, (name, colour, count) in enumerate(rows))
    return tuple(entry for entry in entries if entry.pixels != 0)
