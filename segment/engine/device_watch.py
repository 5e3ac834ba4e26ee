"""Time stages on a device by its own clock, without waiting for it.

A stage is a pair of events on a stream. They are looked at when a later stage begins, or when the times of a run are
taken; whoever copies labels back has waited for the device by then. Work that another thread queues on the same stream
between the two events counts too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from tiler.stopwatch import Stage, add, before_taking, is_running, offer, watch

_lock = threading.Lock()
_queued: deque[tuple[Stage, Any, Any]] = deque()


def device_stage(stage: Stage, device: torch.device, stream: Any = None) -> AbstractContextManager[None]:
    """Count the seconds that a device takes for what a block queues; on the CPU, those of the block.

    While the stopwatch does not run, this does nothing. Do not record the block into a CUDA graph.

    Parameters
    ----------
    stage : Stage
        The stage.
    device : torch.device
        Where the work runs.
    stream : torch.cuda.Stream or None
        The stream that it is queued on; None: the current one of the device.
    """
    if not is_running():
        return nullcontext()
    if device.type != "cuda":
        return watch(stage, threads=torch.get_num_threads())
    return _between_events(stage, stream or torch.cuda.current_stream(device))


@contextmanager
def _between_events(stage: Stage, stream: Any) -> Iterator[None]:
    offer("device", 1)
    before_taking(settle)
    settle()
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    began.record(stream)
    yield  # after an error the device may be lost, and nothing is counted
    ended.record(stream)
    _queued.append((stage, began, ended))


def settle() -> None:
    """Add the times of stages that the device has finished; wait for none, and forget those of a lost device."""
    with _lock:
        try:
            while _queued and _queued[0][2].query():
                stage, began, ended = _queued.popleft()
                add(stage, began.elapsed_time(ended) / 1e3)
        except RuntimeError:  # who works with the device says it
            _queued.clear()
