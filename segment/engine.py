"""What the pipeline needs of a network, and which engine runs it on this machine."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from segment.errors import DeviceError, EngineError
from segment.signals import raise_if_asked
from tiler.grid import Grid, Tile
from tiler.upsample import MaskRows

if TYPE_CHECKING:
    from segment.checkpoint import Description

EngineKind = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tiles = NDArray[np.uint8]
_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_log = logging.getLogger(__name__)


class Stitcher(Protocol):
    """Turn the logits of one image's tiles into rows of its masks; tiles come in row-major order."""

    def add(self, tile: Tile, logits: Any) -> Iterator[MaskRows]:
        """Blend one tile in; yield the rows that it finished."""

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        """Leave one tile out; yield the rows that it finished."""


class Engine(Protocol):
    """A network on a device. Logits stay where they are made: only the engine's own stitcher takes them."""

    classes: int
    """Number of classes C."""
    name: str
    """Engine, device and precision, for the log and the fingerprint."""
    tiles_ahead: int
    """How many tiles of one image should wait at once, so that the device never does."""

    def submit(self, pixels: Tiles) -> Future[Any]:
        """Hand in one tile, uint8 of shape (3, h, w); the future gives its logits, shape (C, h / 4, w / 4).

        Whoever submits bounds how many tiles wait. After `close` the future is cancelled or never made.
        """

    def stitcher(self, grid: Grid, *, confidence: bool) -> Stitcher:
        """Return what blends and labels one image."""

    def close(self) -> None:
        """Stop after what is being computed; tiles that still wait are cancelled."""


def open_engine(
    description: Description,
    digest: str,
    *,
    tile_px: int,
    threads: int,
    kind: EngineKind = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
) -> Engine:
    """Load a checkpoint's weights and put them on a device.

    Parameters
    ----------
    description : Description
        The checkpoint.
    digest : str
        Of its weights, see `weights_digest`; what was converted for it once is found again.
    tile_px : int
        Side of the tiles, model pixels.
    threads : int
        Cores that the network may use on the CPU.
    kind : str
        `auto` (OpenVINO on the CPU, or PyTorch where it does not work; PyTorch on CUDA), `openvino` or `torch`.
    device : str
        `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
    precision : str
        `auto` (bf16 where the processor or device computes in it natively, else fp32 on the CPU and fp16
        on CUDA; PyTorch on the CPU: fp32), `fp32`, `bf16` or `fp16`.
    batch_size : int or None
        Most tiles per call of PyTorch; None: what suits the device. OpenVINO takes one per core.

    Raises
    ------
    CheckpointError
        If the weights will not do.
    DeviceError
        If the device is not there, or cannot compute in the precision.
    EngineError
        If OpenVINO was asked for and cannot run the network.
    """
    on_cpu = device == "cpu" or (device == "auto" and not _has_cuda())
    if kind == "openvino" and device not in {"auto", "cpu"}:
        raise DeviceError(f"engine openvino runs on the CPU, device {device!r} was asked for; use --engine torch")
    if kind == "openvino" or (kind == "auto" and on_cpu):
        from segment.openvino_engine import OpenVinoEngine

        try:
            return OpenVinoEngine(description, digest, tile_px=tile_px, threads=threads, precision=precision)
        except EngineError as error:
            raise_if_asked()
            if kind == "openvino":
                raise
            _log.warning("OpenVINO cannot run this network, PyTorch does, more slowly: %s", error)
    from segment.checkpoint import load_checkpoint
    from segment.torch_engine import TorchEngine

    return TorchEngine(
        load_checkpoint(description), device=device, precision=precision, batch_size=batch_size, threads=threads
    )


def _has_cuda() -> bool:
    """Return whether PyTorch can use a CUDA device; it is slow to import, so without a driver it is not asked."""
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return False
    import torch

    if not torch.cuda.is_available():
        _log.warning("there is a CUDA driver here, but PyTorch cannot use it, so the network runs on the CPU")
        return False
    return True
