"""Compile the inner loops to machine code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel that runs in the thread that calls it, without the GIL.

    The machine code is kept on disk for later processes, if there is a place that can be written to. A cron job may
    have none. The code is compiled anew when the kernel's own file changes, and only then. So the functions and
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
        kernel = njit(nogil=True, cache=True, error_model="numpy")(function)
        kernel._cache._cache_file.__class__ = _Kept
    except (RuntimeError, AttributeError):  # no place to write to; a release of numba that is built otherwise
        return njit(nogil=True, error_model="numpy")(function)
    return kernel


class _Kept(IndexDataCacheFile):  # type: ignore[misc]
    """The machine code of one kernel on disk: a file per types of its arguments, and an index of them.

    numba numbers these files, and it writes the index before the code. So a file may hold other code than the index
    says, without any error. That happens where two processes save code for different types at once. It also happens
    where a process is killed between the two writes, and a file of an older version has the same number. Here the
    name tells what is in the file, and the index is written last.
    """

    def save(self, key: object, data: object) -> None:
        """Save the code for some types of arguments; files of other content have other names."""
        what = repr((self._version, self._source_stamp, key))
        name = f"{self._index_name}.{hashlib.sha256(what.encode()).hexdigest()[:16]}.nbc"
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})
