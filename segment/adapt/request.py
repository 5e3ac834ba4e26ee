"""What a user can ask of an adaptation; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.errors import RequestError
from tiler.option import REQUIRED, check, option
from tiler.source.options import FileLimits, ReadingOptions


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    """What the user asked of a model that is to be made at home in a survey."""

    sources: tuple[Path, ...] = option(
        REQUIRED,
        "The model looks at these images, and at the images in these folders; no labels are needed.",
        unit="SRC",
        positional=True,
    )
    model: str = option(
        REQUIRED,
        "This model is adapted: a hub id, a folder, or one that comes with noseam.",
        unit="ID|DIR|bundled:NAME",
    )
    out: Path = option(REQUIRED, "This folder gets the adapted model.", unit="DIR", path="folder")
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", "The network runs on this device; auto: a GPU where PyTorch finds one."
    )
    reading: ReadingOptions = ReadingOptions()
    """How images become 8-bit colours."""
    limits: FileLimits = FileLimits()
    """What the header of an image may claim."""

    def __post_init__(self) -> None:
        check(self, RequestError)
