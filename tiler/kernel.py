"""Compile the inner loops to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel that runs in the thread that calls it, without the GIL.

    The machine code is kept on disk where there is a place for it (a cron job may have none). What a kernel
    calls must stand in its own file: a change elsewhere would not be noticed in the kept code.

    Parameters
    ----------
    function : callable
        Loops over arrays; a division by zero gives what IEEE 754 says.

    Returns
    -------
    callable
        The same function, compiled when it is first called.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, error_model="numpy")(function)
