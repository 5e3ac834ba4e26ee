"""What a user can ask of made-up scenes; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import SceneError
from tiler.option import REQUIRED, check, option

GSD_M = 0.015
"""Ground sample distance of a scene unless said otherwise, metres per pixel."""

World = Literal["neighbourhood", "varied"]


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """What a made-up survey holds."""

    photos: int = option(3, "The survey holds N JPEG photos.", unit="N", least=0)
    photo_shape: tuple[int, int] = option(
        (4000, 6000), "A photo has HEIGHT x WIDTH pixels.", flag="--photo-size", unit="HEIGHT WIDTH", least=64
    )
    orthomosaics: int = option(0, "The survey holds N georeferenced TIFFs.", unit="N", least=0)
    orthomosaic_shape: tuple[int, int] = option(
        (6000, 8000),
        "An orthomosaic has HEIGHT x WIDTH pixels. It lies askew, so its corners are empty.",
        flag="--orthomosaic-size",
        unit="HEIGHT WIDTH",
        least=64,
    )
    gsd_m: float = option(GSD_M, "A side of a pixel covers METRES of ground.", unit="METRES", least=0.003, most=0.5)
    gsd_to_m: float | None = option(
        None,
        "Each photo has a ground sample distance of its own, between --gsd and METRES.",
        unit="METRES",
        shown="that of --gsd",
        least=0.003,
        most=0.5,
    )
    seed: int = option(0, "Another seed gives other scenes.", unit="N", least=0)
    world: World = option(
        "neighbourhood",
        "neighbourhood: streets and gardens, all alike, as the model of the demo knows them. varied: each scene of "
        "another kind, season and light, for training.",
    )

    def __post_init__(self) -> None:
        check(self, SceneError)

    @property
    def key(self) -> str:
        """What a survey's folder says that it holds; another text is another survey."""
        # It names a class as an earlier version did, so that folders of that version count as made.
        to = "" if self.gsd_to_m is None else f", gsd_to_m={self.gsd_to_m}"
        world = "" if self.world == "neighbourhood" else f", world={self.world}"
        return (
            f"SurveyRequest(photos={self.photos}, photo_shape={self.photo_shape}, orthomosaics={self.orthomosaics}, "
            f"orthomosaic_shape={self.orthomosaic_shape}, gsd_m={self.gsd_m}, seed={self.seed}{to}{world})"
        )


@dataclass(frozen=True, kw_only=True)
class ScenesRequest:
    """What the user asked of a made-up survey."""

    out: Path = option(REQUIRED, "The folder of the survey.", unit="OUT", path="folder", positional=True)
    scenes: SceneOptions = SceneOptions()
    """What it holds."""

    def __post_init__(self) -> None:
        check(self, SceneError)
