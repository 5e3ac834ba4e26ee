"""Run the network on a batch of tiles."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segment.checkpoint import Checkpoint, Normalisation
from segment.errors import DeviceError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU_CHUNK = 2


class Engine(Protocol):
    """What the pipeline needs of a network."""

    classes: int
    """Number of classes C."""
    name: str
    """Device and precision, for the log and the fingerprint."""
    batch_size: int
    """Tiles per call that suit the device."""

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits of shape (N, C, h / 4, w / 4) for tiles of shape (N, 3, h, w)."""


class TorchEngine:
    """PyTorch on a CPU or a CUDA device.

    On the CPU every call to the network holds exactly two tiles (the last may be filled up), for a
    kernel chosen by the shape of its input sums in an order of its own: with one shape the logits
    of a tile are the same bits whatever batch it came in. On CUDA whole batches run, and the
    logits of a tile may differ in the last bits between batch sizes.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    device : str
        `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
    precision : str
        `auto` (fp32 on the CPU; bf16, or fp16 where the device lacks it, on CUDA), `fp32`, `bf16` or `fp16`.

    Raises
    ------
    DeviceError
        If the device is not there, or cannot compute in the precision.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto", precision: Precision = "auto") -> None:
        self._device = choose_device(device)
        chosen = choose_precision(self._device, precision)
        self._dtype = _DTYPES[chosen]
        self._network = _Normalised(checkpoint.network, checkpoint.description.normalisation).to(self._device)
        if self._device.type == "cuda":
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classes = len(checkpoint.description.classes)
        self.name = f"torch {self._device} {chosen}"
        self.batch_size = 4 if self._device.type == "cpu" else 16

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits of shape (N, C, h / 4, w / 4) for tiles of shape (N, 3, h, w)."""
        if self._device.type != "cpu":
            return self._forward(torch.from_numpy(tiles).pin_memory())
        logits = [self._chunk(tiles[start : start + _CPU_CHUNK]) for start in range(0, len(tiles), _CPU_CHUNK)]
        return np.concatenate(logits)

    def _chunk(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        full = np.resize(tiles, (_CPU_CHUNK, *tiles.shape[1:]))  # repeats the tiles to fill up
        return self._forward(torch.from_numpy(full))[: len(tiles)]

    @torch.inference_mode()
    def _forward(self, tiles: Tensor) -> NDArray[np.float32]:
        batch = tiles.to(self._device, non_blocking=True)
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype != torch.float32):
            logits: Tensor = self._network(batch)
        return logits.float().cpu().numpy()


class _Normalised(nn.Module):
    """The network with its normalisation in front: uint8 tiles in, logits out."""

    gain: Tensor
    bias: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        scale = torch.tensor(normalisation.std).reciprocal()
        self.register_buffer("gain", (scale * normalisation.rescale).view(3, 1, 1), persistent=False)
        self.register_buffer("bias", (-torch.tensor(normalisation.mean) * scale).view(3, 1, 1), persistent=False)

    def forward(self, tiles: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=tiles.float() * self.gain + self.bias).logits
        return logits


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
        raise DeviceError(f"device {asked!r}: this machine has {torch.cuda.device_count()} usable CUDA devices")
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
