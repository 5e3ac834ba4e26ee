"""How far off the place of a photo's corners may be."""

from __future__ import annotations

import math

from tiler.photo.tags import PhotoTags

_GNSS_M, _FLOAT_M, _FIXED_M = 3.0, 0.5, 0.03
_RTK_FLOAT, _RTK_FIXED = 34, 50
"""Values of DJI's RtkFlag for a float and a fixed solution; 0 is none, and 16 is a single point."""
_ANGLE = math.radians(1)


def estimate_error_m(
    *, position_m: float, height_m: float, radius_m: float, height_error: float, focal_error: float, miss_m: float
) -> float:
    """Return by how many metres the corners may lie beside their place on flat ground.

    The error budget is the root of the sum of squares of these terms. Each is one standard deviation, by judgement:

    - the camera's position: see `position_error_m`;
    - 1 degree of yaw: `radius x 1 degree`;
    - 1 degree of tilt: `height x (1 + (radius / height)^2) x 1 degree`, the derivative of `height x tan`;
    - height and focal length, which scale the image about its middle: their relative errors x radius;
    - what the affine or the polynomial through the control points misses.

    Relief is not in it: ground that is z metres off the assumed height moves by `z / height x radius`.

    Parameters
    ----------
    position_m : float
        Error of the camera's position.
    height_m : float
        Height above ground.
    radius_m : float
        Distance on the ground from the place under the camera to the farthest corner.
    height_error, focal_error : float
        Errors of height and focal length, as shares of them.
    miss_m : float
        Largest miss of the fit.
    """
    yaw_m = radius_m * _ANGLE
    tilt_m = height_m * (1 + (radius_m / height_m) ** 2) * _ANGLE
    return math.hypot(position_m, yaw_m, tilt_m, height_error * radius_m, focal_error * radius_m, miss_m)


def position_error_m(tags: PhotoTags) -> float:
    """Return by how many metres the position of the camera may be off.

    Without RTK that is 3 m, because DJI and others state 1.5 to 5 m. With RTK it is what the receiver says in
    RtkStdLat and RtkStdLon, but at least 0.03 m with a fixed solution and 0.5 m with a float one.
    """
    least = {_RTK_FIXED: _FIXED_M, _RTK_FLOAT: _FLOAT_M}.get(int(tags.number("RtkFlag") or 0))
    if least is None:
        return _GNSS_M
    return max(least, math.hypot(tags.number("RtkStdLat") or 0, tags.number("RtkStdLon") or 0))
