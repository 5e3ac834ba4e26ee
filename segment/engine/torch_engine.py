"""Run the network with PyTorch: on CUDA, and on a CPU as the reference."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.batcher import Batcher
from segment.engine.contract import Stitcher, Tiles
from segment.engine.device_faults import device_faults
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.request import Precision
from segment.errors import DeviceError
from segment.model.checkpoint import Checkpoint
from segment.model.fusion import Normalised, fuse_head
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid, Tile
from tiler.stitch.stitcher import Stitcher as HostStitcher
from tiler.stitch.upsample import MaskRows

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU_CHUNK = 2
_BATCHES_AHEAD = 2


class TorchEngine:
    """PyTorch on a CPU or a CUDA device.

    On the CPU every call of the network holds exactly two tiles; a single tile is repeated. PyTorch chooses a kernel
    by the shape of its input, and each kernel sums in an order of its own. With one shape, the logits of a tile are
    the same bits in any batch.

    On CUDA whole batches run, and the logits of a tile may differ in the last bits between batch sizes. Logits stay
    on the device and are blended and labelled there. Nothing waits for the device until labels are copied back.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    device : str
        `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
    precision : str
        `auto` (fp32 on the CPU; bf16, or fp16 where the device lacks it, on CUDA), `fp32`, `bf16` or `fp16`.
    batch_size : int or None
        Most tiles per call of the network; None: what suits the device.
    threads : int or None
        Cores to use on the CPU; None: as PyTorch chooses.

    Raises
    ------
    DeviceError
        If the device is not there, is too small for the model, or cannot compute in the precision.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._device = choose_device(device)
        chosen = choose_precision(self._device, precision)
        self._dtype = _DTYPES[chosen]
        network = Normalised(fuse_head(checkpoint.network), checkpoint.description.normalisation)
        with device_faults(self._device):
            self._network = network.to(self._device)
            if self._device.type == "cuda":
                self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if self._device.type == "cpu" and threads is not None:
            torch.set_num_threads(threads)
        self.classes = len(checkpoint.description.classes)
        self.name = f"torch {self._device.type} {chosen}"
        size = batch_size or (4 if self._device.type == "cpu" else 16)
        self.tiles_ahead = _BATCHES_AHEAD * size
        self._batcher = Batcher(self, size)

    def submit(self, pixels: Tiles) -> Future[Any]:
        """Hand in one tile; see `Engine`. On CUDA the logits are a tensor that may still be on its way."""
        return self._batcher.submit(pixels)

    def stitcher(self, grid: Grid, *, confidence: bool, span: Span | None = None) -> Stitcher:
        """Return what blends and labels one image, on the device that the logits are on."""
        if self._device.type == "cpu":
            return HostStitcher(grid, self.classes, confidence=confidence, span=span)
        with device_faults(self._device):
            stitcher = DeviceStitcher(grid, self.classes, self._device, confidence=confidence, span=span)
            return _Watched(stitcher, self._device)

    def close(self) -> None:
        """Finish the batch that is being computed, cancel the tiles that wait, and stop."""
        self._batcher.close()

    def __call__(self, tiles: Tiles) -> Any:
        """Return logits (N, C, h / 4, w / 4) for tiles (N, 3, h, w): an array, or on CUDA a tensor there.

        Raises
        ------
        DeviceMemoryError, DeviceLostError
            See `device_faults`.
        """
        with device_faults(self._device):
            if self._device.type != "cpu":
                return self._forward(self._upload(tiles))
            logits = [self._chunk(tiles[start : start + _CPU_CHUNK]) for start in range(0, len(tiles), _CPU_CHUNK)]
            return np.concatenate(logits)

    def _chunk(self, tiles: Tiles) -> NDArray[np.float32]:
        full = np.resize(tiles, (_CPU_CHUNK, *tiles.shape[1:]))  # repeats the tiles to fill up
        return self._forward(torch.from_numpy(full)).float().numpy()[: len(tiles)]

    def _upload(self, tiles: Tiles) -> Tensor:
        """Copy tiles on a separate stream, so that the copy runs while the batch before is computed."""
        with torch.cuda.stream(self._copies):
            batch = torch.from_numpy(tiles).pin_memory().to(self._device, non_blocking=True)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._copies)
        batch.record_stream(current)
        return batch

    @torch.inference_mode()
    def _forward(self, batch: Tensor) -> Tensor:
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype != torch.float32):
            logits: Tensor = self._network(batch)
        return logits


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


def choose_device(asked: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` asks for.

    Raises
    ------
    DeviceError
        If this machine does not have it.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise DeviceError(f"device {asked!r}: expected auto, cpu, cuda or cuda:N") from error
    if device.type not in {"cpu", "cuda"}:
        raise DeviceError(f"device {asked!r}: expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise DeviceError(
            f"device {asked!r}: this machine has {found} usable CUDA devices; use --device auto, or mend the driver"
        )
    return device


def choose_precision(device: torch.device, asked: Precision) -> Literal["fp32", "bf16", "fp16"]:
    """Return the precision to use on a device; `auto`: fp32 on the CPU, bf16 or else fp16 on CUDA.

    Raises
    ------
    DeviceError
        If the device cannot compute in the precision.
    """
    if asked != "auto":
        if asked == "fp16" and device.type == "cpu":
            raise DeviceError("precision fp16 needs a CUDA device; on the CPU use fp32 or bf16")
        if asked == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise DeviceError(f"precision bf16: {device} cannot compute in it; use fp16 or fp32")
        return asked
    if device.type == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
