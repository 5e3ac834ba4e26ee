"""What the user knows of a flight that photos do not say, or say badly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import PoseError

YawSource = Literal["gimbal", "flight"]


@dataclass(frozen=True, slots=True)
class PoseOptions:
    """How photos are placed; the same for all photos of a survey."""

    height_m: float | None = None
    """Flying height above ground, for all photos; better than anything that a photo says."""
    ground_m: float | None = None
    """Elevation of the ground, in the vertical datum of the photos' AbsoluteAltitude."""
    dem: Path | None = None
    """Raster of ground elevations in that datum, in any CRS; its first channel is sampled under the camera."""
    yaw_source: YawSource = "gimbal"
    """Whose yaw turns the image: of the gimbal or of the aircraft."""
    focal_px: float | None = None
    """Focal length in pixels of the full image width, for all photos."""

    def __post_init__(self) -> None:
        for name, value in (("height_m", self.height_m), ("focal_px", self.focal_px)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise PoseError(f"{name} is {value}; expected a number above 0")
        if self.ground_m is not None and not math.isfinite(self.ground_m):
            raise PoseError(f"ground_m is {self.ground_m}; expected a number")
        if self.ground_m is not None and self.dem is not None:
            raise PoseError("both ground_m and dem are given; expected one of them")
