"""Tell apart what goes wrong on a device: too little memory, which a smaller batch may cure, and a lost device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segment.errors import DeviceLostError, DeviceMemoryError

_SHORT = ("out of memory", "ALLOC_FAILED", "unable to find an engine")
"""Words of CUDA and its libraries for too little memory. PyTorch's allocator has a class of its own for it.
A convolution that finds no room for any of its plans has no engine."""
_LOST = ("CUDA error", "cuDNN error", "Triton Error [CUDA]")
"""How messages of a lost device begin."""


@contextmanager
def device_faults(device: torch.device) -> Iterator[None]:
    """Turn the errors of a device into our own, which name it and say what helps.

    Raises
    ------
    DeviceMemoryError
        If the memory of the device does not suffice.
    DeviceLostError
        If CUDA failed in another way. From then on every call of this process to the device fails.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _SHORT):
            raise DeviceMemoryError(
                f"{device}: {_first(text, '. GPU')}; smaller tiles (--input) need less memory, or use --device cpu"
            ) from error
        if isinstance(error, _accelerator_error()) or text.startswith(_LOST):
            raise DeviceLostError(
                f"{device} is lost and the run ends here: {_first(text)}; see to the device (nvidia-smi shows its "
                "state), then run the same command again"
            ) from error
        raise


def _accelerator_error() -> tuple[type[RuntimeError], ...]:
    """Return the class that PyTorch 2.8 and later raise when a call of CUDA fails; older ones raise RuntimeError."""
    kind = getattr(torch, "AcceleratorError", None)
    return () if kind is None else (kind,)


def _first(text: str, end: str = "\n") -> str:
    """Return the beginning of PyTorch's text; what follows is advice on PyTorch's own settings."""
    return text.split("\n")[0].split(end)[0]
