"""What a user can ask of the records of runs; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import RequestError
from tiler.option import REQUIRED, check, option


@dataclass(frozen=True, kw_only=True)
class StatusRequest:
    """What the user asked of an output folder."""

    out: Path = option(
        REQUIRED, "The records in this output folder are read.", unit="OUT", positional=True, path="folder", exists=True
    )

    def __post_init__(self) -> None:
        check(self, RequestError)
