"""What a run has to compute with: the processor and its cores, and GPUs, by their names."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiler.words import counted

CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""Library of NVIDIA's driver."""
_CPU_INFO = Path("/proc/cpuinfo")
_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a run has to compute with, on the machine where it was started."""

    processor: str = ""
    """Name of the processor, and how many of its cores the run takes; empty where that is not known."""
    gpus: tuple[str, ...] = ()
    """Names of the GPUs that it may use."""

    def in_words(self, *, on_gpu: bool) -> str:
        """Return the processor in words; after the GPUs where the network ran there. Empty where nothing is known."""
        gpus = Counter(self.gpus if on_gpu else ()).items()
        named = [f"{count} x {name}" if count > 1 else name for name, count in gpus]
        return "; ".join(filter(None, [*named, self.processor]))


def hardware_of(cores: int, *, gpus: bool) -> Hardware:
    """Return what a run has that takes so many cores, and GPUs if it may."""
    return Hardware(f"{processor_name(said_by_linux())}, {counted(cores, 'core')}", gpu_names() if gpus else ())


def said_by_linux() -> Mapping[str, str]:
    """Return what Linux says of the first core; nothing elsewhere."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = [line.partition(":") for line in lines]
    return {name.strip(): text.strip() for name, _, text in pairs}


def processor_name(said: Mapping[str, str]) -> str:
    """Return the name of the processor by what Linux says, or else by what Python knows."""
    return said.get("model name") or platform.processor() or "a processor of unknown name"


def count_gpus() -> int:
    """Return how many CUDA devices this process may use, as the driver says; PyTorch is not imported."""
    return _driver()[1]


def gpu_names() -> tuple[str, ...]:
    """Return the names of the CUDA devices that this process may use, as the driver says; PyTorch is not imported."""
    driver, count = _driver()
    device, name = ctypes.c_int(0), ctypes.create_string_buffer(_NAME_BYTES)
    found = []
    for number in range(count):
        wrong = driver.cuDeviceGet(ctypes.byref(device), number)
        if not (wrong or driver.cuDeviceGetName(name, _NAME_BYTES, device)):
            found.append(name.value.decode("utf-8", "replace"))
    return tuple(found)


def _driver() -> tuple[Any, int]:
    """Return NVIDIA's driver, ready, and how many devices it gives to this process; 0 where it cannot be used."""
    found = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(CUDA_DRIVER)
        usable = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(found)) == 0
    except (OSError, AttributeError):
        return None, 0
    return driver, found.value if usable else 0
