"""What a user can allow a run; standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from segment.errors import RequestError
from tiler.option import check, option


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """When a run takes no more work."""

    max_errors: int | None = option(
        None,
        "The run stops when more than N images have failed; those that are refused unread do not count.",
        unit="N",
        shown="any number",
        least=0,
        group="limits",
    )
    max_runtime_min: float | None = option(
        None,
        "No image, or part of a large one, is begun after MINUTES minutes, and those begun are finished; the same "
        "command again goes on from there.",
        unit="MINUTES",
        shown="none",
        above=0,
        group="limits",
    )
    max_stall_min: float = option(
        120.0,
        "The run gives up when nothing has moved for MINUTES minutes, as on a drive that hangs.",
        unit="MINUTES",
        above=0,
        group="limits",
    )

    def __post_init__(self) -> None:
        check(self, RequestError)

    @property
    def max_runtime_s(self) -> float | None:
        """Seconds after which no image is begun; None: no limit."""
        return None if self.max_runtime_min is None else 60 * self.max_runtime_min

    @property
    def max_stall_s(self) -> float:
        """Seconds without a sign of life after which the images under way are given up."""
        return 60 * self.max_stall_min
