"""Try engines out in processes of their own, so that one that crashes or hangs costs only itself."""

from __future__ import annotations

import logging
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.doctor.fact import Fact
from segment.doctor.place import SCENE, Place, Trial
from tiler.scenes.scene import make_scene

SHAPE = (1024, 1536)
"""Height and width of the scene, pixels."""
_SEED = 2026, 11
"""A scene that the bundled model never saw."""
BUDGET_S, _ONE_S = 150.0, 90.0
"""Seconds for all engines, and for one of them. An engine takes five seconds, and ten more where it runs first."""
_log = logging.getLogger(__name__)


def try_out(
    places: Sequence[Place], progress: Callable[[int, int], None]
) -> tuple[list[Fact | Trial], NDArray[np.uint8]]:
    """Return what came of all places, in their order, and the true labels of the scene.

    Parameters
    ----------
    places : sequence of Place
        Engines, and where they run.
    progress : callable
        Called with (places tried, places in all) after each of them.
    """
    scene, deadline = make_scene(*SHAPE, seed=_SEED), time.monotonic() + BUDGET_S
    found: list[Fact | Trial] = []
    for number, place in enumerate(places, 1):
        _log.info("trying %s", place)
        left = min(deadline - time.monotonic(), _ONE_S)
        found += _in_child(place, scene.pixels, left) if left > 1 else [_failed(place, "there was no time left for it")]
        progress(number, len(places))
    return found, scene.labels


def _in_child(place: Place, pixels: NDArray[np.uint8], seconds: float) -> Iterator[Fact | Trial]:
    """Yield what a process left of its trials, and why it ended where it did not come to its end."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from segment.doctor.trial import work; work()"
    with tempfile.TemporaryDirectory(prefix="noseam-") as temporary:
        folder = Path(temporary)
        Image.fromarray(pixels).save(folder / SCENE, compress_level=1)
        why = _run([sys.executable, "-c", code, temporary], pickle.dumps(place), seconds)
        results = [pickle.loads(path.read_bytes()) for path in sorted(folder.glob("result-*"))]
        yield from results
        if why:
            tried = {trial.precision for trial in results if isinstance(trial, Trial)}
            yield _failed(place, why, first=not tried)


def _failed(place: Place, why: str, *, first: bool = True) -> Trial:
    return Trial(place, place.precisions[0] if first else "others", is_auto=first, error=why)


def _run(command: Sequence[str], given: bytes, seconds: float) -> str:
    """Run a process to its end; return why it did not come there, empty where it did."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            _, said = child.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"no answer in {seconds:.0f} s"
        finally:
            child.kill()
    return "" if child.returncode == 0 else _why(child.returncode, said.decode(errors="replace"))


def _why(code: int, said: str) -> str:
    """Return why a process ended, by its exit code and the last line that it said."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    if code >= 0:
        return last or f"its process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    hint = {
        "SIGILL": ": the processor lacks an instruction that it was built with",
        "SIGKILL": ": too little memory, most likely",
    }.get(name, f": {last}" if last else "")
    return f"its process was ended by {name}{hint}"
