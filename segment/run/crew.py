"""Who does the work of a run: the contract between the run and threads of this process, or workers elsewhere.

A run hands out tasks and takes in how they end; it does not know where they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from segment.guard.limits import Gate
from segment.run.model import KnownModel
from segment.run.task import Ended, Task, Work

Advance = Callable[[Path, int], None]
"""Takes the path of an image and how many more of its pixels are labelled; any thread may call it."""


class Crew(Protocol):
    """Those who do the tasks of one run."""

    @property
    def most(self) -> int:
        """How many tasks they should have in hand; it may change while the run goes on."""

    def submit(self, task: Task) -> Future[Ended | None]:
        """Hand in a task; the future gives how it ended, None where it was not begun because the gate is shut.

        Whatever is wrong with an image is part of its outcome. The future raises what ends the run.
        """

    def look(self) -> None:
        """Note signs of life at the gate; raise what ends the run. It is called every second while nothing ends."""

    def under_way(self) -> Mapping[Path, float]:
        """Return the images that are worked on, and how many seconds each took so far."""

    def end(self, *, broken: bool) -> None:
        """Begin nothing more, and return when nothing is under way.

        Parameters
        ----------
        broken : bool
            Whether the run ends by an error or a signal: what is under way is given up then.
        """


class Workers(Protocol):
    """Those who have the model open, for one run after another."""

    known: KnownModel
    """What masks say of the model."""
    count: int
    """How many processes share a large image."""

    def crew(self, work: Work, gate: Gate, advance: Advance) -> Crew:
        """Return those who do the tasks of a run."""

    def close(self) -> None:
        """Let go of the model; nothing is under way, or it is given up."""
