"""Run the network with OpenVINO on the CPU."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segment.engine.contract import Tiles
from segment.engine.convert import add_offsets, converted, for_shape, openvino_core
from segment.engine.few import Few
from segment.engine.request import Precision
from segment.errors import DeviceError, EngineError
from segment.guard.limits import memory_bytes
from segment.model.checkpoint import Description
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid
from tiler.stitch.stitcher import Stitcher
from tiler.stopwatch import add, watch

_LEAST_SHAPES = 3
_OF_MEMORY = 0.5
"""Share of this machine's memory that tiles may take while they are computed."""
_OF_BF16 = 0.5
_HINTS = {"fp32": "f32", "bf16": "bf16"}
_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """OpenVINO on the CPU, one tile per core at a time, and fewer where memory is short.

    Every tile runs alone on one core, which OpenVINO calls a stream. This is the fastest way to use many cores
    (measured in benchmarks/README.md), because no core waits for another. It also makes the logits of a tile the same
    bits whatever else runs.

    The network is compiled for each shape of tiles when the first such tile comes, which takes 0.2 s (MiT-B0) to 2.5 s
    (MiT-B5). As many shapes stay as there are images in flight. What tiles need while they are computed, up to a
    gigabyte a core, is given back when tiles of another shape follow.

    Parameters
    ----------
    description : Description
        The checkpoint.
    digest : str
        Digest of its weights; the converted network is kept under it.
    threads : int
        Cores to use.
    precision : str
        `auto` (bf16 where the processor computes in it, else fp32), `fp32` or `bf16`.

    Raises
    ------
    CheckpointError
        If the weights are missing, damaged or not those of the config.
    DeviceError
        If the processor cannot compute in the precision.
    EngineError
        If OpenVINO cannot convert the network, or gives other logits than PyTorch.
    """

    def __init__(self, description: Description, digest: str, *, threads: int, precision: Precision = "auto") -> None:
        core = openvino_core()
        chosen = _choose_precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), precision)
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[chosen],
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, stitching and writing
        }
        self._network = add_offsets(converted(description, digest), description.balance.offsets)
        self._threads = threads
        self._bytes_px = description.cost.bytes_px * (_OF_BF16 if chosen == "bf16" else 1)
        self.classes, self._temperature = len(description.classes), description.temperature
        self.name = f"openvino cpu {chosen}"
        self._compiled = Few(self._compile, max(threads + 1, _LEAST_SHAPES))
        self._latest: _Compiled | None = None
        self._counting = Lock()
        self._pool = ThreadPoolExecutor(threads, "network")

    def submit(self, pixels: Tiles) -> Future[NDArray[np.float32]]:
        """Hand in one tile; see `Engine`."""
        return self._pool.submit(self._infer, pixels, time.perf_counter())

    def tiles_ahead(self, shape: tuple[int, int]) -> int:
        """Return two tiles for each core."""
        return 2 * self._threads

    def stitcher(
        self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None
    ) -> Stitcher:
        """Return what blends and labels one image."""
        return Stitcher(
            grid, self.classes, confidence=confidence, disagreement=disagreement, span=span,
            temperature=self._temperature,
        )  # fmt: skip

    def close(self) -> None:
        """Finish the tiles that are being computed, cancel those that wait, and stop."""
        self._pool.shutdown(cancel_futures=True)

    def _infer(self, pixels: Tiles, handed_in: float) -> NDArray[np.float32]:
        add("wait", time.perf_counter() - handed_in)
        _, height, width = pixels.shape
        compiled = self._compiled[height, width]
        self._begin(compiled)
        try:
            return compiled.infer(pixels)
        finally:
            self._end(compiled)

    def _begin(self, compiled: _Compiled) -> None:
        with self._counting:
            compiled.tiles += 1
            if self._latest not in (None, compiled):
                self._latest.give_back()
            self._latest = compiled

    def _end(self, compiled: _Compiled) -> None:
        with self._counting:
            compiled.tiles -= 1
            if self._latest is not compiled:
                compiled.give_back()

    def _compile(self, shape: tuple[int, int]) -> _Compiled:
        at_once = self._at_once(shape)
        settings = {**self._settings, "NUM_STREAMS": str(at_once)}
        try:
            with watch("open"):
                network = openvino_core().compile_model(for_shape(self._network, *shape), "CPU", settings)
        except Exception as error:  # OpenVINO raises RuntimeError and classes of its own
            height, width = shape
            raise EngineError(
                f"OpenVINO cannot run the network on tiles of {height} x {width} px; --engine torch may: {error}"
            ) from error
        return _Compiled(network, at_once, self._threads // at_once)

    def _at_once(self, shape: tuple[int, int]) -> int:
        """Return how many tiles of a shape are computed at once: one for each core, and fewer where memory is short."""
        tile_bytes = shape[0] * shape[1] * self._bytes_px
        fitting = max(int(_OF_MEMORY * memory_bytes() / tile_bytes), 1)
        if fitting < self._threads:
            _log.warning("tiles of %d x %d px take %.1f GB each, so %d of %d cores run the network; --quality fast or "
                         "--tile make tiles smaller", *shape, tile_bytes / 1e9, fitting, self._threads)  # fmt: skip
        return min(fitting, self._threads)


class _Compiled:
    """The network for tiles of one shape."""

    def __init__(self, network: Any, at_once: int, threads: int) -> None:
        self.tiles = 0
        """How many tiles are being computed."""
        self._network, self._threads = network, threads
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(at_once):
            self._idle.put(network.create_infer_request())

    def infer(self, pixels: Tiles) -> NDArray[np.float32]:
        tile = np.ascontiguousarray(pixels)[np.newaxis]
        request = self._idle.get()
        try:
            with watch("network", threads=self._threads):
                logits: NDArray[np.float32] = request.infer({0: tile}, share_inputs=True)[0][0]
        finally:
            self._idle.put(request)
        return logits

    def give_back(self) -> None:
        """Give back the memory for tiles that are being computed, if there are none. The next ones take it anew."""
        if not self.tiles:
            self._network.release_memory()


def _choose_precision(capabilities: Any, asked: Precision) -> Literal["fp32", "bf16"]:
    native = "BF16" in capabilities
    if asked == "fp16" or asked == "tf32":
        raise DeviceError(f"precision {asked} needs a CUDA device; on the CPU use fp32 or bf16")
    if asked == "bf16" and not native:
        raise DeviceError("precision bf16: this processor cannot compute in it; use fp32")
    if asked == "auto":
        return "bf16" if native else "fp32"
    return asked
