"""How many worker processes of this machine a run gets."""

from __future__ import annotations

import logging

import joblib

from segment.engine.request import EngineOptions
from segment.record.hardware import count_gpus
from segment.run.request import WorkerOptions
from tiler.errors import MissingExtraError
from tiler.extra import require_extra

_CORES_TO_FEED = 4
_LEAST_IMAGES = 16
_log = logging.getLogger(__name__)


def count_workers(options: WorkerOptions, engine: EngineOptions, images: int) -> int:
    """Return how many processes of this machine share the work; 1: this one does it, unless a scheduler is named.

    On the CPU `auto` is one, because the network of one process keeps every core busy, and each process more takes a
    second to start and memory for a network of its own: two workers are 6 % slower than one on 2 cores, four 29 %
    (`benchmarks/README.md`). On CUDA one process is the limit: its threads share one
    interpreter, so it feeds a GPU from about four cores, and the GPU waits most of the time. There `auto` is one for
    every four cores, at least one for every GPU and the same number for each, and one for every 16 images at most.

    Parameters
    ----------
    options : WorkerOptions
        What the user asked for.
    engine : EngineOptions
        What runs the network.
    images : int
        Images that are to be done.

    Raises
    ------
    MissingExtraError
        If the user asked for several, or for those of a scheduler, and dask is not installed.
    """
    if options.scheduler is not None or options.workers not in {"auto", 1}:
        require_extra("cluster")
    if options.workers != "auto":
        if options.workers > (most := int(joblib.cpu_count())):
            _log.warning("--workers %d: more than the %d cores of this machine; each takes memory for a network of its "
                         "own, and time to start", options.workers, most)  # fmt: skip
        return options.workers
    gpus = 0 if engine.device == "cpu" or engine.engine == "openvino" else count_gpus()
    gpus = min(gpus, 1) if ":" in engine.device else gpus
    cores = engine.threads or int(joblib.cpu_count())
    each = max(cores // _CORES_TO_FEED // gpus, 1) if gpus else 0
    count = max(min(gpus * each, images // _LEAST_IMAGES), 1)
    return count if count == 1 or _has_dask(count) else 1


def _has_dask(count: int) -> bool:
    try:
        require_extra("cluster")
    except MissingExtraError:
        _log.info(
            "%d workers would be faster here than one; pip install 'noseam[cluster]' brings what they need", count
        )
        return False
    return True
