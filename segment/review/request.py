"""What a user can ask of a review; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.errors import RequestError
from tiler.option import REQUIRED, check, option

ReviewFormat = Literal["crops", "cvat", "geopackage", "label-studio"]
Measure = Literal["confidence", "disagreement"]
"""What tells where the model is in doubt."""
By = Literal["auto", "confidence", "disagreement", "random"]


@dataclass(frozen=True, kw_only=True)
class ReviewRequest:
    """What the user asked of a review."""

    out: Path = option(
        REQUIRED, "The masks in this output folder of `segment` are reviewed.", unit="OUT", positional=True,
        path="folder", exists=True,
    )  # fmt: skip
    export: int | None = option(
        None,
        "The N windows that are most worth labelling go to a new folder OUT/review/export-1, export-2 and so on, with "
        "the labels of the masks as drafts.",
        unit="N",
        shown="none",
        least=1,
    )
    corrected: Path | None = option(
        None,
        "Corrected labels are taken back from this: a zip that CVAT exported, a folder of crops, a GeoPackage, or the "
        "JSON file of Label Studio.",
        flag="--import",
        unit="FILE|DIR",
        shown="none",
        exists=True,
    )
    format: ReviewFormat = option(
        "crops",
        "The windows are exported in this form. crops: images and masks in the form that `train` reads; cvat: a zip "
        "for CVAT (Segmentation mask 1.1); geopackage: windows and polygons for QGIS; label-studio: tasks with brush "
        "masks.",
    )
    by: By = option(
        "auto",
        "Windows are chosen by this. auto: confidence where it stands beside the masks, else disagreement; random: "
        "every window is as likely as another.",
    )
    window_px: int | None = option(
        None,
        "A window of this side is labelled, in source pixels; at most the window of the model.",
        unit="PX",
        shown="a quarter of the model's",
        least=32,
    )
    seed: int = option(0, "Another seed gives other windows with --by random.", unit="N", least=0)
    into: Path | None = option(
        None,
        "Corrected labels become crops in this folder.",
        unit="DIR",
        shown="OUT/review/crops",
        path="folder",
    )
    split: float = option(
        1.0,
        "This share of the images that came back trains, the others validate. 1 is for a training that has other crops "
        "to validate on.",
        unit="FRACTION",
        least=0,
        most=1,
    )
    take_unchanged: bool = option(
        False,
        "Windows that come back just as their drafts were count as corrected too. Without this they are left out, "
        "because nobody may have looked at them.",
    )

    def __post_init__(self) -> None:
        check(self, RequestError)

    @property
    def folder(self) -> Path:
        """Where all of a review lies."""
        return self.out / "review"

    @property
    def crops(self) -> Path:
        """Where corrected labels become crops."""
        return self.into or self.folder / "crops"
