"""Which device runs the network, and in which arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import nn

from segment.engine.request import Precision
from segment.errors import DeviceError
from segment.model.network import Normalised, in_precision

Chosen = Literal["fp32", "tf32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The weights and activations of a network, by its precision."""


def choose_device(asked: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` asks for.

    Raises
    ------
    DeviceError
        If this machine does not have it.
    """
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
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


def choose_precision(device: torch.device, asked: Precision) -> Chosen:
    """Return the precision to use on a device; `auto`: fp32 on the CPU, fp16 on CUDA.

    The labels of fp16 are eight times as close to those of fp32 as bf16's are, at the same rate
    (`benchmarks/README.md`).

    Raises
    ------
    DeviceError
        If the device cannot compute in the precision.
    """
    if asked == "auto":
        return "fp32" if device.type == "cpu" else "fp16"
    if asked in {"fp16", "tf32"} and device.type == "cpu":
        raise DeviceError(f"precision {asked} needs a CUDA device; on the CPU use fp32 or bf16")
    if asked == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise DeviceError(f"precision bf16: {device} cannot compute in it; use fp16 or fp32")
    return asked


def next_after(device: torch.device, precision: Chosen) -> Chosen | None:
    """Return the precision that holds numbers beyond the range of another; None where that has the range of float32."""
    if precision != "fp16":
        return None
    native = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def placed(network: Normalised, device: torch.device, precision: Chosen) -> nn.Module:
    """Return a network on a device, its weights in a precision and in the order that suits convolutions there.

    With fp32, matrix products and convolutions of the whole process are exact from now on, with tf32 their factors are
    rounded. PyTorch rounds those of convolutions unless it is told otherwise.
    """
    round_factors(precision)
    if device.type == "cuda":  # cuDNN would plan its attention anew for each size of a batch
        torch.backends.cuda.enable_cudnn_sdp(False)
    there: Any = in_precision(network, DTYPES[precision]).to(device)
    moved: nn.Module = there.to(memory_format=torch.channels_last)
    return moved


def round_factors(precision: str) -> None:
    """Let CUDA round the factors of products of float32 from now on, where the precision is tf32, and else not."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def current(device: torch.device) -> AbstractContextManager[object]:
    """Return a block in which a device is the thread's current one; kernels and libraries of CUDA go by that."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def noise(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Return two tiles of noise, uint8 of shape (2, 3, height, width), the same ones on every device."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator).to(device)
