"""Run the network with PyTorch: on CUDA, and on a CPU as the reference."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segment.engine.batcher import Batcher, Begun, full_batch
from segment.engine.compiled import Compile, Forward
from segment.engine.contract import Stitcher, Tiles
from segment.engine.device import (
    choose_device,
    choose_precision,
    current,
    next_after,
    noise,
    placed,
)
from segment.engine.device_faults import device_faults
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.device_watch import device_stage
from segment.engine.request import Precision
from segment.model.network import Normalised
from tiler.grid.parts import Span
from tiler.grid.tiles import MIN_TILE_PX, Grid, Tile
from tiler.stitch.stitcher import Stitcher as HostStitcher
from tiler.stitch.upsample import MaskRows

_CPU_CHUNK = 2
_BATCHES_AHEAD = 2
_ON_CPU, _ON_CUDA = 4, 32
"""Most tiles of a batch, unless a number was asked for."""
_USUAL_PX = 512 * 512
"""On CUDA a batch has no more pixels than a full one of tiles of this area, unless a number of tiles was asked for."""
_log = logging.getLogger(__name__)


class TorchEngine:
    """PyTorch on a CPU or a CUDA device.

    On the CPU every call of the network holds exactly two tiles; a single tile is repeated. PyTorch chooses a kernel
    by the shape of its input, and each kernel sums in an order of its own. With one shape, the logits of a tile are
    the same bits in any batch.

    On CUDA whole batches run, and the logits of a tile may differ in the last bits between batch sizes. Logits stay
    on the device and are blended and labelled there. Two batches are under way at a time. A batch in fp16 whose logits
    are not all finite is computed again in bf16, which has the range of float32.

    Parameters
    ----------
    load : callable
        Returns the network, uint8 tiles in, logits out: float32, on the CPU. It may be called again.
    classes : int
        Number of classes.
    device : str
        `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
    precision : str
        See `choose_precision`. `auto` is bf16 on CUDA where fp16 does not hold the network's numbers.
    batch_size : int or None
        Most tiles per call of the network; None: what suits the device.
    threads : int or None
        Cores to use on the CPU; None: as PyTorch chooses.
    compiled : callable or None
        Returns the compiled forms of the network; None: it has none.
    temperature : float
        What logits are divided by before they say how sure a label is.

    Raises
    ------
    DeviceError
        If the device is not there, is too small for the model, or cannot compute in the precision.
    """

    def __init__(
        self,
        load: Callable[[], Normalised],
        classes: int,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        compiled: Compile | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.classes, self._temperature = classes, temperature
        self._load = load
        self._device = choose_device(device)
        on_cpu = self._device.type == "cpu"
        if on_cpu and threads is not None:
            torch.set_num_threads(threads)
        self._precision = choose_precision(self._device, precision)
        self._next = next_after(self._device, self._precision)
        with self._on_device():
            if not on_cpu:
                self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            self._network = placed(load(), self._device, self._precision)
            if precision == "auto":
                self._leave_range()
        self._wider: nn.Module | None = None
        self._finished_at = 0.0
        self.name = f"torch {self._device.type} {self._precision}"
        self._batch_size = batch_size or (_ON_CPU if on_cpu else _ON_CUDA)
        self._most_px = None if batch_size or on_cpu else _ON_CUDA * _USUAL_PX
        self._compiled = compiled and compiled(self._device, self._precision, self.full_batch, self._network)
        self._batcher = Batcher(self, self._batch_size, self._most_px)

    def submit(self, pixels: Tiles) -> Future[Any]:
        """Hand in one tile; see `Engine`. On CUDA the logits are a tensor there."""
        return self._batcher.submit(pixels)

    def full_batch(self, shape: tuple[int, int]) -> int:
        """Return how many tiles of a shape (h, w) fill a batch."""
        return full_batch(shape, self._batch_size, self._most_px)

    def tiles_ahead(self, shape: tuple[int, int]) -> int:
        """Return the tiles of two full batches."""
        return _BATCHES_AHEAD * self.full_batch(shape)

    def stitcher(
        self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None
    ) -> Stitcher:
        """Return what blends and labels one image, on the device that the logits are on."""
        if self._device.type == "cpu":
            return HostStitcher(
                grid, self.classes, confidence=confidence, disagreement=disagreement, span=span,
                temperature=self._temperature,
            )  # fmt: skip
        with self._on_device():
            stitcher = DeviceStitcher(
                grid, self.classes, self._device, confidence=confidence, disagreement=disagreement, span=span,
                temperature=self._temperature,
            )  # fmt: skip
            return _Watched(stitcher, self._device)

    def close(self) -> None:
        """Finish the batches that are being computed, cancel the tiles that wait, and stop."""
        if self._compiled is not None:
            self._compiled.close()  # first, because a batch may wait for the compiler
        self._batcher.close()

    def __call__(self, tiles: Tiles) -> Any:
        """Return the logits of tiles, (N, C, h / 4, w / 4): an array, or on CUDA a tensor there."""
        return self.begin(list(tiles))()

    def begin(self, tiles: Sequence[Tiles]) -> Begun:
        """Begin to compute the logits of tiles of one shape, each (3, h, w); see `Network`.

        Raises
        ------
        DeviceMemoryError, DeviceLostError
            See `device_faults`; the function that is returned raises them too.
        """
        began = time.monotonic()
        with self._on_device():
            batch = self._upload(tiles)
            with device_stage("network", self._device):
                logits = self._forward(self._network, batch)
            return partial(self._finish, began, batch, logits, self._landmark(logits))

    def _finish(self, began: float, batch: Tensor, logits: Tensor, is_sound: Callable[[], bool]) -> Any:
        """Wait for a batch; compute it again where fp16 could not hold its numbers."""
        with self._on_device():
            if not is_sound() and (wider := self._in_wider_range()) is not None:
                with device_stage("network", self._device):
                    logits = self._forward(wider, batch)
            if self._compiled is not None:
                now = time.monotonic()
                self._compiled.spent(_shape(batch), now - max(began, self._finished_at))
                self._finished_at = now
            return logits if self._device.type != "cpu" else logits.float().numpy()

    def _upload(self, tiles: Sequence[Tiles]) -> Tensor:
        """Copy tiles on a separate stream, so that the copy runs while the batch before is computed.

        PyTorch keeps pinned memory that is no longer used, and gives it out again.
        """
        shape = len(tiles), *tiles[0].shape
        staged = torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        np.stack(tiles, out=staged.numpy())
        if self._device.type == "cpu":
            return staged
        with torch.cuda.stream(self._copies), device_stage("upload", self._device, self._copies):
            batch = staged.to(self._device, non_blocking=True)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._copies)
        batch.record_stream(computing)
        return batch

    @torch.inference_mode()
    def _forward(self, network: Forward, batch: Tensor) -> Tensor:
        if network is self._network and self._compiled is not None:
            network = self._compiled.get(_shape(batch)) or network
        if self._device.type != "cpu":
            return network(batch)
        return torch.cat([_in_pairs(network, chunk) for chunk in torch.split(batch, _CPU_CHUNK)])

    @torch.inference_mode()
    def _landmark(self, logits: Tensor) -> Callable[[], bool]:
        """Return what waits for logits that are queued, and says whether all are finite; only fp16 is asked."""
        asked = self._next is not None
        sound = logits.sum(dtype=torch.float32).isfinite() if asked else torch.ones((), dtype=torch.bool)
        if self._device.type == "cpu":
            return lambda: bool(sound)
        on_host = torch.ones((), dtype=torch.bool, pin_memory=True)
        if asked:
            on_host.copy_(sound, non_blocking=True)
        # blocking: a thread that waits sleeps, because the cores have other work
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))

        def is_sound() -> bool:
            event.synchronize()
            return bool(on_host)

        return is_sound

    @torch.inference_mode()
    def _leave_range(self) -> None:
        """Take the precision of the wider range where the network's numbers leave that of fp16 on tiles of noise."""
        wider = self._next
        if wider is None or bool(self._network(noise(MIN_TILE_PX, MIN_TILE_PX, self._device)).isfinite().all()):
            return
        _log.warning("the network's numbers are too large for %s, so it computes in %s", self._precision, wider)
        self._precision, self._next = wider, None
        self._network = placed(self._load(), self._device, wider)

    def _in_wider_range(self) -> nn.Module | None:
        """Return the network in the precision that holds what fp16 does not, loaded when first asked for."""
        wider = self._next
        if wider is not None and self._wider is None:
            _log.warning(
                "some logits in %s are not finite; batches with such are computed again in %s", self._precision, wider
            )
            self._wider = placed(self._load(), self._device, wider)
        return self._wider

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        with device_faults(self._device), current(self._device):
            yield


@torch.inference_mode()
def _in_pairs(network: Forward, chunk: Tensor) -> Tensor:
    """Return the logits of one or two tiles by a call with exactly two."""
    return network(chunk.repeat(_CPU_CHUNK // len(chunk), 1, 1, 1))[: len(chunk)]


def _shape(batch: Tensor) -> tuple[int, int]:
    height, width = batch.shape[2:]
    return height, width


class _Watched:
    """A stitcher on a device, whose errors name the device. A kernel that was queued long before may raise them."""

    def __init__(self, stitcher: Stitcher, device: torch.device) -> None:
        self._stitcher, self._device = stitcher, device

    def add(self, tile: Tile, logits: Any) -> Iterator[MaskRows]:
        """Blend one tile in; yield the rows that it finished."""
        with device_faults(self._device):
            return self._watched(self._stitcher.add(tile, logits))

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        """Leave one tile out; yield the rows that it finished."""
        with device_faults(self._device):
            return self._watched(self._stitcher.skip(tile))

    def _watched(self, rows: Iterator[MaskRows]) -> Iterator[MaskRows]:
        with device_faults(self._device):
            yield from rows
