"""The sums of a run: how its images ended, what is doubtful, what failed, and why it ended itself."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segment.record.outcome import Outcome
from segment.record.stages import stages_as_dict
from tiler.doubt import KINDS, Kind
from tiler.stopwatch import Stages

End = Literal["complete", "errors", "runtime", "disk full", "stalled", "failed", "interrupted", "no image"]
"""Why a run took no more work; `complete`: none was left; `no image`: none was found."""


@dataclass(slots=True)
class Sums:
    """The sums of a run."""

    inputs: int
    """Images that were found."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many are done, skipped and failed."""
    doubtful: Counter[Kind] = field(default_factory=Counter)
    """How many images, done or skipped, have a doubt of each kind."""
    covered: set[Path] = field(default_factory=set)
    """Those that have masks: they are done or skipped."""
    pixels: int = 0
    """Pixels of those that are done."""
    failures: list[Outcome] = field(default_factory=list)
    """Those that failed."""
    stages: Stages = field(default_factory=Stages)
    """What its stages took, where times were taken."""
    started: float = field(default_factory=time.monotonic)
    """When it began, by the monotonic clock."""

    def add(self, outcome: Outcome) -> None:
        """Count an image."""
        self.counts[outcome.state] += 1
        self.doubtful.update({doubt.kind for doubt in outcome.doubts})
        if outcome.state == "failed":
            self.failures.append(outcome)
            return
        self.covered.add(outcome.path)
        if outcome.state == "done":
            self.pixels += outcome.pixels

    @property
    def left(self) -> int:
        """Images that the run did not reach."""
        return self.inputs - self.counts.total()

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def doubts(self) -> dict[Kind, int]:
        """How many images have a doubt of each kind that occurs, in the order in which people read of them."""
        return {kind: self.doubtful[kind] for kind in KINDS if self.doubtful[kind]}

    def as_dict(self, out: Path, end: End) -> dict[str, Any]:
        """Return the sums as JSON-able values."""
        return {
            "out": str(out),
            "inputs": self.inputs,
            "done": self.counts["done"],
            "skipped": self.counts["skipped"],
            "failed": self.counts["failed"],
            "left": self.left,
            "end": end,
            "seconds": round(self.seconds, 3),
            "megapixels": round(self.pixels / 1e6, 6),
            "doubts": self.doubts,
            "stages": stages_as_dict(self.stages, seconds=self.seconds),
            "failures": [
                {"path": str(outcome.path), "reason": outcome.reason, "advice": outcome.advice}
                for outcome in self.failures
            ],
        }
