"""What a user can ask of the doctor; standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from segment.errors import RequestError
from tiler.option import check, option


@dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """What the user asked of the doctor."""

    network: bool = option(
        True, "The Hugging Face hub is asked whether it answers, unless a variable such as HF_HUB_OFFLINE says offline."
    )

    def __post_init__(self) -> None:
        check(self, RequestError)
