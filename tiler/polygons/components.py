"""Parts of polygons that go on beyond their tile, joined into whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import shapely

from tiler.polygons.outlines import without_straight_corners


class Components:
    """Parts of polygons by the polygon they belong to, as far as that is known (union-find)."""

    def __init__(self) -> None:
        self._count = 0
        self._parents: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._parts: dict[int, tuple[int, Any]] = {}

    def add(self, class_ids: Iterable[int], polygons: Iterable[Any]) -> range:
        """Take parts, each of which is a polygon of its own so far; return their numbers."""
        first = self._count
        for part in zip(class_ids, polygons, strict=True):
            self._parents[self._count] = self._count
            self._members[self._count] = [self._count]
            self._parts[self._count] = part
            self._count += 1
        return range(first, self._count)

    def join(self, first: int, second: int) -> None:
        """Let two parts belong to one polygon."""
        first, second = self._root(first), self._root(second)
        if first == second:
            return
        if len(self._members[first]) < len(self._members[second]):
            first, second = second, first
        self._parents[second] = first
        self._members[first] += self._members.pop(second)

    def finish(self, growing: Iterable[int]) -> Iterator[tuple[int, Any]]:
        """Yield the polygons that have no part among `growing`, each as (class id, polygon), and forget them."""
        alive = {self._root(part) for part in growing}
        for root in [root for root in self._members if root not in alive]:
            members = self._members.pop(root)
            parts = [self._parts.pop(member) for member in members]
            for member in members:
                del self._parents[member]
            yield parts[0][0], merge([polygon for _, polygon in parts])

    def _root(self, part: int) -> int:
        while (parent := self._parents[part]) != part:
            self._parents[part] = part = self._parents[parent]
        return part


def merge(parts: Sequence[Any]) -> Any:
    """Return the one polygon that parts from several tiles make up.

    Holes of parts do not reach the sides of their tiles, so they are holes of the whole. Only outer outlines are
    merged. That is exact, because outlines of two tiles meet in corners of pixels.
    """
    if len(parts) == 1:
        return parts[0]
    outline = without_straight_corners(
        np.array([shapely.union_all(shapely.polygons(shapely.get_exterior_ring(parts)))])
    )
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array([*outline, *parts])
    sizes = np.diff(ring_starts)
    kept = np.ones(len(sizes), bool)
    kept[polygon_starts[1:-1]] = False  # the outer outlines of the parts
    ring_starts = np.append(0, np.cumsum(sizes[kept]))
    rings = points[np.repeat(kept, sizes)], (ring_starts, np.array([0, kept.sum()]))
    return shapely.from_ragged_array(shapely.GeometryType.POLYGON, *rings)[0]
