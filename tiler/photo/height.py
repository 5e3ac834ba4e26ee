"""How high above ground a photo was taken, from the best that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rasterio.warp import transform as reproject
from rasterio.windows import Window

from tiler.errors import PoseError
from tiler.photo.options import PoseOptions
from tiler.photo.tags import ALTITUDE, PhotoTags
from tiler.source.raster import open_raster, reading

NAMES = ("LRFTargetDistance", "AbsoluteAltitude", "RelativeAltitude")
"""Tags that are looked for; messages list them."""
TAKE_OFF = "RelativeAltitude"
"""Source of a height above the place of take-off, which is the height above ground on flat ground only."""
_MEASURED_ERROR, _ALTITUDE_ERROR = 0.02, 0.05
_HIGHEST_M = 10_000.0


@dataclass(frozen=True, slots=True)
class Height:
    """A flying height and where it comes from."""

    metres: float
    """Height above ground, metres."""
    source: str
    """What says so."""
    relative_error: float
    """By how much it may be wrong, as a share of itself."""


def flying_height(
    tags: PhotoTags, options: PoseOptions, *, latitude: float, longitude: float, tilt_deg: float
) -> Height | None:
    """Return the height above ground by the best of what is known; None where nothing is.

    The first of these counts that is there:

    - what the user gave;
    - DJI's laser rangefinder, whose distance is along the optical axis;
    - AbsoluteAltitude (else EXIF's GPSAltitude) less the elevation of the ground, which the user gave as a raster or
      a number;
    - RelativeAltitude, which is the height above the place of take-off.

    Parameters
    ----------
    tags : PhotoTags
        What the header says.
    options : PoseOptions
        What the user knows.
    latitude, longitude : float
        Place of the camera, WGS 84, degrees.
    tilt_deg : float
        Angle between the optical axis and straight down, degrees.

    Raises
    ------
    PoseError
        If the DEM has no CRS or holds no elevation under the camera, or the height is not above 0 and at most 10 km.
    RasterReadError
        If the DEM cannot be read.
    """
    found = _best(tags, options, latitude, longitude, tilt_deg)
    if found is not None and not 0 < found.metres <= _HIGHEST_M:
        why = f"a flying height of {found.metres:.1f} m ({found.source})"
        raise tags.refusal(why, *NAMES, remedy=f"expected 0 to {_HIGHEST_M:.0f}; give the flying height above ground")
    return found


def _best(tags: PhotoTags, options: PoseOptions, latitude: float, longitude: float, tilt_deg: float) -> Height | None:
    if options.flying_height_m is not None:
        return Height(options.flying_height_m, "given", _MEASURED_ERROR)
    distance = tags.number("LRFTargetDistance") or 0
    if distance > 0 and tags.text("LRFStatus") in {"", "Normal"}:
        return Height(distance * math.cos(math.radians(tilt_deg)), "LRFTargetDistance", _MEASURED_ERROR)
    altitude = tags.number("AbsoluteAltitude", ALTITUDE)
    if altitude is not None and options.dem is not None:
        ground = _sample(options.dem, tags, latitude, longitude)
        return Height(altitude - ground, f"AbsoluteAltitude less DEM {ground:.1f} m", _ALTITUDE_ERROR)
    if altitude is not None and options.ground_elevation_m is not None:
        source = f"AbsoluteAltitude less ground {options.ground_elevation_m:.1f} m"
        return Height(altitude - options.ground_elevation_m, source, _ALTITUDE_ERROR)
    relative = tags.number("RelativeAltitude")
    return None if relative is None else Height(relative, TAKE_OFF, _ALTITUDE_ERROR)


def _sample(dem: Path, tags: PhotoTags, latitude: float, longitude: float) -> float:
    """Return the elevation of the cell of a DEM that a place lies in."""
    with open_raster(dem) as dataset:
        if dataset.crs is None:
            raise PoseError(f"{dem}: no coordinate reference system; expected a georeferenced raster of elevations")
        with reading(dem, f"the elevation at {latitude:.6f}, {longitude:.6f}"):
            (x,), (y,) = reproject("EPSG:4326", dataset.crs, [longitude], [latitude])
            row, col = dataset.index(x, y)
            cell = dataset.read(1, window=Window(col, row, 1, 1), masked=True).astype(float).filled(math.nan)
    if cell.size and math.isfinite(cell[0, 0]):
        return float(cell[0, 0])
    raise PoseError(
        f"{tags.path}: {dem} holds no elevation at {latitude:.6f}, {longitude:.6f}; expected all of the survey"
    )
