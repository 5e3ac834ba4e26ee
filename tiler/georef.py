"""Where an image lies on the ground, carried over from source to mask."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.warp import transform as reproject

_WGS84_AXIS_M = 6378137.0
_WGS84_ECCENTRICITY2 = 0.00669437999014
_FARTHEST = 1e11
"""No coordinate on the earth is larger, in any unit; PROJ takes for ever over some that are."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """The georeference of a file, in whichever of its three forms."""

    crs: CRS | None = None
    """Coordinate reference system of the transform or of the ground control points."""
    transform: Affine = field(default_factory=Affine.identity)
    """Pixel (col, row) to CRS (x, y); the identity where the file has none."""
    gcps: tuple[GroundControlPoint, ...] = ()
    """Ground control points."""
    rpcs: RPC | None = None
    """Rational polynomial coefficients."""

    @property
    def present(self) -> bool:
        """Whether the file says where it lies."""
        return bool(self.gcps) or self.rpcs is not None or self.transform != Affine.identity()

    def creation_options(self) -> dict[str, Any]:
        """Return the keywords for `rasterio.open(..., "w")` that carry this over.

        Ground control points go without a transform: GDAL leaves both together undefined.
        """
        options: dict[str, Any] = {}
        if self.gcps:
            options |= {"gcps": list(self.gcps), "crs": self.crs or CRS()}
        elif self.transform != Affine.identity() or self.crs is not None:
            options |= {"transform": self.transform, "crs": self.crs}
        if self.rpcs is not None:
            options["rpcs"] = self.rpcs
        return options

    def gsd_m(self, height: int, width: int) -> float | None:
        """Return the ground sample distance at the centre of the image.

        The pixel's two edges are measured on the WGS 84 ellipsoid, so it holds for geographic
        coordinates, for feet, and for Web Mercator away from the equator alike. Over steps this
        small a degree of latitude is `M pi / 180` and one of longitude `N cos(lat) pi / 180`, with the
        radii of curvature M and N of the ellipsoid (Snyder 1987, Map Projections, eq. 4-18 to 4-20).

        Parameters
        ----------
        height, width : int
            Size of the image, source pixels.

        Returns
        -------
        float or None
            Metres per source pixel: the square root of the pixel's ground area. None where the
            file has no CRS and transform, or they lead to no place on the earth.
        """
        if self.crs is None or self.gcps or self.transform == Affine.identity():
            return None
        a, b, c, d, e, f = self.transform[:6]
        x, y = a * width / 2 + b * height / 2 + c, d * width / 2 + e * height / 2 + f
        if not math.hypot(x, y, a, b, d, e) < _FARTHEST:
            return None
        try:
            lons, lats = reproject(self.crs, "EPSG:4326", [x, x + a, x + b], [y, y + d, y + e])[:2]
        except Exception:  # GDAL's own, private to rasterio: a local CRS, or a transform off the earth
            return None
        latitude = math.radians(lats[0])
        shrink = 1 - _WGS84_ECCENTRICITY2 * math.sin(latitude) ** 2
        metres_east = math.radians(_WGS84_AXIS_M / math.sqrt(shrink) * math.cos(latitude))
        metres_north = math.radians(_WGS84_AXIS_M * (1 - _WGS84_ECCENTRICITY2) / shrink**1.5)
        east = [((lon - lons[0] + 180) % 360 - 180) * metres_east for lon in lons[1:]]
        north = [(lat - lats[0]) * metres_north for lat in lats[1:]]
        gsd = math.sqrt(abs(east[0] * north[1] - east[1] * north[0]))
        return gsd if 0 < gsd < math.inf else None
