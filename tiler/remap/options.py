"""What a user can ask of classes: which of them count nowhere, and which become one; standard library only."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass

from tiler.errors import ClassTableError
from tiler.option import check, option


@dataclass(frozen=True, slots=True)
class Merge:
    """Classes that become one."""

    members: tuple[str, ...]
    """Names of the classes, as the class table has them."""
    name: str
    """Name of the class that they become."""


@dataclass(frozen=True, kw_only=True)
class RemapOptions:
    """Which classes are left out or merged; by default none are."""

    ignore: tuple[str, ...] = option(
        (),
        "Pixels of this class count as without a label; may be given several times.",
        unit="CLASS",
        shown="none",
    )
    map: tuple[str, ...] = option(
        (),
        'These classes become one of this name, such as "grass,vegetation=green"; may be given several times.',
        unit="CLASS,...=NAME",
        shown="none",
        between=";",
    )

    def __post_init__(self) -> None:
        check(self, ClassTableError)
        _ = self.merges

    def __bool__(self) -> bool:
        """Return whether any class is left out or merged."""
        return bool(self.ignore or self.map)

    @property
    def merges(self) -> tuple[Merge, ...]:
        """What `map` asks for.

        Raises
        ------
        ClassTableError
            If one of its texts is not a list of names, `=` and a name.
        """
        return tuple(map(_merge, self.map))


def _merge(text: str) -> Merge:
    """Return what a text asks for; the last `=` parts members and name. A name with a comma stands in quotes."""
    names, equals, name = text.rpartition("=")
    members = tuple(_names(names))
    if not (equals and name.strip() and members and all(members)):
        raise ClassTableError(
            f"map: names of classes, = and a new name expected, such as grass,vegetation=green; {text!r:.80} found"
        )
    return Merge(members, name.strip())


def _names(text: str) -> Iterable[str]:
    return (name.strip() for row in csv.reader([text], skipinitialspace=True) for name in row)


AS_IT_IS = RemapOptions()
"""No class is left out or merged."""
