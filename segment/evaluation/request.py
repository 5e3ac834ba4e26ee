"""What a user can ask of a comparison; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import EvaluateError
from tiler.option import REQUIRED, check, class_table, option
from tiler.remap.options import RemapOptions

SEAM_PX = 32
"""Width of the zones where tiles meet, where none is asked for, model pixels: one cell of the coarsest stage of a
SegFormer. Whole overlaps would be wide, and those of one grid often lie within those of another."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What the user asked of masks, of their truth, and of masks of the same photos under another grid."""

    predicted: Path = option(
        REQUIRED, "These masks are judged: a file, or a folder of them.", unit="PREDICTED", exists=True, positional=True
    )
    truth: Path | None = option(
        None,
        "These masks are right; they are paired by name. They may be left out beside --shifted.",
        unit="TRUTH",
        exists=True,
        positional=True,
    )
    shifted: Path | None = option(
        None,
        "These masks of the same photos were made in the same way, but for --grid-shift of noseam segment. Labels that "
        "differ depend on where tiles lay; they are counted, and places where tiles meet in one mask are compared with "
        "the same places in the other.",
        unit="DIR",
        shown="none",
        exists=True,
    )
    classes: Path | None = class_table("the names in the masks; colours need it")
    scale_masks: bool = option(
        False,
        "Truth of another size than the predicted mask is sampled at its size, by the nearest pixel, where width and "
        "height have one ratio.",
    )
    seam_px: int = option(
        SEAM_PX,
        "The zones where tiles meet have this width, in model pixels.",
        flag="--seam-width",
        unit="PX",
        least=1,
    )
    out: Path | None = option(
        None,
        "This folder gets evaluation.json, and with truth per_class.csv, confusion.csv and confusion.png.",
        unit="DIR",
        shown="none",
        path="folder",
    )

    remap: RemapOptions = RemapOptions()
    """Which classes are left out or merged, on both sides."""

    def __post_init__(self) -> None:
        check(self, EvaluateError)
        if self.truth is None and self.shifted is None:
            raise EvaluateError(
                "nothing to compare the masks with; give TRUTH, or --shifted with masks made with --grid-shift, or both"
            )
        compared = {path.resolve() for path in (self.predicted, self.truth, self.shifted) if path is not None}
        if self.out is not None and self.out.resolve() in compared:
            raise EvaluateError(f"--out {self.out} is where compared masks lie; choose a folder beside the masks")
