"""Bring masks from a device to the host through pinned memory that is made once."""

from __future__ import annotations

import weakref
from collections import deque
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.device import current
from tiler.stopwatch import watch

BUFFER_BYTES = 8 * 2**20
"""Bytes of a buffer. Each is a copy, a wait and some calls, and the more images are in flight the more are in use."""
_MOST_BUFFERS = 96
"""Buffers of pinned memory of a device: 768 MiB at most, which no other program can use. An image holds about five."""
_DEVICES = 16

Array = NDArray[np.uint8]


class Buffers:
    """Memory of the host that is used again.

    A buffer comes back by itself, when the last array that shows any of it is dropped, in whatever thread.

    Parameters
    ----------
    size : int
        Bytes of each.
    most : int
        How many are made at most. Who asks for more gets memory of the ordinary kind: copies into it are slower.
    pinned : bool
        Whether they are pinned, so that a device copies into them while the host goes on.
    """

    def __init__(self, size: int, most: int, *, pinned: bool) -> None:
        self._size, self._left, self._pinned = size, most, pinned
        self._free: deque[Tensor] = deque()  # its operations are atomic

    def take(self, size: int) -> Array:
        """Return an array of so many bytes, of any content, which is the caller's until it is dropped."""
        if size > self._size:
            return np.empty(size, np.uint8)
        try:
            buffer = self._free.pop()
        except IndexError:
            if self._left < 1:
                return np.empty(size, np.uint8)
            self._left -= 1  # two threads at once may make one too many or too few, which does no harm
            buffer = torch.empty(self._size, dtype=torch.uint8, pin_memory=self._pinned)
        whole: Array = buffer.numpy()
        weakref.finalize(whole, self._free.append, buffer).atexit = False  # numpy: views keep `whole`, not its base
        return whole[:size]


class Flight:
    """Arrays on their way to the host."""

    def __init__(self, arrays: list[NDArray[Any]], event: torch.cuda.Event | None) -> None:
        self._arrays, self._event = arrays, event

    def land(self) -> list[NDArray[Any]]:
        """Wait for the copies; return them."""
        if self._event is not None:
            with watch("download"):
                self._event.synchronize()
        return self._arrays


class Returns:
    """Copies from one device to the host, on a stream of their own.

    A copy waits for the work that the current stream holds by now. Work that is queued there later does not wait for
    the copy. All copies of a device go by one stream, in turn. So a buffer that was dropped while it was still
    written to is written to again only afterwards.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers = Buffers(BUFFER_BYTES, _MOST_BUFFERS, pinned=device.type == "cuda")

    @torch.inference_mode()
    def send(self, tensors: list[Tensor]) -> Flight:
        """Send contiguous tensors to the host, in one buffer; those with longer elements come first."""
        if self._device.type == "cpu":
            return Flight([tensor.numpy() for tensor in tensors], None)
        whole = self._buffers.take(sum(tensor.nbytes for tensor in tensors))
        arrays: list[NDArray[Any]] = []
        with current(self._device):
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                for tensor in tensors:
                    part, whole = whole[: tensor.nbytes], whole[tensor.nbytes :]
                    host = torch.from_numpy(part).view(tensor.dtype).view(tensor.shape)
                    host.copy_(tensor, non_blocking=True)
                    tensor.record_stream(self._stream)  # else its memory is given away once Python drops it
                    arrays.append(host.numpy())
                # blocking: a thread that waits sleeps, because the cores have other work
                event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                event.record(self._stream)
        return Flight(arrays, event)


@lru_cache(_DEVICES)
def returns(device: torch.device) -> Returns:
    """Return what copies from a device, which all images of this process share."""
    return Returns(device)
