"""How much ground a pixel of a photo covers, by focal length and flying height; where it lies need not be known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tiler.errors import TilerError
from tiler.photo.focal import focal_length, refuse_turned
from tiler.photo.geometry import Attitude
from tiler.photo.height import flying_height
from tiler.photo.options import PoseOptions
from tiler.photo.pose import LATITUDES, LONGITUDES, PITCH, ROLL
from tiler.photo.tags import PhotoTags, read_tags

MOST_TILT_DEG = 30.0
"""A photo tilted more has other scales at its top and its bottom, so none is given."""
_DOWN_DEG = -90.0
_DEFAULTS = PoseOptions()


@dataclass(frozen=True, slots=True)
class PhotoScale:
    """The ground sample distance of a photo, and what says so."""

    gsd_m: float
    """Metres per pixel in the middle of the photo, on flat ground."""
    height_source: str
    """What the flying height was taken from."""
    focal_source: str
    """What the focal length was taken from."""

    def __str__(self) -> str:
        return f"height by {self.height_source}, focal length by {self.focal_source}"


def photo_scale(path: Path, height: int, width: int, options: PoseOptions = _DEFAULTS) -> PhotoScale | None:
    """Return the ground sample distance of a photo by its EXIF and XMP, or by what the user knows.

    A camera that does not say how it was tilted is taken to have looked straight down. Else the distance is that in the
    middle, the square root of a pixel's ground area: at height H, focal length f (pixels) and tilt t it is
    `H / (f cos(t)^1.5)`, because the ground is `H / cos(t)` away and lies at a slant of t.

    Parameters
    ----------
    path : Path
        JPEG, PNG or TIFF.
    height, width : int
        Size of the photo as it is stored, pixels.
    options : PoseOptions
        What the user knows.

    Returns
    -------
    PhotoScale or None
        None where the photo does not say its focal length or its height above ground or take-off, where that cannot be,
        and where it is tilted by more than 30 degrees. None too where defusedxml, which reads XMP, is missing.
    """
    try:
        return _scale(read_tags(path), height, width, options)
    except TilerError:  # no photo, or nonsense in it, which is no error here
        return None


def _scale(tags: PhotoTags, height: int, width: int, options: PoseOptions) -> PhotoScale | None:
    refuse_turned(tags, height, width)
    pitch, roll = tags.number(PITCH), tags.number(ROLL) or 0.0
    tilt_deg = Attitude(0.0, _DOWN_DEG if pitch is None else pitch, roll).tilt_deg
    focal = focal_length(tags, height, width, options.focal_px)
    if focal is None or tilt_deg > MOST_TILT_DEG:
        return None
    latitude, longitude = tags.number(*LATITUDES) or 0.0, tags.number(*LONGITUDES) or 0.0
    above = flying_height(tags, options, latitude=latitude, longitude=longitude, tilt_deg=tilt_deg)
    if above is None:
        return None
    slant = math.cos(math.radians(tilt_deg)) ** 1.5
    return PhotoScale(above.metres / (focal.px * slant), above.source, focal.source)
