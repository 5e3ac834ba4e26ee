"""Where an image lies on the ground, carried over from source to mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.warp import transform as reproject

_WGS84_AXIS_M = 6378137.0
_WGS84_ECCENTRICITY2 = 0.00669437999014
_AREA_SAMPLES = 1024
_PLANAR_TOLERANCE = 0.01
_FARTHEST = 1e11
"""No coordinate on the earth is larger, in any unit. PROJ takes for ever over some larger ones."""


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

    @property
    def key(self) -> tuple[object, ...]:
        """What changes whenever the CRS, the transform or the control points do."""
        points = [(point.row, point.col, point.x, point.y, point.z) for point in self.gcps]
        return self.crs and self.crs.to_wkt(), tuple(self.transform), points

    def creation_options(self) -> dict[str, Any]:
        """Return the keywords for `rasterio.open(..., "w")` that carry this over.

        Ground control points go without a transform: GDAL does not define what both mean together.
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

        The pixel's two edges are measured on the WGS 84 ellipsoid. So the distance is right in degrees,
        in feet, and in Web Mercator away from the equator alike. Over steps this small a degree of latitude
        is `M pi / 180` and one of longitude `N cos(lat) pi / 180`. M and N are the radii of curvature of the
        ellipsoid (Snyder 1987, Map Projections, eq. 4-18 to 4-20).

        Parameters
        ----------
        height, width : int
            Size of the image, source pixels.

        Returns
        -------
        float or None
            Metres per source pixel: the square root of the pixel's ground area. None where the
            file has no CRS or no transform, or they lead to no place on the earth. None too with control
            points or RPCs alone: a tilted or distorted image has another distance at every pixel, and
            RPCs need the height of the ground. `no_gsd` says which of these it is.
        """
        area = self._pixel_areas_m2(np.array([height / 2]), width / 2)
        return None if area is None else float(np.sqrt(area[0]))

    @property
    def no_gsd(self) -> str:
        """Why `gsd_m` returns None where it does, and what would help; it goes on after the words "the image"."""
        if self.gcps:
            return "has ground control points, which give no single one; warp it to a map (gdalwarp)"
        if self.transform != Affine.identity():
            return f"has a transform but {'no' if self.crs is None else 'no usable'} CRS; give it one"
        if self.rpcs is not None:
            return "has rational polynomials (RPCs), which give no single one; warp it to a map (gdalwarp -rpc)"
        return "has no georeference; give it one"

    def cumulative_area_m2(self, height: int, width: int) -> NDArray[np.float64] | None:
        """Return the ground area of the first rows of a strip one pixel wide.

        The area is planar, as a GIS computes it, in a projected CRS where map and ground agree within
        1 % (UTM, national grids). It is measured on the ellipsoid elsewhere: in degrees, and in Web
        Mercator, whose square metres are twice those on the ground at 45 degrees. There each row
        counts as its pixel in the middle column does.

        Parameters
        ----------
        height, width : int
            Size of the image, pixels.

        Returns
        -------
        ndarray of float64, shape (height + 1,), or None
            Square metres of rows 0 to r at index r, from 0 on; an area in pixels bounded by horizontal
            and vertical edges is the closed integral of this over the column. None as for `gsd_m`.
        """
        if self.crs is None:
            return None
        sampled = np.unique(np.linspace(0, height - 1, min(height, _AREA_SAMPLES)).round()) + 0.5
        ground = self._pixel_areas_m2(sampled, width / 2)
        if ground is None:
            return None
        planar = abs(self.transform.determinant) * _metres_per_unit(self.crs) ** 2
        if np.abs(ground - planar).max() < _PLANAR_TOLERANCE * planar:
            ground = np.full_like(sampled, planar)
        rows = np.interp(np.arange(height) + 0.5, sampled, ground)
        return np.append(0.0, np.cumsum(rows))

    def _pixel_areas_m2(self, rows: NDArray[np.float64], col: float) -> NDArray[np.float64] | None:
        """Return the ground area of a pixel at places (col, row); None where there is no place on the earth."""
        if self.crs is None or self.gcps or self.transform == Affine.identity():
            return None
        a, b, c, d, e, f = self.transform[:6]
        x, y = a * col + b * rows + c, d * col + e * rows + f
        if not max(np.abs(x).max(), np.abs(y).max(), *map(abs, (a, b, d, e))) < _FARTHEST:
            return None
        try:
            found = reproject(
                self.crs, "EPSG:4326", np.concatenate((x, x + a, x + b)), np.concatenate((y, y + d, y + e))
            )
        except Exception:  # GDAL's own, private to rasterio: a local CRS, or a transform off the earth
            return None
        lons, lats = (np.asarray(values).reshape(3, -1) for values in found[:2])
        latitude = np.radians(lats[0])
        shrink = 1 - _WGS84_ECCENTRICITY2 * np.sin(latitude) ** 2
        metres_east = np.radians(_WGS84_AXIS_M / np.sqrt(shrink) * np.cos(latitude))
        metres_north = np.radians(_WGS84_AXIS_M * (1 - _WGS84_ECCENTRICITY2) / shrink**1.5)
        east = ((lons[1:] - lons[0] + 180) % 360 - 180) * metres_east
        north = (lats[1:] - lats[0]) * metres_north
        areas: NDArray[np.float64] = np.abs(east[0] * north[1] - east[1] * north[0])
        return areas if (areas > 0).all() and np.isfinite(areas).all() else None


def _metres_per_unit(crs: CRS) -> float:
    """Return metres per unit of a CRS; 0 where its units are no lengths."""
    try:
        return float(crs.linear_units_factor[1]) if crs.is_projected else 0.0
    except Exception:  # rasterio's CRSError, or GDAL's own
        return 0.0
