"""Where the pixels of a photo lie on flat ground: rotations, rays, map coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attitude:
    """How a camera is turned.

    The angles turn it from looking north, `R = Rz(yaw) Ry(pitch) Rx(roll)` in north, east, down, as
    DJI's gimbal tags do: pitch -90 looks straight down, and roll is about the optical axis.
    """

    yaw_deg: float
    """Clockwise from true north, degrees."""
    pitch_deg: float
    """Upwards from the horizon, degrees."""
    roll_deg: float
    """Clockwise as seen from behind the camera, degrees."""

    @property
    def tilt_deg(self) -> float:
        """Angle between the optical axis and straight down, degrees."""
        north, east, down = self.rotation()[:, 0]
        return round(math.degrees(math.atan2(math.hypot(north, east), down)), 6)

    @property
    def heading_deg(self) -> float:
        """Direction on the ground that the image's top points to, degrees clockwise from true north."""
        north, east, _ = -self.rotation()[:, 2]
        return math.degrees(math.atan2(east, north)) % 360

    def rotation(self) -> NDArray[np.float64]:
        """Return R; its columns are the optical axis, the image's right and its bottom in north, east, down."""
        yaw, pitch, roll = np.radians((self.yaw_deg, self.pitch_deg, self.roll_deg))
        about_down = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        about_east = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
        about_north = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
        rotation: NDArray[np.float64] = about_down @ about_east @ about_north
        return rotation


@dataclass(frozen=True, slots=True)
class View:
    """A camera above flat ground, its optical axis through the middle of the image."""

    height: int
    """Rows of the image."""
    width: int
    """Columns of the image."""
    attitude: Attitude
    """How the camera is turned."""
    focal_px: float
    """Focal length, pixels."""
    height_m: float
    """Height above ground, metres."""

    def ground(self, cols: Points, rows: Points) -> tuple[Points, Points]:
        """Return where places in the image (0 to width, 0 to height) lie, metres north and east of the camera.

        The ray of a place is `R [f, col - width / 2, row - height / 2]`, in north, east, down. The ray times
        `height_m / down` ends on the ground.
        """
        sight = np.stack((np.full(cols.shape, self.focal_px), cols - self.width / 2, rows - self.height / 2))
        north, east, down = self.attitude.rotation() @ sight
        return north * self.height_m / down, east * self.height_m / down


def to_utm(latitude: float, longitude: float, north: Points, east: Points) -> tuple[int, Points, Points]:
    """Return the EPSG code of a place's UTM zone, and map coordinates of points around it.

    Points go out from the place along geodesics and are then projected. So the meridian convergence
    and the scale of the map (0.9996 to 1.001) are in the result. All zones are 6 degrees wide. The exceptions of
    Norway and Svalbard are left out, because coordinates in a neighbouring zone are right too.

    Parameters
    ----------
    latitude, longitude : float
        WGS 84, degrees; latitude from -80 to 84.
    north, east : ndarray of float64
        Metres from the place, by true north.

    Returns
    -------
    epsg : int
        WGS 84 / UTM zone.
    x, y : ndarray of float64
        Easting and northing, metres.
    """
    from pyproj import Geod

    epsg, project = _utm(math.floor(latitude), math.floor(longitude))
    azimuths, distances = np.degrees(np.arctan2(east, north)), np.hypot(north, east)
    places = np.full(north.shape, longitude), np.full(north.shape, latitude)
    lons, lats, _ = Geod(ellps="WGS84").fwd(*places, azimuths, distances)
    x, y = project(lons, lats)
    return epsg, np.asarray(x), np.asarray(y)


@lru_cache(maxsize=64)
def _utm(latitude: int, longitude: int) -> tuple[int, Any]:
    """Return the UTM zone of a cell of one degree, kept because a look-up takes 50 ms. Zones end at whole degrees."""
    from pyproj import Transformer
    from pyproj.aoi import AreaOfInterest
    from pyproj.database import query_utm_crs_info

    lon, lat = longitude + 0.5, latitude + 0.5
    zone = query_utm_crs_info(datum_name="WGS 84", area_of_interest=AreaOfInterest(lon, lat, lon, lat))[0]
    return int(zone.code), Transformer.from_crs("EPSG:4326", f"EPSG:{zone.code}", always_xy=True).transform


def fit_affine(cols: Points, rows: Points, x: Points, y: Points) -> Affine:
    """Return the transform from places in the image to map coordinates that fits points best by least squares."""
    middle = np.array([x.mean(), y.mean()])  # coordinates of millions of metres would lose digits in the fit
    terms = np.stack((cols, rows, np.ones_like(cols)), axis=-1)
    (a, d), (b, e), (c, f) = np.linalg.lstsq(terms, np.stack((x, y), axis=-1) - middle, rcond=None)[0]
    return Affine(a, b, c + middle[0], d, e, f + middle[1])


def fit_miss(cols: Points, rows: Points, x: Points, y: Points, *, order: Literal[1, 2]) -> float:
    """Return by how much the best polynomial of an order misses the point that it fits worst, in map units."""
    u, v, places = cols / cols.max(), rows / rows.max(), np.stack((x - x.mean(), y - y.mean()), axis=-1)
    terms = np.stack((np.ones_like(u), u, v, u * u, u * v, v * v)[: 3 * order], axis=-1)
    fitted = terms @ np.linalg.lstsq(terms, places, rcond=None)[0]
    return float(np.hypot(*(fitted - places).T).max())
