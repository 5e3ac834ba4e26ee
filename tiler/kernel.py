"""Compile the inner loops to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel that runs in the thread that calls it, without the GIL.

    The machine code is kept on disk for later processes, if there is a place that can be written to (a cron job
    may have none). It is compiled anew when the kernel's own file changes, and only then. So the functions and
    numbers that a kernel uses must stand in its file.

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
