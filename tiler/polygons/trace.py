"""Trace polygons of equal labels tile by tile, and merge them across tiles exactly.

Coordinates are pixels, x = column and y = row: whole numbers, so nothing is ever rounded. Only smooth lines leave them,
within tiles, not on their sides. Pixels belong together where they share an edge (4-connected). A polygon that touches
no inner side of its tile is finished at once. The others are parts. They are joined where neighbouring pixels on both
sides of a line between tiles are equal:

    +--------+--------+
    |   #####|###     |     one polygon of two parts: finished with
    |   ##   |#####   |     the row of tiles at whose bottom it has no part
    +--------+--------+
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import shapes

from tiler.classes import NO_LABEL
from tiler.polygons.components import Components
from tiler.polygons.outlines import simplify_tile, without_straight_corners

_NONE = -1
_SHAPES_AT_ONCE = 4096  # rasterio's form of a polygon takes many times the memory of its corners


@dataclass(frozen=True, slots=True)
class Patches:
    """Some polygons with their classes."""

    class_ids: NDArray[np.uint8]
    """Class of each polygon, shape (n,)."""
    polygons: NDArray[np.object_]
    """The polygons (shapely), shape (n,)."""

    def __len__(self) -> int:
        return len(self.polygons)

    def pick(self, chosen: NDArray[np.bool_]) -> Patches:
        """Return those where `chosen` is True."""
        return Patches(self.class_ids[chosen], self.polygons[chosen])


@dataclass(frozen=True, slots=True)
class _Line:
    """The pixels along one side of a line between tiles."""

    labels: NDArray[np.uint8]
    """Their labels."""
    parts: NDArray[np.int64]
    """Numbers of the parts that they belong to; -1 where there is none."""


def trace(
    strips: Iterable[NDArray[np.uint8]],
    *,
    tile_px: int = 1024,
    keep: Collection[int] | None = None,
    simplify_px: float = 0.0,
    smooth: bool = False,
) -> Iterator[Patches]:
    """Yield all polygons of equal labels: those that `rasterio.features.shapes` finds in the whole.

    Memory follows the size of a strip and of the polygons that reach its bottom.

    Parameters
    ----------
    strips : iterable of ndarray of uint8, shape (n, width)
        All rows of labels, top to bottom; 255 = no label, and no polygon.
    tile_px : int
        Width of a tile; its height is that of the strip.
    keep : collection of int, optional
        Class ids whose polygons are wanted; all by default.
    simplify_px : float
        Tolerance of `simplify_tile`, pixels; 0: every corner stays.
    smooth : bool
        Whether lines between polygons lose the steps of the pixels, see `simplify_tile`.

    Yields
    ------
    Patches
        Valid polygons in pixel coordinates, without straight corners; in the order of the tiles.
    """
    tracer = _Tracer(tile_px, keep, simplify_px, smooth)
    for strip in strips:
        yield from tracer.add(strip)
    yield tracer.finish()


class _Tracer:
    """The parts that wait for the tiles below."""

    def __init__(self, tile_px: int, keep: Collection[int] | None, simplify_px: float, smooth: bool) -> None:
        self._tile_px = tile_px
        self._keep = None if keep is None else np.array(sorted(keep), np.uint8)
        self._simplify_px, self._smooth = simplify_px, smooth
        self._components = Components()
        self._above: _Line | None = None
        self._row = 0

    def add(self, strip: NDArray[np.uint8]) -> Iterator[Patches]:
        """Trace a row of tiles; yield what is finished with it."""
        width = strip.shape[1]
        below = _Line(strip[-1], np.full(width, _NONE))
        left: _Line | None = None
        for col in range(0, width, self._tile_px):
            labels = strip[:, col : col + self._tile_px]
            stop = col + labels.shape[1]
            found = self._polygons(labels, col)
            sides = _Sides.of(found.polygons, self._row, col, labels.shape)
            numbers = self._open(found, sides.inner(top=self._row > 0, left=col > 0, right=stop < width))
            yield found.pick(numbers[:-1] == _NONE)
            self._join(left, _Line(labels[:, 0], numbers[sides.left]))
            if self._above is not None:
                above = _Line(self._above.labels[col:stop], self._above.parts[col:stop])
                self._join(above, _Line(labels[0], numbers[sides.top]))
            left = _Line(labels[:, -1], numbers[sides.right])
            below.parts[col:stop] = numbers[sides.bottom]
        self._above = below
        self._row += len(strip)
        yield _patches(self._components.finish(below.parts[below.parts != _NONE].tolist()))

    def finish(self) -> Patches:
        """Return what reached the bottom."""
        return _patches(self._components.finish(()))

    def _polygons(self, labels: NDArray[np.uint8], col: int) -> Patches:
        found = _shapes(labels, self._row, col)
        if self._simplify_px or self._smooth:
            simple = without_straight_corners(simplify_tile(found.polygons, self._simplify_px, smooth=self._smooth))
            found = Patches(found.class_ids, simple)
        return found if self._keep is None else found.pick(np.isin(found.class_ids, self._keep))

    def _open(self, found: Patches, inner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add what reaches inner sides to the components; return the number of each polygon, and -1 at the end."""
        opened = np.unique(inner[inner != _NONE])
        numbers = np.full(len(found) + 1, _NONE)
        numbers[opened] = self._components.add(found.class_ids[opened].tolist(), found.polygons[opened])
        return numbers

    def _join(self, first: _Line | None, second: _Line) -> None:
        """Join the parts that lie on both sides of a line with the same label."""
        if first is None:
            return
        same = (first.labels == second.labels) & (first.parts != _NONE) & (second.parts != _NONE)
        for pair in np.unique(np.stack((first.parts[same], second.parts[same]), axis=1), axis=0).tolist():
            self._components.join(*pair)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Which polygon of a tile each pixel along its sides belongs to, by index; -1 for none."""

    top: NDArray[np.int64]
    """Above the first row."""
    bottom: NDArray[np.int64]
    """Below the last row."""
    left: NDArray[np.int64]
    """Before the first column."""
    right: NDArray[np.int64]
    """Beyond the last column."""

    @classmethod
    def of(cls, polygons: NDArray[np.object_], row: int, col: int, shape: tuple[int, int]) -> _Sides:
        """Find the polygons along the sides of a tile at (row, col)."""
        points, owners = shapely.get_coordinates(shapely.get_exterior_ring(polygons), return_index=True)
        points -= (col, row)
        height, width = shape
        return cls(
            top=_along(points, owners, axis=1, line=0, length=width),
            bottom=_along(points, owners, axis=1, line=height, length=width),
            left=_along(points, owners, axis=0, line=0, length=height),
            right=_along(points, owners, axis=0, line=width, length=height),
        )

    def inner(self, *, top: bool, left: bool, right: bool) -> NDArray[np.int64]:
        """Return the polygons along the bottom and those of the other sides that are inner ones."""
        sides = (self.top, top), (self.bottom, True), (self.left, left), (self.right, right)
        return np.concatenate([side for side, inner in sides if inner])


def _along(
    points: NDArray[np.float64], owners: NDArray[np.int64], *, axis: int, line: int, length: int
) -> NDArray[np.int64]:
    """Return, for each pixel along a side, the polygon whose outline runs there; -1 where none does."""
    on_line = points[:, axis] == line
    runs = on_line[:-1] & on_line[1:] & (owners[:-1] == owners[1:])
    ends = np.sort(np.stack((points[:-1, 1 - axis][runs], points[1:, 1 - axis][runs])), axis=0)
    found = np.full(length, _NONE)
    for start, stop, owner in zip(*ends.astype(np.int64).tolist(), owners[:-1][runs].tolist(), strict=True):
        found[start:stop] = owner
    return found


def _shapes(labels: NDArray[np.uint8], row: int, col: int) -> Patches:
    """Return the polygons of a tile at (row, col)."""
    found = shapes(labels, mask=labels != NO_LABEL, connectivity=4, transform=Affine.translation(col, row))
    class_ids: list[int] = []
    polygons = [np.empty(0, object)]
    while batch := list(islice(found, _SHAPES_AT_ONCE)):
        class_ids += [int(value) for _, value in batch]
        polygons.append(_from_rings([geometry["coordinates"] for geometry, _ in batch]))
    return Patches(np.array(class_ids, np.uint8), np.concatenate(polygons))


def _from_rings(polygons: Sequence[Sequence[Sequence[tuple[float, float]]]]) -> NDArray[np.object_]:
    rings = [ring for polygon in polygons for ring in polygon]
    points = np.array([point for ring in rings for point in ring])
    ring_starts = np.cumsum([0, *map(len, rings)])
    polygon_starts = np.cumsum([0, *map(len, polygons)])
    made: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, points, (ring_starts, polygon_starts)
    )
    return made


def _patches(found: Iterable[tuple[int, Any]]) -> Patches:
    pairs = list(found)
    return Patches(
        np.array([class_id for class_id, _ in pairs], np.uint8), np.array([polygon for _, polygon in pairs], object)
    )
