"""Kernels work with and without a place for their machine code."""

from __future__ import annotations

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
