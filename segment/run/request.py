"""What a user can ask of a run; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segment.engine.request import EngineOptions
from segment.errors import RequestError
from segment.guard.request import RunLimits
from segment.plan.request import SurveyRequest
from tiler.option import REQUIRED, check, option

_ADDRESS = re.compile(r"(?:[a-z]{2,9}://)?(?:[^\s/:\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}", re.ASCII)
_AMOUNT = re.compile(r"(\w[\w.-]{0,63})=(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resource:
    """What every task takes of a worker, such as one GPU."""

    name: str
    """As `dask worker --resources` names it."""
    amount: float
    """How much of it."""

    def __str__(self) -> str:
        return f"{self.name}={self.amount:g}"


def parse_resource(text: str) -> Resource:
    """Return the resource that a text such as `GPU=1` means.

    Raises
    ------
    RequestError
        If the text is not NAME=N with N above 0.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or not float(found[2]):
        raise RequestError(f"NAME=N with N above 0 expected, such as GPU=1; {text!r:.80} found")
    return Resource(found[1], float(found[2]))


def parse_workers(text: str) -> int | Literal["auto"]:
    """Return the number of workers that a text means; `auto` stays.

    Raises
    ------
    RequestError
        If the text is neither.
    """
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII):
        raise RequestError(f"a number from 1, or auto expected; {text!r:.40} found")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Which processes do the work."""

    workers: int | Literal["auto"] = option(
        "auto",
        "So many processes of this machine share the survey, and its cores or GPUs; auto: one on the CPU, on CUDA one "
        "for every four cores.",
        unit="N|auto",
        group="workers",
        read=parse_workers,
    )
    scheduler: str | None = option(
        None,
        "The workers of the dask cluster with this scheduler do the work, such as tcp://10.0.0.1:8786. They see the "
        "sources and the output folder under the same paths.",
        unit="ADDRESS",
        shown="none",
        group="workers",
    )
    resources: Resource | None = option(
        None,
        "Every task takes so much of a resource that the workers of --scheduler were started with.",
        unit="NAME=N",
        shown="none",
        group="workers",
        read=parse_resource,
    )

    def __post_init__(self) -> None:
        check(self, RequestError)
        if self.workers != "auto" and self.workers < 1:
            raise RequestError(f"workers: a whole number from 1, or auto expected, {self.workers} found")
        if self.scheduler is not None and not _ADDRESS.fullmatch(self.scheduler):
            expected = "an address such as tcp://10.0.0.1:8786 expected"
            raise RequestError(f"scheduler: {expected}, {self.scheduler!r:.80} found; `dask scheduler` prints its own")
        if self.scheduler is not None and self.workers != "auto":
            raise RequestError("--workers and --scheduler exclude each other: a cluster has its own workers")
        if self.scheduler is None and self.resources is not None:
            raise RequestError('--resources needs --scheduler (in Python: scheduler="tcp://...")')


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
    workers: int | Literal["auto"] = option(
        "auto",
        "The run is planned for so many worker processes, see `segment --workers`; each has memory of its own.",
        unit="N|auto",
        group="workers",
        read=parse_workers,
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
        "This checkpoint segments: a SegFormer folder, a Hugging Face hub id owner/name, or bundled:start or "
        "bundled:demo, which come with noseam.",
        unit="ID|DIR|bundled:NAME",
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
    worker_options: WorkerOptions = WorkerOptions()
    """Which processes do the work."""
