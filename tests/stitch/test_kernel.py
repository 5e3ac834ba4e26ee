"""Kernels work with and without a place for their machine code."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from tiler.kernel import compiled


def _seven(out: NDArray[np.float32]) -> None:
    out[0] = 7


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache function"):
        njit(cache=True)(_seven)
    out = np.zeros(1, np.float32)
    compiled(_seven)(out)
    assert out[0] == 7


def kernel(path: Path, factor: int) -> Any:
    """Return a kernel as a process of its own sees it: out of a file, with machine code on disk beside it."""
    path.write_text(
        f"def total(a):\n    s = 0.0\n    for i in range(len(a)):\n        s += {factor} * a[i]\n    return s\n"
    )
    os.utime(path, (factor, factor))
    spec = importlib.util.spec_from_file_location("sums", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["sums"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return compiled(module.total)


def files_of(kernel: Any) -> Any:
    return kernel._cache._cache_file


def test_processes_that_compile_at_once_never_take_the_code_of_another_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, every_second = np.arange(10.0), np.arange(20.0)[::2]
    first, second = kernel(tmp_path / "sums.py", 1), kernel(tmp_path / "sums.py", 1)
    save = files_of(first)._save_data

    def save_late(name: str, data: object) -> None:
        second(every_second)  # the other process saves its code between the two writes of this one
        save(name, data)

    monkeypatch.setattr(files_of(second), "_load_index", dict)  # it looked before this one had written anything
    monkeypatch.setattr(files_of(first), "_save_data", save_late)
    first(whole)
    third = kernel(tmp_path / "sums.py", 1)
    assert (third(whole), third(every_second)) == (45, 90)


def test_a_process_that_is_killed_while_it_saves_leaves_no_code_of_an_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*arguments: object) -> None:
        raise KeyboardInterrupt

    numbers = np.arange(10.0)
    assert kernel(tmp_path / "sums.py", 1)(numbers) == 45
    killed = kernel(tmp_path / "sums.py", 2)
    monkeypatch.setattr(files_of(killed), "_save_data", end)
    with pytest.raises(KeyboardInterrupt):
        killed(numbers)
    assert kernel(tmp_path / "sums.py", 2)(numbers) == 90


def test_machine_code_is_found_again(tmp_path: Path) -> None:
    numbers = np.arange(10.0)
    kernel(tmp_path / "sums.py", 1)(numbers)
    again = kernel(tmp_path / "sums.py", 1)
    again(numbers)
    assert again.stats.cache_hits.total() == 1
    assert len(list((tmp_path / "__pycache__").glob("*.nbc"))) == 1
