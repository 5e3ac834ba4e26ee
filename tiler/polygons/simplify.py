"""Fewer corners without gaps: outlines that neighbours share stay shared."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray


def simplify_tile(polygons: NDArray[np.object_], tolerance_px: float) -> NDArray[np.object_]:
    """Return the polygons of a tile with fewer corners, in the same order.

    Lines between two polygons are simplified once for both, after Visvalingam and Whyatt; ends of such lines, and
    all lines with nothing on the other side (the sides of the tile, the border of what has no data), stay where
    they are. So polygons neither overlap nor gape, neither within the tile nor against the next tile.

    Parameters
    ----------
    polygons : ndarray of Polygon, shape (n,)
        All that `tiler.polygons.trace` finds in a tile; coordinates are whole numbers.
    tolerance_px : float
        Corners go whose triangle with their neighbours has a smaller area than this squared, pixels.
    """
    # Where three polygons meet on a straight edge of one, that one has no corner there: give every pixel its corners.
    noded = shapely.transform(shapely.segmentize(polygons, 1.0), np.round)
    found: NDArray[np.object_] = shapely.coverage_simplify(noded, tolerance_px, simplify_boundary=False)
    return found
