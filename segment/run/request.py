"""What a user can ask of a run; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.engine.request import EngineOptions
from segment.guard.request import RunLimits
from segment.plan.request import SurveyRequest
from tiler.option import REQUIRED, option


@dataclass(frozen=True, kw_only=True)
class PlanRequest(SurveyRequest):
    """What the user asked of a survey that is to be planned."""

    calibrate: bool = option(
        True,
        "The model segments some of the images, or parts of them, for a few seconds; from that follow the run's time, "
        "memory and disk. Nothing is written among the masks.",
        shown="yes, with --model",
        group="model",
    )
    engine_options: EngineOptions = EngineOptions()
    """What runs the network."""


@dataclass(frozen=True, kw_only=True)
class SegmentRequest(SurveyRequest):
    """What the user asked of a survey that is to be segmented."""

    out: Path = option(
        REQUIRED, "Masks go to this folder, in the tree of the sources.", unit="DIR", path="folder", group="output"
    )
    model: str = option(
        REQUIRED,
        "This checkpoint segments: a SegFormer folder, a Hugging Face hub id owner/name, or bundled:demo, which comes "
        "with noseam.",
        unit="ID|DIR|bundled:demo",
        shown="none: you are told the choice",
        group="model",
    )
    overwrite: bool = option(
        False, "Masks that are up to date are made again, and foreign files are replaced.", group="output"
    )
    prune: bool = option(
        False,
        "Masks of photos that have left the survey are removed, with all that belongs to them. Without this option "
        "they are named.",
        group="output",
    )
    engine_options: EngineOptions = EngineOptions()
    """What runs the network."""
    run_limits: RunLimits = RunLimits()
    """When the run takes no more work."""
