"""What a worker is given: all of an image, some parts of it, or the joining of its parts; and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.plan.request import Request
from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from tiler.grid.parts import Span
from tiler.masks.parts import Seen


@dataclass(frozen=True, slots=True)
class Work:
    """What a run asks of every worker."""

    request: Request
    """What the survey was planned for."""
    overwrite: bool = False
    """Whether current masks are made again, and files that noseam did not write are replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A piece of work on one image. It can be repeated: files appear whole, and what is there already is left."""

    image: ImagePlan
    """The image."""
    standing: Standing | None = None
    """What stands in the output folder for it; None: the worker looks itself."""
    step: Literal["image", "parts", "join"] = "image"
    """`image`: all of it. `parts`: label some parts. `join`: make the masks of all parts."""
    spans: tuple[Span, ...] = ()
    """The parts; none where the step is `image`."""
    seen: Seen | None = None
    """What other parts told of the image, as far as it is known."""

    @property
    def path(self) -> Path:
        """The image."""
        return self.image.found.path

    @property
    def pixels(self) -> int:
        """Source pixels that it labels."""
        rows = sum(map(len, self.spans)) if self.step == "parts" else self.image.info.height * (self.step == "image")
        return rows * self.image.info.width

    def __str__(self) -> str:
        rows = f", {Span(self.spans[0].start, self.spans[-1].stop)}" if self.step == "parts" else ""
        return f"{self.path}{rows}{', joining its parts' if self.step == 'join' else ''}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended."""

    outcome: Outcome | None = None
    """How its image ended; None where further tasks follow."""
    seen: Seen | None = None
    """What its parts told of the image."""
    seconds: float = 0.0
    """Its share of the time of its worker, see `UnderWay`."""
