"""Outlines of polygons in pixel coordinates, x = column and y = row: their areas and their corners."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from tiler.polygons.smooth import smooth_lines

_NEEDLESS_PX = 0.2
"""Corners of a smooth line go by this tolerance: nobody sees the difference, and files stay small."""


def ground_areas(polygons: NDArray[np.object_], cumulative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ground area of polygons.

    By Green's theorem the area is the closed integral of F(row) over the column, where F is the area of a strip
    one pixel wide from row 0 down. That is exact along the edges of pixels. Along slanted edges F is taken as
    linear between the corners, and that is exact where all rows are equal.

    Parameters
    ----------
    polygons : ndarray of Polygon, shape (n,)
        None empty; coordinates are pixels.
    cumulative : ndarray of float64, shape (height + 1,)
        F, such as `Georeference.cumulative_area_m2`; `arange(height + 1)` gives areas in pixels.

    Returns
    -------
    ndarray of float64, shape (n,)
        In the unit of `cumulative`.
    """
    if not len(polygons):
        return np.empty(0)
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    strips = np.interp(points[:, 1], np.arange(len(cumulative)), cumulative)
    steps = np.zeros(len(points))
    steps[:-1] = (strips[:-1] + strips[1:]) / 2 * np.diff(points[:, 0])
    steps[ring_starts[1:] - 1] = 0  # from the end of a ring to the start of the next
    rings = -np.abs(np.add.reduceat(steps, ring_starts[:-1]))
    rings[polygon_starts[:-1]] *= -1
    areas: NDArray[np.float64] = np.add.reduceat(rings, polygon_starts[:-1])
    return areas


def without_straight_corners(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the same polygons without the corners at which their outline goes straight on.

    Parameters
    ----------
    polygons : ndarray of Polygon, shape (n,)
        None empty. Only corners that lie exactly on the line go, such as those of whole pixels.
    """
    if not len(polygons):
        return polygons
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    opened = np.delete(points, ring_starts[1:] - 1, axis=0)
    starts = ring_starts - np.arange(len(ring_starts))
    before, after = np.arange(-1, len(opened) - 1), np.arange(1, len(opened) + 1)
    before[starts[:-1]], after[starts[1:] - 1] = starts[1:] - 1, starts[:-1]
    back, forth = opened - opened[before], opened[after] - opened
    corner = back[:, 0] * forth[:, 1] != back[:, 1] * forth[:, 0]
    counts = np.add.reduceat(corner, starts[:-1], dtype=np.int64)
    kept = opened[corner]
    ends = np.cumsum(counts)
    closed = np.insert(kept, ends, kept[ends - counts], axis=0)
    ring_ends = np.append(0, ends + np.arange(1, len(ends) + 1))
    found: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, closed, (ring_ends, polygon_starts)
    )
    return found


def simplify_tile(polygons: NDArray[np.object_], tolerance_px: float, *, smooth: bool = False) -> NDArray[np.object_]:
    """Return the polygons of a tile with fewer corners, in the same order.

    Lines between two polygons are simplified once for both, after Visvalingam and Whyatt. The ends of such lines stay
    where they are. So do all lines with nothing on the other side: the sides of the tile, and the border of what has
    no data. So polygons have no overlaps and no gaps, within the tile and against the next tile.

    Parameters
    ----------
    polygons : ndarray of Polygon, shape (n,)
        All that `tiler.polygons.trace` finds in a tile; coordinates are whole numbers.
    tolerance_px : float
        A corner goes if its triangle with the two corners beside it has a smaller area than the square of this,
        pixels.
    smooth : bool
        Whether to take the steps of the pixels out of the lines first, see `tiler.polygons.smooth`. Corners that a
        smooth line does not need go then, whatever the tolerance.
    """
    # Where three polygons meet on a straight edge of one, that one has no corner there. So every pixel gets corners.
    noded = shapely.transform(shapely.segmentize(polygons, 1.0), np.round)
    if smooth:
        noded, tolerance_px = smooth_lines(noded), max(tolerance_px, _NEEDLESS_PX)
    found: NDArray[np.object_] = shapely.coverage_simplify(noded, tolerance_px, simplify_boundary=False)
    return found
