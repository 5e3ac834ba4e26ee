"""Choose the engine that runs a network on this machine, and open it."""

from __future__ import annotations

import ctypes
import logging
from typing import TYPE_CHECKING

from segment.engine.request import EngineOptions
from segment.errors import EngineError
from segment.guard.signals import raise_if_asked
from segment.record.hardware import CUDA_DRIVER

if TYPE_CHECKING:
    import torch

    from segment.engine.compiled import CompiledNetworks, Forward, Most
    from segment.engine.contract import Engine
    from segment.engine.device import Chosen
    from segment.model.checkpoint import Description

_DEFAULTS = EngineOptions()
_log = logging.getLogger(__name__)


def open_engine(description: Description, digest: str, options: EngineOptions = _DEFAULTS, *, threads: int) -> Engine:
    """Load a checkpoint's weights and put them on a device.

    Parameters
    ----------
    description : Description
        The checkpoint.
    digest : str
        Digest of its weights, see `weights_digest`. What was made of the network under it is found again.
    options : EngineOptions
        What runs the network, where, and how. Its threads are left aside.
    threads : int
        Cores that the network may use on the CPU.

    Raises
    ------
    CheckpointError
        If the weights are missing, damaged or not those of the config.
    DeviceError
        If this machine lacks the device, or the device cannot compute in the precision.
    EngineError
        If OpenVINO was asked for and cannot run the network.
    """
    on_cpu = options.device == "cpu" or (options.device == "auto" and not has_cuda())
    if options.engine == "openvino" or (options.engine == "auto" and on_cpu):
        from segment.engine.openvino_engine import OpenVinoEngine

        try:
            return OpenVinoEngine(description, digest, threads=threads, precision=options.precision)
        except EngineError as error:
            raise_if_asked()
            if options.engine == "openvino":
                raise
            _log.warning("OpenVINO cannot run this network, so PyTorch runs it, more slowly: %s", error)
    return _open_torch(description, digest, options, threads)


def _open_torch(description: Description, digest: str, options: EngineOptions, threads: int) -> Engine:
    from segment.engine.compiled import CompiledNetworks, Wanted
    from segment.engine.torch_engine import TorchEngine
    from segment.model.network import Normalised, add_offsets
    from segment.model.segmenter import load_segmenter

    balance = description.balance

    def load() -> Normalised:
        return add_offsets(load_segmenter(description, digest), balance.offsets)

    def compiled(device: torch.device, precision: Chosen, most: Most, eager: Forward) -> CompiledNetworks:
        return CompiledNetworks(
            Wanted(description.folder, digest, str(device), precision, balance), most, eager, options.compile
        )

    return TorchEngine(
        load, len(description.classes), device=options.device,
        precision=options.precision, batch_size=options.batch_size, threads=threads, compiled=compiled,
        temperature=description.temperature,
    )  # fmt: skip


def has_cuda() -> bool:
    """Return whether PyTorch can use a CUDA device. Without a driver PyTorch is not imported, which would be slow."""
    try:
        ctypes.CDLL(CUDA_DRIVER)
    except OSError:
        return False
    import torch

    if not torch.cuda.is_available():
        _log.warning("this machine has a CUDA driver, but PyTorch cannot use it, so the network runs on the CPU")
        return False
    return True
