"""What is to be done next: images one after another, and the large ones part by part."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.crew import Advance
from segment.run.model import KnownModel
from segment.run.task import Ended, Task, Work
from segment.run.worker import folder_of, sum_of
from tiler.grid.parts import Span, runs_of_parts
from tiler.masks.parts import Seen


@dataclass(slots=True)
class _Large:
    """An image that is worked on part by part."""

    task: Task
    """The joining of its parts."""
    waiting: deque[tuple[Span, ...]]
    """Runs of parts that nobody was given yet."""
    seen: Seen | None = None
    """What the parts told so far."""
    in_hand: int = 0
    seconds: float = 0.0
    over: bool = False
    """Whether it is known how it ended, or that it is left."""

    @property
    def first_goes_alone(self) -> bool:
        """Whether other parts have to wait for what the first tells, such as how wide samples become levels."""
        return self.seen is None and self.in_hand > 0


@dataclass(slots=True)
class Agenda:
    """The tasks of a run, in the order in which they are handed out. Nothing here waits or works.

    An image of one part is one task. The parts of a larger one are tasks of their own, several in a row; the last task
    of it joins them. What earlier runs left of its parts is not done again.
    """

    images: deque[ImagePlan]
    """Images that nobody has begun."""
    standings: Mapping[Path, Standing]
    """What stands in the output folder for images, by their paths; see `Task`."""
    model: KnownModel
    """What segments them."""
    work: Work
    """What the run asks. Where it overwrites, parts of earlier runs are done again."""
    workers: int = 1
    """How many processes share a large image."""
    advance: Advance = lambda path, pixels: None
    """Told of pixels that earlier runs labelled."""
    _large: dict[Path, _Large] = field(default_factory=dict)

    def next(self) -> Task | None:
        """Return what to do next; None where nothing is, or nothing until a task ends."""
        while True:
            for large in self._large.values():
                if large.waiting and not large.first_goes_alone:
                    large.in_hand += 1
                    return replace(large.task, step="parts", spans=large.waiting.popleft(), seen=large.seen)
            if not self.images:
                return None
            if (task := self._begin(self.images.popleft())) is not None:
                return task

    def ended(self, task: Task, ended: Ended | None) -> tuple[Outcome | None, Task | None]:
        """Take in how a task ended; None: it was not begun. Return how its image ended, or what to do next of it."""
        large = self._large.get(task.path) or _Large(task, deque())
        large.in_hand -= 1
        large.seconds += ended.seconds if ended else 0.0
        if ended is None or ended.outcome is not None:
            large.waiting.clear()
            over, large.over = large.over, True
            if ended is None or ended.outcome is None or over:
                return None, None
            return replace(ended.outcome, seconds=large.seconds), None
        if large.over:
            return None, None
        large.seen = sum_of(each for each in (large.seen, ended.seen) if each is not None)
        if large.waiting or large.in_hand:
            return None, None
        return None, self._joining(large)

    def _begin(self, image: ImagePlan) -> Task | None:
        """Begin an image; None where its first task is one of its parts."""
        standing = self.standings.get(image.found.path)
        task = Task(image, standing)
        if len(image.parts) == 1 or standing is None or standing.state == "current":
            return task
        folder = folder_of(image, self.model.recipe(image, self.work.request), self.work)
        if self.work.overwrite:
            folder.remove()
        there = folder.standing(image.parts)
        self.advance(task.path, sum(len(span) * image.info.width for span in there))
        missing = [span for span in image.parts if span not in there]
        runs = runs_of_parts(image.grid, missing, self.workers if image.random_access else 1)
        joining = replace(task, step="join", spans=image.parts)
        large = self._large[task.path] = _Large(joining, deque(runs), sum_of(there.values()))
        return None if missing else self._joining(large)

    def _joining(self, large: _Large) -> Task:
        large.in_hand += 1
        return replace(large.task, seen=large.seen)


def in_order(images: Iterable[ImagePlan], standings: Mapping[Path, Standing]) -> list[ImagePlan]:
    """Return images in the order of work.

    Those with nothing to do come first, so that none of them is ever left. Images of one tile shape follow each other,
    because the network takes memory anew when it turns to another shape.
    """
    images = list(images)
    places = {shape: place for place, shape in enumerate(dict.fromkeys(image.grid.tile_shape for image in images))}

    def turn(image: ImagePlan) -> tuple[bool, int]:
        standing = standings.get(image.found.path)
        return standing is None or standing.state != "current", places[image.grid.tile_shape]

    return sorted(images, key=turn)
