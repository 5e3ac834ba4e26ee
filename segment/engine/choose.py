"""Choose the engine that runs a network on this machine, and open it."""

from __future__ import annotations

import ctypes
import logging
import sys
from typing import TYPE_CHECKING

from segment.engine.request import EngineKind, Precision
from segment.errors import DeviceError, EngineError
from segment.guard.signals import raise_if_asked

if TYPE_CHECKING:
    from segment.engine.contract import Engine
    from segment.model.checkpoint import Description

_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_log = logging.getLogger(__name__)


def open_engine(
    description: Description,
    digest: str,
    *,
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
        Digest of its weights, see `weights_digest`. What was converted or compared under it is found again.
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
        If the weights are missing, damaged or not those of the config.
    DeviceError
        If this machine lacks the device, or the device cannot compute in the precision.
    EngineError
        If OpenVINO was asked for and cannot run the network.
    """
    on_cpu = device == "cpu" or (device == "auto" and not has_cuda())
    if kind == "openvino" and device not in {"auto", "cpu"}:
        raise DeviceError(f"engine openvino runs on the CPU, device {device!r} was asked for; use --engine torch")
    if kind == "openvino" or (kind == "auto" and on_cpu):
        from segment.engine.openvino_engine import OpenVinoEngine

        try:
            return OpenVinoEngine(description, digest, threads=threads, precision=precision)
        except EngineError as error:
            raise_if_asked()
            if kind == "openvino":
                raise
            _log.warning("OpenVINO cannot run this network, so PyTorch runs it, more slowly: %s", error)
    from segment.engine.torch_engine import TorchEngine

    return TorchEngine(description, digest, device=device, precision=precision, batch_size=batch_size, threads=threads)


def count_gpus() -> int:
    """Return how many CUDA devices this process may use, as the driver says; PyTorch is not imported."""
    found = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(_CUDA_DRIVER)
        usable = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(found)) == 0
    except (OSError, AttributeError):
        return 0
    return found.value if usable else 0


def has_cuda() -> bool:
    """Return whether PyTorch can use a CUDA device. Without a driver PyTorch is not imported, which would be slow."""
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return False
    import torch

    if not torch.cuda.is_available():
        _log.warning("this machine has a CUDA driver, but PyTorch cannot use it, so the network runs on the CPU")
        return False
    return True
