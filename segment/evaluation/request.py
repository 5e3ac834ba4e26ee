"""What a user can ask of a comparison; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import EvaluateError
from tiler.option import REQUIRED, check, option


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What the user asked of masks and their truth."""

    predicted: Path = option(
        REQUIRED, "These masks are judged: a file, or a folder of them.", unit="PREDICTED", exists=True, positional=True
    )
    truth: Path = option(
        REQUIRED, "These masks are right; they are paired by name.", unit="TRUTH", exists=True, positional=True
    )
    classes: Path | None = option(
        None,
        "This class table names and colours the classes: name, r, g, b; one row for each class, in order of id.",
        unit="CSV",
        shown="the names in the masks; colours need it",
        path="file",
        exists=True,
    )
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
            raise EvaluateError(f"--out {self.out}: choose a folder beside the masks")
