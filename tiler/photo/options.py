"""What the user knows of a flight that photos do not say, or say badly; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import PoseError
from tiler.option import check, option

YawSource = Literal["gimbal", "flight"]


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """How photos are placed; the same for all photos of a survey."""

    flying_height_m: float | None = option(
        None,
        "All photos were taken at this height above the ground, in metres.",
        unit="METRES",
        shown="by laser, else above take-off",
        above=0,
        group="place",
    )
    ground_elevation_m: float | None = option(
        None,
        "The ground lies at this elevation below all photos, in metres, in the datum of their absolute altitude.",
        unit="METRES",
        shown="none",
        group="place",
    )
    dem: Path | None = option(
        None,
        "This raster holds elevations of the ground in that datum, in any CRS. Its first channel is sampled below the "
        "camera.",
        unit="FILE",
        shown="none",
        path="file",
        exists=True,
        group="place",
    )
    yaw_source: YawSource = option("gimbal", "The heading of this part of the drone turns a photo.", group="place")
    focal_px: float | None = option(
        None,
        "All photos have this focal length, in pixels of the full image width.",
        unit="PX",
        flag="--focal-px",
        shown="by the photo's tags",
        above=0,
        group="place",
    )

    def __post_init__(self) -> None:
        check(self, PoseError)
        if self.ground_elevation_m is not None and self.dem is not None:
            raise PoseError("both --ground-elevation and --dem are given; expected one of them")
