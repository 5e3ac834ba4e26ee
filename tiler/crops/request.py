"""What a user can ask of training crops; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiler.crops.plan import CropOptions
from tiler.crops.split import SplitOptions
from tiler.errors import CropRequestError
from tiler.option import REQUIRED, check, class_table, option
from tiler.remap.options import RemapOptions


@dataclass(frozen=True, kw_only=True)
class CropRequest:
    """What the user asked of a survey and its masks."""

    images: Path = option(REQUIRED, "These images are cut: a file, or a folder of them.", unit="IMAGES", exists=True,
                          positional=True)  # fmt: skip
    masks: Path = option(REQUIRED, "These masks are cut with them, paired by name.", unit="MASKS", exists=True,
                         positional=True)  # fmt: skip
    out: Path = option(
        REQUIRED, "This folder gets the crops: images/, masks/, crops.csv and classes.csv.", unit="DIR", path="folder"
    )
    classes: Path | None = class_table("what noseam's masks say; else made-up names")
    jobs: int | None = option(None, "N images are cut at the same time.", unit="N", shown="one per core", least=1)
    crops: CropOptions = CropOptions()
    """How to cut, split and balance."""
    sides: SplitOptions = SplitOptions()
    """Which images validate."""
    remap: RemapOptions = RemapOptions()
    """Which classes are left out or merged."""

    def __post_init__(self) -> None:
        check(self, CropRequestError)
