"""The focal length of a photo in pixels, from the best that its header says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tiler.photo.tags import PhotoTags

NAMES = ("DewarpData", "CalibratedFocalLength", "FocalLength", "FocalLengthIn35mmFilm", "DigitalZoomRatio")
"""Tags that are looked for; messages list them."""
_SENSOR_WIDTH_MM = {
    **dict.fromkeys(("FC220", "FC300C", "FC300S", "FC300X", "FC330", "FC350"), 6.17),
    **dict.fromkeys(("FC3411", "FC6310", "FC6310R", "FC6310S", "L1D-20c"), 13.2),
    **dict.fromkeys(("FC550", "FC6520", "L2D-20c"), 17.3),
}
"""Width by EXIF Model: 1/2.3 inch, 1 inch and Four Thirds, as these cameras' published specifications say."""
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Millimetres of each unit that FocalPlaneResolutionUnit names."""
_FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
_WIDEST_SENSOR_ASPECT = 1.6
_CROPPED_ERROR = 0.04
_OPTICAL_CENTRE_TOLERANCE = 0.05
_PLAUSIBLE = (0.25, 100.0)
"""Least and most focal length in image diagonals: 127 to 0.6 degrees from corner to corner."""


@dataclass(frozen=True, slots=True)
class Focal:
    """A focal length and where it comes from."""

    px: float
    """Focal length, pixels of the image as it is stored."""
    source: str
    """What says so."""
    relative_error: float
    """By how much it may be wrong, as a share of itself."""


def focal_length(tags: PhotoTags, height: int, width: int, given_px: float | None = None) -> Focal | None:
    """Return the focal length by the best of what is known; None where nothing plausible is.

    The first of these counts that is there and plausible:

    - what the user gave;
    - the calibration in DJI's XMP: the first number of DewarpData, or CalibratedFocalLength. It holds for an image
      whose middle is CalibratedOpticalCenterX, and is scaled to this one;
    - FocalLength x FocalPlaneXResolution;
    - FocalLength over the width of the sensor, for models in a table;
    - FocalLengthIn35mmFilm.

    The last is defined by the diagonal of the sensor (CIPA DCG-001): f is `f35 / 43.27 mm` of the diagonal. Small drone
    cameras have 4:3 or 3:2 sensors. So an image wider than 8:5 is a crop in height, and the diagonal is that of the
    full 4:3 sensor of its width. The image's own diagonal would make f 8 % too short for 16:9. ODM and orthority use
    `f35 / 36 mm` of the width, which is right for 3:2 only. A digitally zoomed photo has no known focal length.

    Parameters
    ----------
    tags : PhotoTags
        What the header says.
    height, width : int
        Size of the image as it is stored, pixels.
    given_px : float, optional
        What the user says, pixels of the full image width.

    Raises
    ------
    PoseError
        If what the user says is not plausible. The message says what is expected for an image of this size.
    """
    low, high = (share * math.hypot(height, width) for share in _PLAUSIBLE)
    if given_px is not None:
        if not low <= given_px <= high:
            why = f"a focal length of {given_px:g} px given for {width} x {height}"
            raise tags.refusal(why, *NAMES, remedy=f"expected {low:.0f} to {high:.0f}")
        return Focal(given_px, "given", 0.005)
    if (tags.number("DigitalZoomRatio") or 1) > 1:
        return None
    rungs: tuple[Callable[[PhotoTags, int, int], Focal | None], ...] = (_calibrated, _plane, _sensor, _equivalent)
    found = (rung(tags, max(height, width), min(height, width)) for rung in rungs)
    return next((focal for focal in found if focal is not None and low <= focal.px <= high), None)


def refuse_turned(tags: PhotoTags, height: int, width: int) -> None:
    """Raise if the pixels of a photo were turned after it was taken, so that its tags are of another image.

    Raises
    ------
    PoseError
        If it is upright and was taken lying, or the other way round.
    """
    taken = tags.number("ExifImageWidth") or width, tags.number("ExifImageHeight") or height
    if (taken[0] - taken[1]) * (width - height) < 0:
        why = f"pixels turned after the photo was taken, {width} x {height}"
        raise tags.refusal(why, "ExifImageWidth", "ExifImageHeight", remedy="expected the photo as the camera wrote it")


def _calibrated(tags: PhotoTags, long: int, short: int) -> Focal | None:
    source, focal = "DewarpData", _dewarp(tags.text("DewarpData"))
    if focal is None:
        source, focal = "CalibratedFocalLength", tags.number("CalibratedFocalLength")
    if focal is None:
        return None
    scale = long / (2 * (tags.number("CalibratedOpticalCenterX") or 0) or long)
    if abs(scale - 1) < _OPTICAL_CENTRE_TOLERANCE:  # the centre lies beside the middle; nothing was resized
        scale = 1.0
    return Focal(focal * scale, source, 0.005)


def _dewarp(text: str) -> float | None:
    """Return fx of `date;fx,fy,cx,cy,k1,k2,p1,p2,k3`."""
    try:
        return float(text.partition(";")[2].split(",")[0])
    except ValueError:
        return None


def _plane(tags: PhotoTags, long: int, short: int) -> Focal | None:
    focal, density = tags.number("FocalLength"), tags.number("FocalPlaneXResolution")
    unit = _MM_PER_UNIT.get(int(tags.number("FocalPlaneResolutionUnit") or 2))
    if focal is None or density is None or unit is None:
        return None
    resized = long / (max(tags.number("ExifImageWidth") or 0, tags.number("ExifImageHeight") or 0) or long)
    return Focal(focal * density / unit * resized, "FocalPlaneXResolution", 0.01)


def _sensor(tags: PhotoTags, long: int, short: int) -> Focal | None:
    focal, sensor = tags.number("FocalLength"), _SENSOR_WIDTH_MM.get(tags.text("Model"))
    return None if focal is None or sensor is None else Focal(focal / sensor * long, "sensor width", 0.01)


def _equivalent(tags: PhotoTags, long: int, short: int) -> Focal | None:
    equivalent = tags.number("FocalLengthIn35mmFilm")
    if not equivalent:
        return None
    cropped = long / short > _WIDEST_SENSOR_ASPECT
    diagonal = math.hypot(long, long * 3 / 4 if cropped else short)
    error = 0.5 / abs(equivalent) + (_CROPPED_ERROR if cropped else 0)  # it is a whole number of mm
    return Focal(equivalent * diagonal / _FULL_FRAME_DIAGONAL_MM, "FocalLengthIn35mmFilm", error)
