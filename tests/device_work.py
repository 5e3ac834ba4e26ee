"""What blends and labels on a device, as far as this machine can run it.

Kernels run on CUDA, or else in Triton's interpreter. That takes long for each operation of each program, whatever the
block. So blocks are larger there.
"""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import Any

import pytest
import torch

from segment.engine.device_arithmetic import Arithmetic
from segment.engine.device_tensors import Tensors

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("name", ["tensors", "kernels"])
"""Runs a test with each of them, by the argument `name`."""


def work_of(name: str) -> tuple[Arithmetic, torch.device]:
    """Return an arithmetic and a device that it runs on; skip the test if there is none."""
    return (Tensors(), CPU) if name == "tensors" else kernels()


@cache
def kernels() -> tuple[Arithmetic, torch.device]:
    """Return the kernels, and a device for them; skip the test if there is none."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from segment.engine import device_kernels

    if os.environ.get("TRITON_INTERPRET") != "1":
        if not torch.cuda.is_available():
            pytest.skip("neither a CUDA device nor TRITON_INTERPRET=1")
        return device_kernels.Kernels(), torch.device("cuda")
    device_kernels._BLOCK_ROWS, device_kernels._BLOCK_COLS = 32, 512
    return OneAtATime(device_kernels.Kernels()), CPU


class OneAtATime:
    """Kernels that one thread runs at a time, because the interpreter can do no more."""

    def __init__(self, work: Arithmetic) -> None:
        self._work, self._lock = work, Lock()

    @property
    def name(self) -> str:
        return self._work.name

    def blend(self, *arguments: Any, **more: Any) -> None:
        with self._lock:
            self._work.blend(*arguments, **more)

    def label(self, *arguments: Any, **more: Any) -> None:
        with self._lock:
            self._work.label(*arguments, **more)
