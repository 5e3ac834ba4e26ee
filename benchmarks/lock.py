"""Measure for how long the threads of this process hold the interpreter lock, without ever taking it; Linux, CPython.

The lock is a word in CPython's runtime: the thread that holds it, or 0. Its place is found by looking where the own
thread stands while it holds the lock, and where 0 stands while it does not. A timer that counts the processor time of
all threads interrupts whichever of them runs. Compiled code then asks whether that thread holds the lock. So a thread
that holds the lock and waits for a core does not count, and other programs hardly matter.
"""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

_TICK_S = 0.001
"""The kernel looks at such timers at its own ticks, mostly every 4 ms."""
_RUNTIME_WORDS = 200
_INTERVAL_US = 5000
_HERE = ctypes.PyDLL(None)
_HERE.PyThreadState_Get.restype = ctypes.c_void_p
_THREAD = ctypes.CDLL(None)["PyGILState_GetThisThreadState"]
_THREAD.argtypes, _THREAD.restype = (), ctypes.c_size_t


@dataclass(slots=True)
class Held:
    """What was seen in a block of code."""

    seconds: float = 0.0
    """Wall time."""
    core_s: float = 0.0
    """Processor time of all threads."""
    share: float = 0.0
    """Part of the processor time that a thread spent while it held the lock."""
    samples: int = 0
    """How often the timer struck."""

    @property
    def held_s(self) -> float:
        """Processor time that a thread spent while it held the lock."""
        return self.share * self.core_s


@contextmanager
def watching() -> Iterator[Held]:
    """Yield what is seen of the interpreter lock during the block, complete once it has ended."""
    found, handler, counts = Held(), *_handler(_place_of_the_lock())
    ctypes.CDLL(None).signal(signal.SIGPROF, ctypes.c_void_p(handler.address))
    signal.setitimer(signal.ITIMER_PROF, _TICK_S, _TICK_S)
    started, used = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found.seconds, found.core_s = time.perf_counter() - started, time.process_time() - used
        found.samples = int(counts[0])
        found.share = float(counts[1]) / max(found.samples, 1)
        ctypes.CDLL(None).signal(signal.SIGPROF, ctypes.c_void_p(int(signal.SIG_IGN)))


def handed_over() -> int:
    """Return how often the lock went from one thread to another so far; 0 where this Python does not say."""
    _, words = _runtime()
    mine = _HERE.PyThreadState_Get()
    # CPython 3.11 has in a row `interval` (5000 us), `last_holder`, `locked`, `switch_number`
    places = [at for at in range(1, len(words) - 2) if words[at] == mine and words[at - 1] == _INTERVAL_US]
    return int(words[places[0] + 2]) if len(places) == 1 else 0


def _runtime() -> tuple[int, Any]:
    start = ctypes.addressof(ctypes.c_char.in_dll(_HERE, "_PyRuntime"))
    return start, (ctypes.c_uint64 * _RUNTIME_WORDS).from_address(start)


def _place_of_the_lock() -> int:
    """Return the address of the word that names the thread which holds the lock."""
    start, words = _runtime()
    mine = _HERE.PyThreadState_Get()
    holding = list(words)
    released = _copied(np.ctypeslib.as_array(words))
    places = [
        at for at, (held, free) in enumerate(zip(holding, released.tolist(), strict=True)) if held == mine and not free
    ]
    if len(places) != 1:
        raise SystemExit(f"the interpreter lock was found at {len(places)} places of this Python's runtime, 1 expected")
    return start + 8 * places[0]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _copied(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return words.copy()


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(context: Any, address: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), code


def _handler(place: int) -> tuple[Any, NDArray[np.uint64]]:
    """Return a handler of signals that counts them, and those that met the holder of the lock, and both counts."""
    counts = np.zeros(2, np.uint64)
    at = counts.ctypes.data

    @cfunc(types.void(types.int32))  # type: ignore[untyped-decorator]
    def count(number: int) -> None:
        holder = carray(_pointer(place), (1,), np.uint64)
        found = carray(_pointer(at), (2,), np.uint64)
        found[0] += np.uint64(1)
        if holder[0] != 0 and holder[0] == np.uint64(_THREAD()):
            found[1] += np.uint64(1)

    return count, counts
