"""What to make of label masks, and what came of it; needs none of the packages that write polygons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiler.errors import PolygonError

_MOST_CLASSES = 255


@dataclass(frozen=True, slots=True)
class PolygonRequest:
    """Which polygons to make of label masks, and how fine."""

    min_area_m2: float = 0.0
    """Patches of a smaller ground area become part of their largest neighbour; needs georeferenced masks."""
    simplify_px: float = 0.0
    """Tolerance of the outlines, pixels; neighbours stay without gaps. 0: outlines follow the pixels."""
    classes: tuple[str, ...] = ()
    """Names or ids of the classes that are wanted; empty: all."""
    tile_px: int = 1024
    """Side of the tiles that are traced at once; the polygons do not depend on it unless they are simplified."""

    def __post_init__(self) -> None:
        for name in ("min_area_m2", "simplify_px"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PolygonError(f"{name}: a number from 0 on expected, {getattr(self, name)} found")
        if self.tile_px < 1:
            raise PolygonError(f"tile_px: at least 1 expected, {self.tile_px} found")

    def chosen(self, names: Sequence[str]) -> frozenset[int] | None:
        """Return the ids of the wanted classes, given the names of all by id; None, which is all, for none wanted.

        Raises
        ------
        PolygonError
            If a wanted class is unknown; lists those that are known.
        """
        if not self.classes:
            return None
        return frozenset(class_id for wanted in self.classes for class_id in _ids(wanted, names))


def _ids(wanted: str, names: Sequence[str]) -> list[int]:
    ids = [class_id for class_id, name in enumerate(names) if name == wanted]
    if not ids and wanted.isdecimal() and int(wanted) < (len(names) or _MOST_CLASSES):
        return [int(wanted)]
    if not ids:
        known = ", ".join(f"{class_id} {name}" for class_id, name in enumerate(names))
        raise PolygonError(f"no class {wanted!r}; known: {known or 'ids 0 to 254, without names'}")
    return ids


@dataclass(frozen=True, slots=True)
class PolygonReport:
    """What was written."""

    polygons: int
    """Number of polygons."""
    area_m2: Mapping[str, float] | None
    """Ground area by class name, in order of name; None where a mask does not say where it lies."""
    notes: tuple[str, ...]
    """What the user should know of the result."""
