"""Run a small scene through one engine, in a process of its own; what it computes and how fast."""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment.doctor.fact import Fact, gigabytes
from segment.doctor.place import SCENE, Place, Trial
from segment.engine.choose import open_engine
from segment.engine.contract import Engine
from segment.engine.request import EngineOptions, Precision
from segment.model.checkpoint import DEMO_MODEL, Description, describe_checkpoint, weights_digest
from segment.plan.request import Request
from segment.plan.survey import ImagePlan, plan_survey
from segment.record.logs import OURS
from segment.run.cores import share_cores
from segment.run.labelling import labelling
from tiler.errors import NoseamError, reason_of
from tiler.files.walk import walk_survey

_SPEED_S = 1.5


def work() -> None:
    """Take a place from standard input; leave each result in the folder that the command line names, as it comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    folder = Path(sys.argv[1])
    place: Place = pickle.load(sys.stdin.buffer)
    notes = _Notes()
    for name in OURS:
        logging.getLogger(name).addHandler(notes)
    for number, result in enumerate(_results(place, folder, notes)):
        (folder / "partial").write_bytes(pickle.dumps(result))
        (folder / "partial").rename(folder / f"result-{number}")


class _Notes(logging.Handler):
    """Keeps warnings: they say what works less well than it could."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts.append(record.getMessage())

    def taken(self) -> tuple[str, ...]:
        """Return those that came since the last call."""
        texts, self.texts = tuple(dict.fromkeys(self.texts)), []
        return texts


def _results(place: Place, folder: Path, notes: _Notes) -> Iterator[Fact | Trial]:
    """Yield what only a process knows that has loaded the engine; then a trial for each precision."""
    if place.engine == "torch" and place.device != "cpu":
        yield (gpu := about_gpu(place.device))
        if gpu.state != "ok":
            return
    description = describe_checkpoint(DEMO_MODEL)
    request = Request(tiling=description.tiling, balance_px=description.cost.balance_px, out=folder / "masks")
    (image,) = plan_survey(walk_survey([folder / SCENE], out=request.out), request).images
    done: set[str] = set()
    for precision in place.precisions:
        if precision in done:
            continue
        trial = _tried(place, precision, description, image, request, notes)
        done.add(trial.precision)
        yield trial


def _tried(
    place: Place, precision: Precision, description: Description, image: ImagePlan, request: Request, notes: _Notes
) -> Trial:
    threads, began = share_cores(), time.monotonic()
    options = EngineOptions(device=place.device, engine=place.engine, precision=precision, compile="never")
    try:
        digest = weights_digest(description)
        with closing(open_engine(description, digest, options, threads=threads.cores)) as engine:
            labels = _labels(image, request, engine)
            opened_s = time.monotonic() - began
            speed = _megapixels_s(image, request, engine, threads.images)
            return Trial(place, engine.name.split()[-1], precision == "auto", labels=labels, opened_s=opened_s,
                         megapixels_s=speed, notes=notes.taken())  # fmt: skip
    except NoseamError as error:
        return Trial(place, precision, precision == "auto", error=reason_of(error))


def _labels(image: ImagePlan, request: Request, engine: Engine) -> NDArray[np.uint8]:
    with labelling(image, request, engine) as labelled:
        return np.concatenate([rows.labels for rows in labelled.rows])


def _megapixels_s(image: ImagePlan, request: Request, engine: Engine, at_once: int) -> float:
    """Return the megapixels a second where as many images are in flight as in a run."""
    began = time.monotonic()

    def label() -> int:
        count = 0
        while time.monotonic() - began < _SPEED_S:
            count += _labels(image, request, engine).size
        return count

    with ThreadPoolExecutor(at_once) as pool:
        pixels = sum(each.result() for each in [pool.submit(label) for _ in range(at_once)])
    return pixels / 1e6 / (time.monotonic() - began)


def about_gpu(device: str) -> Fact:
    """Return what PyTorch says of a GPU; where it cannot use it, `segment` takes the CPU."""
    import torch

    if torch.version.cuda is None:
        return Fact("machine", device, f"PyTorch {torch.__version__} is built without CUDA", "look",
                    "pip install torch --index-url https://download.pytorch.org/whl/cu128")  # fmt: skip
    if not torch.cuda.is_available():
        return Fact("machine", device, f"PyTorch {torch.__version__} (CUDA {torch.version.cuda}) cannot use it", "look",
                    "a newer driver, or a PyTorch built for this one: https://pytorch.org/get-started")  # fmt: skip
    found: Any = torch.cuda.get_device_properties(device)
    return Fact("machine", device, f"{found.name}, {gigabytes(found.total_memory)}, compute capability "
                f"{found.major}.{found.minor}; CUDA {torch.version.cuda} in PyTorch")  # fmt: skip
