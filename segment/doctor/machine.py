"""What the machine is: system, processor, cores, memory, and what limits a process."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import numpy as np
import psutil

from segment.doctor.fact import Fact, gigabytes
from segment.guard.limits import memory_bytes
from segment.record.hardware import count_gpus, processor_name, said_by_linux
from segment.run.cores import share_cores
from tiler.words import counted

PART = "machine"
SETS = {
    "AVX2": {"avx2", "x86_v3"},
    "AVX-512": {"avx512f", "x86_v4"},
    "VNNI": {"avx512_vnni", "avx512vnni", "avx_vnni"},
    "bf16": {"avx512_bf16", "avx512bf16", "amx_bf16", "bf16"},
    "AMX": {"amx_tile"},
    "NEON": {"neon", "asimd"},
    "SVE": {"sve"},
}
"""Sets of instructions that matter to a network, and what Linux and NumPy call them."""
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
_NVIDIA = Path("/dev/nvidiactl")
_LITTLE_MEMORY, _FEW_FILES = 2e9, 256


def facts() -> Iterator[Fact]:
    """Yield what the machine is."""
    yield Fact(PART, "system", f"{_system()}, {platform.machine()}")
    said = said_by_linux()
    yield Fact(PART, "processor", processor_name(said))
    yield instructions(_flags(said) | _said_by_numpy())
    yield cores(share_cores().cores, psutil.cpu_count(logical=False), psutil.cpu_count() or 1)
    yield memory(float(psutil.virtual_memory().total), memory_bytes(), float(psutil.virtual_memory().available))
    if sys.platform != "win32":
        yield _open_files()
    yield from _tuned()
    yield _cuda()


def _system() -> str:
    if sys.platform != "linux":
        return platform.platform(terse=True)
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = "of unknown name"
    return f"Linux {platform.release()}, {name}"


def _flags(said: Mapping[str, str]) -> set[str]:
    return set(f"{said.get('flags', '')} {said.get('Features', '')}".split())


def _said_by_numpy() -> set[str]:
    """Return the sets of instructions that NumPy found, on any system."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return {name.lower() for name in [*found["baseline"], *found["found"]]}


def instructions(flags: Set[str]) -> Fact:
    """Return which sets of instructions a processor has, by all names that it gives them."""
    found = [name for name, names in SETS.items() if names & flags]
    text = ", ".join(found) or "none of those that make a network fast"
    if "bf16" not in found:
        text += "; no bf16, so the CPU computes in fp32"
    slow = not {"AVX2", "NEON"} & set(found)
    help = "the network runs slowly, if at all; noseam was not tried on such a processor"
    return Fact(PART, "sets", text, "look" if slow else "ok", help * slow)


def cores(usable: int, physical: int | None, logical: int) -> Fact:
    """Return how many cores a run takes, and how many there are."""
    text = f"{usable} for noseam; {physical or 'unknown'} physical, {logical} logical"
    if usable < logical:
        return Fact(PART, "cores", f"{text}; this process may use no more, by its affinity or its container's limit")
    return Fact(PART, "cores", text)


def memory(total: float, usable: float, free: float) -> Fact:
    """Return how much memory there is, and whether that is enough for a photo."""
    limit = f"; its container allows {gigabytes(usable)}" if usable < total else ""
    text = f"{gigabytes(total)}, {gigabytes(free)} free{limit}"
    if min(usable, free) < _LITTLE_MEMORY:
        return Fact(PART, "memory", text, "look", "large photos and large models need more; end other programs")
    return Fact(PART, "memory", text)


def _open_files() -> Fact:
    import resource  # only here: Windows has none

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "no limit" if most == resource.RLIM_INFINITY else f"at most {most:,}"
    few = most != resource.RLIM_INFINITY and most < _FEW_FILES
    return Fact(PART, "open files", text, "look" if few else "ok", "ulimit -n 4096" * few)


def _tuned() -> Iterator[Fact]:
    """Yield which variables change how libraries share cores and devices, if there are any."""
    if found := [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]:
        yield Fact(PART, "variables", ", ".join(found))


def _cuda() -> Fact:
    if found := count_gpus():
        return Fact(PART, "CUDA", counted(found, "device"))
    if not _NVIDIA.exists():
        return Fact(PART, "CUDA", "no device; the network runs on the CPU", "none")
    return Fact(
        PART, "CUDA", "the driver gives this process no device", "look", "see nvidia-smi and CUDA_VISIBLE_DEVICES"
    )
