"""Lines between polygons without the steps of the pixels, by moving the corners that the polygons share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

_PASSES = 60
_SHRINK, _GROW = 0.6, -0.62
"""Factors of the two halves of a pass (Taubin 1995, A signal processing approach to fair surface design). The second
undoes what the first does to all but the steps, so that small patches keep their areas within some percent."""
_REACH_PX = 0.49
"""How far a corner may go along either axis. Below half a pixel, no line can touch another: lines that share no corner
are a pixel apart along one axis, and lines from a corner that stays keep their order around it."""


def smooth_lines(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the same polygons with smooth lines between them, in the same order and with the same corners.

    A corner moves once for all polygons that share it. So there are no gaps and no overlaps, and every polygon stays
    valid. Corners stay where they are if more than two lines meet there, or if they lie on a line that has nothing on
    its other side: a side of the tile, or the border of what has no data.

    Parameters
    ----------
    polygons : ndarray of Polygon, shape (n,)
        All polygons of a tile; coordinates are whole numbers, with a corner at each pixel along an outline.
    """
    if not len(polygons):
        return polygons
    kind, points, starts = shapely.to_ragged_array(polygons)
    places, corners = _numbered(points)
    moved = _settle(places, _Lines.of(corners, starts[0], len(places)))
    found: NDArray[np.object_] = shapely.from_ragged_array(kind, moved[corners], starts)
    return found


def _numbered(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return each place once, and for each point the number of its place."""
    whole = points.astype(np.int64)
    whole -= whole.min(axis=0)
    width = int(whole[:, 0].max()) + 1
    _, first, numbers = np.unique(whole[:, 1] * width + whole[:, 0], return_index=True, return_inverse=True)
    return points[first], numbers


@dataclass(frozen=True, slots=True)
class _Lines:
    """The edges of all polygons, each once, between numbered corners."""

    first: NDArray[np.int64]
    """One end of each edge."""
    second: NDArray[np.int64]
    """The other end."""
    free: NDArray[np.bool_]
    """Which corners may move: those between two edges, each of which lies between two polygons."""

    @classmethod
    def of(cls, corners: NDArray[np.int64], ring_starts: NDArray[np.int64], count: int) -> _Lines:
        """Return the edges of rings of corners; `count` is the number of places."""
        inside = np.ones(len(corners) - 1, np.bool_)
        inside[ring_starts[1:-1] - 1] = False  # from the end of a ring to the start of the next
        ends = np.sort(np.stack((corners[:-1][inside], corners[1:][inside])), axis=0)
        edges, uses = np.unique(ends[0] * count + ends[1], return_counts=True)
        first, second = edges // count, edges % count
        free = np.bincount(first, minlength=count) + np.bincount(second, minlength=count) == 2
        free[first[uses == 1]] = free[second[uses == 1]] = False
        return cls(first, second, free)

    def between(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, for each corner that is free, the middle of its two neighbours; shape (n, 2)."""
        sums = [
            np.bincount(self.first, axis[self.second], len(at)) + np.bincount(self.second, axis[self.first], len(at))
            for axis in at.T
        ]
        return np.stack(sums, axis=1)[self.free] / 2


def _settle(places: NDArray[np.float64], lines: _Lines) -> NDArray[np.float64]:
    """Return where corners lie when their lines are smooth."""
    at, home = places.copy(), places[lines.free]
    for factor in (_SHRINK, _GROW) * _PASSES:
        moved = at[lines.free]
        moved += factor * (lines.between(at) - moved)
        at[lines.free] = home + np.clip(moved - home, -_REACH_PX, _REACH_PX)
    return at
