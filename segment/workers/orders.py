"""What the run and its workers send each other."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segment.engine.request import EngineOptions
from segment.errors import SegmentError
from segment.model.checkpoint import Description
from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.run.task import Ended, Task, Work
from segment.workers.board import Death
from tiler.classes import ClassTable
from tiler.errors import NoseamError, reason_of
from tiler.stopwatch import Stages


@dataclass(frozen=True, slots=True)
class Site:
    """What a worker has to know of a run before its first task."""

    key: str
    """The name of the run; its events have it as their topic."""
    version: str
    """The version of noseam that plans."""
    board: Path
    """Its board."""
    sources: tuple[Path, ...]
    """What it reads."""
    allow_vrt: bool
    """Whether virtual rasters are read."""
    description: Description
    """The checkpoint."""
    classes: ClassTable
    """Names and colours of its classes."""
    digest: str
    """Digest of its weights."""
    engine: EngineOptions
    """What runs it."""
    cores: int | None
    """Cores of each worker; None: its machine's, shared by the workers there."""
    level: int
    """Least level of messages that the run shows."""
    beside: Mapping[str, int] = field(default_factory=dict)
    """Number of workers by the address of their machine."""
    takes_times: bool = False
    """Whether the run wants to know what its stages take."""
    engine_name: str = ""
    """What every worker has to run; empty while that is asked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a worker says of itself when it has opened the model."""

    engine: str
    """Engine, device and precision."""
    cores: int
    """Cores that it uses."""
    probe: str
    """A file that it made on the board."""


@dataclass(frozen=True, slots=True)
class Order:
    """A task for a worker."""

    site: Site
    """The run."""
    crew: str
    """Which of the run's surveys."""
    work: Work
    """What that asks."""
    number: int
    """Which of its tasks."""
    task: Task
    """The task."""
    forgiven: int = 1
    """It is begun unless more processes than that ended while they worked on it alone."""

    @property
    def name(self) -> str:
        """A name that no other task on the board has."""
        return f"{self.crew}-{self.number}"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task."""

    worker: str
    """The worker's name, as dask knows it."""
    ended: Ended | None = None
    """How it ended; None where it was not begun."""
    pixels: int = 0
    """How many pixels were told of."""
    stages: Stages = field(default_factory=Stages)
    """What stages of the worker took since it last said so, if the run wants to know."""
    deaths: tuple[Death, ...] = ()
    """The processes that ended while they worked on it, where it was not begun because of them."""


def packed(value: Any) -> bytes:
    """Return a value as bytes. They are all that dask sees, so that it looks for no tasks in them."""
    return pickle.dumps(value)


def unpacked(data: bytes) -> Any:
    """Return the value again."""
    return pickle.loads(data)


def portable(error: Exception) -> Exception:
    """Return an error that other processes can read: itself, or one of noseam's with the same message."""
    try:
        if isinstance(error, NoseamError):
            return type(error)(str(error))
        pickle.loads(pickle.dumps(error))
    except Exception:
        return SegmentError(reason_of(error))
    return error


def absolute(task: Task) -> Task:
    """Return a task that means the same files in any folder."""
    standing = task.standing and _absolute_standing(task.standing)
    return replace(task, image=_absolute_image(task.image), standing=standing)


def _absolute_image(image: ImagePlan) -> ImagePlan:
    outputs = tuple(
        replace(
            output,
            path=output.path.absolute(),
            sidecars=tuple(replace(side, path=side.path.absolute()) for side in output.sidecars),
        )
        for output in image.outputs
    )
    return replace(image, found=replace(image.found, path=image.found.path.absolute()), outputs=outputs)


def _absolute_standing(standing: Standing) -> Standing:
    return replace(standing, stale=tuple(path.absolute() for path in standing.stale))
