"""Try a run out in a process of its own, so that start-up and memory are a run's, whatever this process holds."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segment.engine.request import EngineOptions
from segment.errors import EngineError
from segment.model.checkpoint import Description
from segment.plan.estimate import estimate
from segment.plan.figures import Calibration, Estimate
from segment.plan.request import Request
from segment.plan.sample import Sample, choose_samples
from segment.plan.survey import ImagePlan
from segment.run.request import PlanRequest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """What is tried out."""

    description: Description
    """The checkpoint."""
    engine: EngineOptions
    """What runs it."""
    request: Request
    """What the survey was planned for."""
    samples: tuple[Sample, ...]
    """On which images."""


def foresee(
    request: PlanRequest,
    description: Description | None,
    images: Sequence[ImagePlan],
    *,
    planning_s: float = 0.0,
    workers: int = 1,
) -> Estimate:
    """Return what it takes to segment images: from a trial if there is a model, else from their headers alone.

    Parameters
    ----------
    request : PlanRequest
        What was asked.
    description : Description or None
        The checkpoint.
    images : sequence of ImagePlan
        Those that are to be done.
    planning_s : float
        Seconds that a run takes to read all headers.
    workers : int
        How many processes share the work.

    Raises
    ------
    NoseamError
        If the model or the device cannot be used, as a run would say it.
    EngineError
        If the trial ends without a result.
    """
    if not images:
        return estimate(images, request.out, unknown="where nothing is to do")
    if description is None:
        return estimate(images, request.out, unknown="without --model")
    if not request.calibrate:
        return estimate(images, request.out, unknown="with --no-calibrate")
    _log.info("trying the model out on some of the images; --no-calibrate does without")
    resolved = request.over(description.tiling, description.cost.balance_px)
    found = calibrate_apart(Task(description, request.engine_options, resolved, choose_samples(images)))
    return estimate(images, request.out, found, planning_s=planning_s, workers=workers)


def calibrate_apart(task: Task) -> Calibration:
    """Return what a few seconds of the real work show, see `calibrate`; it raises what `foresee` raises."""
    for _ in range(2):  # the first process may have to convert the network; a run that comes later need not
        if (found := _in_child(task)) is not None:
            return found
    raise EngineError(f"{task.description.name}: the network was converted, but not found again; use --no-calibrate")


def _in_child(task: Task) -> Calibration | None:
    code = f"import sys; sys.path[:] = {sys.path!r}; from segment.run.calibrate import work; work()"
    level = str(_log.getEffectiveLevel())
    with tempfile.TemporaryDirectory(prefix="noseam-") as folder:
        command, began = [sys.executable, "-c", code, folder, level], time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
            try:
                child.communicate(pickle.dumps(task))
            finally:
                child.kill()
        seconds = time.monotonic() - began
        result = Path(folder, "result")
        if not result.exists():
            raise EngineError(
                f"{task.description.name}: trying the model out ended with exit status {child.returncode} and no "
                "result; use --no-calibrate"
            )
        found: Calibration | Exception | None = pickle.loads(result.read_bytes())
    if isinstance(found, Exception):
        raise found
    return None if found is None else replace(found, startup_s=found.startup_s + seconds)
