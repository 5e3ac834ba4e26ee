"""A network compiled for one device and one shape of tiles: made once by a process of its own, kept, and checked."""

from __future__ import annotations

import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from segment.engine.device import Chosen, noise
from segment.engine.request import WhenToCompile
from segment.model.kept import keep, kept_folder
from tiler.balance import OFF, Balance
from tiler.stopwatch import watch

Forward = Callable[[Tensor], Tensor]
"""Takes tiles, uint8 of shape (N, 3, h, w) on a device, and returns their logits there."""
Most = Callable[[tuple[int, int]], int]
Compile = Callable[[torch.device, Chosen, Most, Forward], "CompiledNetworks"]
"""Takes device, precision, how many tiles of a shape fill a batch, and the network as PyTorch runs it."""

_FORM = 1  # raised by one when what is compiled changes, so that what was kept is not used
_PACKAGE = "network.pt2"
LEAST_TILES = 2
"""A compiled network takes batches from this number of tiles on."""
_THREADS = "4"
"""Processes that compile kernels; by itself PyTorch takes up to 32, each of which imports it."""
_MOST_FAILURES = 3
"""So often a compiled network may fail for a shape of tiles."""
_RUNNERS = 2
"""Runs that may be under way; with one, a run would wait until the device has done the one before."""
_WORTH_S = 20
"""Seconds of the device's time on tiles of one shape, after which it is compiled for them."""
_MOST_DIFFERENCE = {"fp32": 1e-3, "tf32": 2e-2, "fp16": 2e-2, "bf16": 0.1}
"""Largest difference from the network as PyTorch runs it: root mean square, by the standard deviation of the logits.

Rounding to fp16 costs 2e-3 of an untrained network's, rounding to bf16 2e-2.
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a network is compiled for, besides the shape of tiles."""

    folder: Path
    """The checkpoint."""
    digest: str
    """Digest of its weights."""
    device: str
    """`cpu`, `cuda` or `cuda:N`."""
    precision: Chosen
    """What it computes in."""
    balance: Balance = OFF
    """What is added to its logits."""

    def kept(self, shape: tuple[int, int], most: int) -> Path:
        """Return the folder that a network is kept in, compiled for batches of at most so many tiles of a shape (h, w).

        Its name says all that the compiled network depends on.
        """
        height, width = shape
        chip = (
            torch.backends.cpu.get_cpu_capability()
            if self.device == "cpu"
            else torch.cuda.get_device_name(torch.device(self.device))
        )
        network = self.digest + self.balance.key
        parts = (network, self.precision, f"{height}x{width}", most, chip, torch.__version__, _FORM)
        return kept_folder("compiled") / re.sub(r"[^\w.+-]", "_", "-".join(map(str, parts)))


class CompiledNetworks:
    """The compiled forms of one network, by the shape of tiles.

    One thread calls `get`, one `spent`. What is kept is loaded when a tile of its shape first comes. What is not
    kept is compiled by a process of its own, once the device has spent 20 s on tiles of that shape. The network as
    PyTorch runs it serves until then. So nobody waits, small runs compile nothing, and a compiler that fails or
    crashes costs no image.

    Parameters
    ----------
    wanted : Wanted
        What to compile.
    most : callable
        Takes a shape (h, w) of tiles, and returns how many of them fill a batch.
    eager : callable
        The network as PyTorch runs it; a compiled one is held against it when it is loaded.
    when : str
        `auto`: as above, on CUDA. `always`: at the first tile of a shape, which waits for it. `never`.
    """

    def __init__(self, wanted: Wanted, most: Most, eager: Forward, when: WhenToCompile) -> None:
        self._wanted, self._most, self._eager, self._when = wanted, most, eager, when
        self._ready: dict[tuple[int, int], Forward | None] = {}
        self._seconds: dict[tuple[int, int], float] = {}
        self._failures: dict[tuple[int, int], int] = {}
        self._making: tuple[tuple[int, int], Future[bool]] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def get(self, shape: tuple[int, int]) -> Forward | None:
        """Return the network compiled for tiles of a shape; None where there is none, or not yet."""
        if self._when == "never" or (self._when == "auto" and self._wanted.device == "cpu"):
            return None
        if shape not in self._ready:
            if (self._kept(shape) / _PACKAGE).exists():
                self._ready[shape] = self._loaded(shape)
            elif self._when == "always":
                with watch("open"):
                    self._ready[shape] = self._loaded(shape) if self._make(shape) else None
            elif self._making is None:
                if self._seconds.get(shape, 0) >= _WORTH_S:
                    self._begin(shape)
            elif self._making[1].done():
                made, future = self._making
                self._ready[made], self._making = self._loaded(made) if future.result() else None, None
        return self._ready.get(shape)

    def _run(self, shape: tuple[int, int], network: Forward, tiles: Tensor) -> Tensor:
        """Return the logits of a batch; where the compiled network fails, PyTorch's, or its error.

        A package hides what went wrong in it, such as that memory did not suffice. PyTorch says it.
        """
        try:
            return network(tiles)
        except RuntimeError as error:
            _log.debug("the compiled network failed: %s", error)
        self._failures[shape] = self._failures.get(shape, 0) + 1
        if self._failures[shape] == _MOST_FAILURES:
            self._ready[shape] = None
            _log.warning("the compiled network failed %d times, so PyTorch runs it, more slowly", _MOST_FAILURES)
        return self._eager(tiles)

    def spent(self, shape: tuple[int, int], seconds: float) -> None:
        """Count the time that the device spent on tiles of a shape."""
        self._seconds[shape] = self._seconds.get(shape, 0) + seconds

    def close(self) -> None:
        """End a compilation that is under way."""
        self._closed = True
        if self._child is not None:
            self._child.kill()

    def _kept(self, shape: tuple[int, int]) -> Path:
        return self._wanted.kept(shape, self._most(shape))

    def _begin(self, shape: tuple[int, int]) -> None:
        future: Future[bool] = Future()
        self._making = shape, future
        Thread(target=lambda: future.set_result(self._make(shape)), name="compile", daemon=True).start()

    def _make(self, shape: tuple[int, int]) -> bool:
        """Compile for a shape and keep the result, if no other process does meanwhile; return whether it is there."""
        kept = self._kept(shape)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{kept}.lock"):
                if not (kept / _PACKAGE).exists():
                    self._compile(shape, kept)
        except OSError as error:
            _log.warning("the compiled network cannot be kept, so PyTorch runs the network, more slowly: %s", error)
        return (kept / _PACKAGE).exists()

    def _compile(self, shape: tuple[int, int], kept: Path) -> None:
        began = time.monotonic()
        _log.info("compiling the network for tiles of %d x %d, once; it is kept in %s", *shape, kept.parent)
        with tempfile.TemporaryDirectory(prefix="noseam-") as folder:
            package = Path(folder, "whole", _PACKAGE)
            package.parent.mkdir()
            said = self._run_compiler(shape, package)
            if package.exists() and not self._closed:
                keep(package.parent, kept)
                _log.info("the network is compiled; it took %.0f s", time.monotonic() - began)
            elif not self._closed:
                _log.warning(
                    "the network cannot be compiled, so PyTorch runs it, more slowly (--compile never saves the "
                    "attempt): %s",
                    said,
                )

    def _run_compiler(self, shape: tuple[int, int], package: Path) -> str:
        """Let a process write the package; return the last line that it said."""
        code = f"import sys; sys.path[:] = {sys.path!r}; from segment.engine.compile import main; main()"
        names = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
        scratch = {name: str(package.parents[1] / folder) for name, folder in names.items()}
        scratch["TORCHINDUCTOR_COMPILE_THREADS"] = _THREADS
        self._child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | scratch,
        )
        with self._child as child:
            _, errors = child.communicate(pickle.dumps((self._wanted, shape, self._most(shape), package)))
        lines = errors.decode(errors="replace").strip().splitlines() or [f"exit status {child.returncode}"]
        _log.debug("the compiler said:\n%s", "\n".join(lines))
        return lines[-1]

    def _loaded(self, shape: tuple[int, int]) -> Forward | None:
        """Return a kept network that agrees with PyTorch's; None, after a warning, where it does not."""
        kept = self._kept(shape)
        try:
            network = _load(kept / _PACKAGE, torch.device(self._wanted.device))
            tiles = noise(*shape, torch.device(self._wanted.device))
            difference = _difference(network(tiles), self._eager(tiles))
        except Exception as error:  # the loader raises classes of its own
            _log.warning("the compiled network cannot be used, so PyTorch runs it, more slowly: %s", error)
        else:
            if difference <= _MOST_DIFFERENCE[self._wanted.precision]:
                _log.info("the compiled network runs tiles of %d x %d", *shape)
                return partial(self._run, shape, network)
            _log.warning("the compiled network differs by %.1e, so PyTorch runs it, more slowly", difference)
        shutil.rmtree(kept, ignore_errors=True)  # a later run makes it anew
        return None


def _load(package: Path, device: torch.device) -> Forward:
    """Return a kept network. PyTorch's own `aoti_load_package` imports its compiler for it, which takes seconds."""
    runner: Any
    try:
        runner = torch._C._aoti.AOTIModelPackageLoader(
            str(package), "model", False, _RUNNERS, -1 if device.index is None else device.index
        )
        run = runner.run
    except (AttributeError, TypeError):  # another release
        from torch._inductor import aoti_load_package

        runner = aoti_load_package(str(package))
        run = lambda tiles: [runner(*tiles)]  # noqa: E731

    def forward(tiles: Tensor) -> Tensor:
        count = len(tiles)
        logits: Tensor = run([tiles.repeat(LEAST_TILES, 1, 1, 1) if count < LEAST_TILES else tiles.contiguous()])[0]
        return logits[:count]

    return forward


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return the root mean square difference, by the standard deviation of what is expected; NaN where either is."""
    return float((found.float() - expected.float()).square().mean().sqrt() / expected.float().std())
