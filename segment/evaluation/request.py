"""What a user can ask of a comparison; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import EvaluateError
from tiler.option import REQUIRED, check, class_table, option


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What the user asked of masks and their truth."""

    predicted: Path = option(
        REQUIRED, "These masks are judged: a file, or a folder of them.", unit="PREDICTED", exists=True, positional=True
    )
    truth: Path = option(
        REQUIRED, "These masks are right; they are paired by name.", unit="TRUTH", exists=True, positional=True
    )
    classes: Path | None = class_table("the names in the masks; colours need it")
    seam_px: int | None = option(
        None,
        "The zones where tiles meet have this width, in model pixels.",
        flag="--seam-width",
        unit="PX",
        shown="the overlaps of tiles",
        least=1,
    )
    out: Path | None = option(
        None,
        "This folder gets evaluation.json, per_class.csv, confusion.csv and confusion.png.",
        unit="DIR",
        shown="none",
        path="folder",
    )

    def __post_init__(self) -> None:
        check(self, EvaluateError)
        if self.out is not None and self.out.resolve() in {self.predicted.resolve(), self.truth.resolve()}:
            raise EvaluateError(f"--out {self.out} is where compared masks lie; choose a folder beside the masks")
