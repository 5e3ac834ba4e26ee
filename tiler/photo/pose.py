"""Decide whether and where a photo lies on the ground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from tiler.errors import TilerError
from tiler.extra import require_extra
from tiler.photo.accuracy import estimate_error_m, position_error_m
from tiler.photo.focal import NAMES as FOCALS
from tiler.photo.focal import Focal, focal_length, refuse_turned
from tiler.photo.geometry import Attitude, Points, View, fit_affine, fit_miss, to_utm
from tiler.photo.height import NAMES as HEIGHTS
from tiler.photo.height import Height, flying_height
from tiler.photo.options import PoseOptions, YawSource
from tiler.photo.tags import LATITUDE, LONGITUDE, PhotoTags, read_tags
from tiler.source.georef import Georeference

AFFINE_TILT_DEG = 3.0
"""Up to this tilt from straight down a photo gets an affine; beyond it, control points."""
MOST_TILT_DEG = 15.0
"""Photos tilted more are refused."""
LATITUDES = "GpsLatitude", "Latitude", LATITUDE
LONGITUDES = "GpsLongitude", "GpsLongtitude", "Longitude", LONGITUDE
"""Tags of the place of the camera, degrees; the first that is there counts."""
_YAWS: Mapping[YawSource, str] = {"gimbal": "GimbalYawDegree", "flight": "FlightYawDegree"}
PITCH, ROLL = "GimbalPitchDegree", "GimbalRollDegree"
"""Tags of how the camera was tilted, degrees."""
_UTM_SOUTH, _UTM_NORTH = -80.0, 84.0
_HALF_TURN = 180.0
_NOWHERE_DEG = 1e-6
_YAWS_APART_DEG = 20.0
_CONTROL = (0.0, 0.5, 1.0)
"""Shares of width and height at which the nine control points lie.

GDAL takes a polynomial of order 2 through nine points. That misses a perspective 16 times less than the affine that
GDAL takes through four corners."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a photo lies on the ground."""

    georeference: Georeference
    """An affine, or control points where the camera was tilted; WGS 84 / UTM."""
    error_m: float
    """By how many metres corners may be off on flat ground."""
    tags: Mapping[str, str]
    """What the mask says of its place: that it is approximate, by how much, and what it was made from."""
    height: Height
    """How high the camera was."""
    notes: tuple[str, ...]
    """What the user should know."""


def place_photo(path: Path, height: int, width: int, options: PoseOptions) -> Placement:
    """Return where a photo taken straight down lies on flat ground, from its EXIF and XMP.

    A tilt of up to 3 degrees gives the affine that fits the projected image best. A larger one, of up to 15 degrees,
    gives nine control points. EXIF orientation is not applied: the georeference is that of the stored pixels.

    Parameters
    ----------
    path : Path
        JPEG, PNG or TIFF.
    height, width : int
        Size of the photo as it is stored, pixels.
    options : PoseOptions
        What the user knows.

    Raises
    ------
    PoseError
        If the photo does not say where and how it was taken, says what cannot be, or was taken at a slant.
    RasterReadError
        If the photo or the DEM is not an accepted image.
    MissingExtraError
        If pyproj or defusedxml cannot be imported.
    """
    require_extra("photo")
    tags = read_tags(path)
    latitude, longitude = _position(tags)
    attitude = _attitude(tags, options.yaw_source)
    focal = _focal(tags, height, width, options.focal_px)
    above = flying_height(tags, options, latitude=latitude, longitude=longitude, tilt_deg=attitude.tilt_deg)
    if above is None:
        raise tags.refusal("no height above ground", *HEIGHTS, remedy="give the flying height above ground")
    view = View(height, width, attitude, focal.px, above.metres)
    georeference, miss_m = _georeference(view, latitude, longitude)
    error_m = estimate_error_m(
        position_m=position_error_m(tags),
        height_m=above.metres,
        radius_m=float(np.hypot(*view.ground(*_control(view, (0.0, 1.0)))).max()),
        height_error=above.relative_error,
        focal_error=focal.relative_error,
        miss_m=miss_m,
    )
    return Placement(
        georeference,
        error_m,
        tags={
            "GEOREF": "approximate-exif",
            "GEOREF_EST_ERROR_M": f"{error_m:.1f}",
            "GEOREF_HEIGHT_M": f"{above.metres:.2f}",
            "GEOREF_HEIGHT_SOURCE": above.source,
            "GEOREF_FOCAL_PX": f"{focal.px:.1f}",
            "GEOREF_FOCAL_SOURCE": focal.source,
            "GEOREF_HEADING_DEG": f"{attitude.heading_deg:.2f}",
            "GEOREF_YAW_SOURCE": _YAWS[options.yaw_source],
        },
        height=above,
        notes=tuple(_notes(tags, attitude)),
    )


def photo_georeference(path: Path, height: int, width: int) -> Georeference:
    """Return where a photo lies by its pose alone; a georeference that says nothing where the pose does not tell.

    That is so too where the packages for poses are missing.
    """
    try:
        return place_photo(path, height, width, PoseOptions()).georeference
    except TilerError:  # a photo without a pose, which is no error here
        return Georeference()


def camera_position(path: Path) -> tuple[float, float] | None:
    """Return latitude and longitude of the camera, degrees; None where the photo does not say them.

    It is None too where the packages for poses are missing.
    """
    try:
        require_extra("photo")
        return _position(read_tags(path))
    except TilerError:
        return None


def _position(tags: PhotoTags) -> tuple[float, float]:
    latitude, longitude = tags.number(*LATITUDES), tags.number(*LONGITUDES)
    if latitude is None or longitude is None:
        why = "no GPS position"
    elif abs(latitude) < _NOWHERE_DEG and abs(longitude) < _NOWHERE_DEG:
        why = "a GPS position of 0, 0, which stands for none"
    elif not (_UTM_SOUTH <= latitude < _UTM_NORTH and abs(longitude) <= _HALF_TURN):
        why = f"no place between {-_UTM_SOUTH:.0f} south and {_UTM_NORTH:.0f} north"
    else:
        return latitude, (longitude + _HALF_TURN) % (2 * _HALF_TURN) - _HALF_TURN
    remedy = "expected the place of the camera; write it into the photo, or georeference the photo otherwise"
    raise tags.refusal(why, *LATITUDES, *LONGITUDES, remedy=remedy)


def _attitude(tags: PhotoTags, source: YawSource) -> Attitude:
    yaw, pitch, roll = tags.number(_YAWS[source]), tags.number(PITCH), tags.number(ROLL) or 0.0
    names = _YAWS[source], PITCH, ROLL
    if yaw is None or pitch is None:
        raise tags.refusal(
            "no attitude of the camera", *names, remedy="expected DJI's XMP; another yaw source may help"
        )
    if max(abs(yaw), abs(pitch), abs(roll)) > 2 * _HALF_TURN:
        raise tags.refusal("angles beyond a full turn", *names, remedy="expected degrees, -360 to 360")
    if source == "flight":  # flight yaw is the heading of the image, whichever way the gimbal rolled the camera
        yaw -= Attitude(0.0, pitch, roll).heading_deg
    attitude = Attitude(yaw, pitch, roll)
    if attitude.tilt_deg > MOST_TILT_DEG:
        raise tags.refusal(
            f"an oblique photo, {attitude.tilt_deg:.1f} degrees from straight down",
            PITCH,
            ROLL,
            remedy=f"{MOST_TILT_DEG:.0f} is the most that is placed; orthorectify the survey",
        )
    return attitude


def _focal(tags: PhotoTags, height: int, width: int, given_px: float | None) -> Focal:
    refuse_turned(tags, height, width)
    focal = focal_length(tags, height, width, given_px)
    if focal is None:
        raise tags.refusal("no focal length", *FOCALS, remedy="give the focal length in pixels")
    return focal


def _georeference(view: View, latitude: float, longitude: float) -> tuple[Georeference, float]:
    cols, rows = _control(view, _CONTROL)
    epsg, x, y = to_utm(latitude, longitude, *view.ground(cols, rows))
    crs = CRS.from_epsg(epsg)
    if view.attitude.tilt_deg <= AFFINE_TILT_DEG:
        return Georeference(crs, fit_affine(cols, rows, x, y)), fit_miss(cols, rows, x, y, order=1)
    points = zip(rows.tolist(), cols.tolist(), x.tolist(), y.tolist(), strict=True)
    gcps = tuple(GroundControlPoint(*point, id=str(index)) for index, point in enumerate(points, start=1))
    return Georeference(crs, gcps=gcps), fit_miss(cols, rows, x, y, order=2)


def _control(view: View, shares: tuple[float, ...]) -> tuple[Points, Points]:
    cols, rows = np.meshgrid(np.multiply(shares, view.width), np.multiply(shares, view.height))
    return cols.ravel(), rows.ravel()


def _notes(tags: PhotoTags, attitude: Attitude) -> Iterator[str]:
    gimbal, flight = tags.number(_YAWS["gimbal"]), tags.number(_YAWS["flight"])
    if gimbal is not None and flight is not None:
        pointing = replace(attitude, yaw_deg=gimbal).heading_deg
        apart = abs((pointing - flight + _HALF_TURN / 2) % _HALF_TURN - _HALF_TURN / 2)
        if apart > _YAWS_APART_DEG:
            yield f"gimbal yaw {gimbal:.0f} and flight yaw {flight:.0f} disagree by {apart:.0f} degrees"
    yield from tags.trouble
