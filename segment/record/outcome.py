"""How one input of a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.doubt import Doubt
from tiler.masks.coverage import Coverage


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one input ended."""

    path: Path
    """The input."""
    state: Literal["done", "skipped", "failed"]
    """`skipped`: its masks were already there, made by the same model and settings."""
    reason: str = ""
    """Why it was skipped, made again, or failed."""
    pixels: int = 0
    """Number of source pixels; 0 where the header could not be read."""
    seconds: float = 0.0
    """Its share of the time of the run: images that are worked on at the same moment share that moment equally.

    So the seconds of all images add up to the time that the run worked on any. Waiting for room does not count.
    """
    notes: tuple[str, ...] = ()
    """What the user should know about how it was read."""
    doubts: tuple[Doubt, ...] = ()
    """What makes its masks doubtful."""
    coverage: Coverage | None = None
    """What its classes cover; None where it has no masks."""
    relative: Path = Path()
    """Its path below the folder that the user named."""
    disk_full: bool = False
    """Whether it failed because the disk is full, as any other image would."""
    advice: str = ""
    """What helps where it failed."""
    worker: str = ""
    """Which of several workers did the last of it; empty where there is one."""
