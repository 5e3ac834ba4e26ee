"""What a user can ask of a report; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import RequestError
from tiler.option import REQUIRED, check, option


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What the user asked of the report of an output folder."""

    out: Path = option(
        REQUIRED, "The report is of the masks in this output folder.", unit="OUT", positional=True, path="folder",
        exists=True,
    )  # fmt: skip
    evaluation: Path | None = option(
        None,
        "The report shows what `noseam evaluate --out DIR` wrote to this folder.",
        unit="DIR",
        path="folder",
        shown="OUT/evaluation, or evaluation beside OUT, where it is of these masks",
        exists=True,
    )

    def __post_init__(self) -> None:
        check(self, RequestError)
