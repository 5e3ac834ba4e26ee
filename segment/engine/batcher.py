"""Collect tiles of any image into batches and run them through one network."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol

import torch

from segment.engine.contract import Tiles
from segment.errors import DeviceMemoryError, EngineError
from tiler.stopwatch import add

_IN_FLIGHT = 2
"""Batches that are begun and not yet finished: one that is computed, and one behind it."""
_Shape = tuple[int, ...]
_log = logging.getLogger(__name__)

Begun = Callable[[], Any]
"""Waits for the logits of a batch, and returns them."""


class Network(Protocol):
    """What the batcher needs of a network."""

    name: str
    """For messages."""

    def begin(self, tiles: Sequence[Tiles]) -> Begun:
        """Begin to compute the logits of tiles of one shape (3, h, w); they have the shape (N, C, h / 4, w / 4).

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory for so many tiles; the function that is returned may raise it too.
        """


def full_batch(shape: Sequence[int], batch_size: int, most_px: int | None) -> int:
    """Return how many tiles of a shape (..., height, width) fill a batch of so many tiles and pixels; at least 1."""
    return batch_size if most_px is None else max(min(batch_size, most_px // (shape[-2] * shape[-1])), 1)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A tile whose logits somebody waits for."""

    number: int
    """How many tiles came before it."""
    came_s: float
    """When it came."""
    pixels: Tiles
    future: Future[Any]


_Batch = list[_Waiting]


class Batcher:
    """Batches of the tiles which the image threads submit; use as a context manager.

    The tiles of a batch have one shape. While fewer than two batches are under way, whatever waits is begun at once, so
    the network never idles beside tiles. While two are, tiles gather, so a network that is slower than all else gets
    full batches. The shape of the tile that has waited longest goes first, so no tile waits for ever. When the device
    runs out of memory, this batch and all later ones are halved. If a single tile is too much, its image fails.

    One thread begins batches, another waits for their logits and hands them out.

    Parameters
    ----------
    network : Network
        Takes whole batches.
    batch_size : int
        Most tiles per call, at least 1.
    most_px : int or None
        Most pixels per call: batches of large tiles are smaller, but for a single tile; None: any number.
    """

    def __init__(self, network: Network, batch_size: int, most_px: int | None = None) -> None:
        self._network = network
        self.batch_size = self._announced = batch_size
        self._most_px = most_px
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._waiting: dict[_Shape, deque[_Waiting]] = {}
        self._came = 0
        self._closing = threading.Lock()
        self._closed = False
        self._places = threading.Semaphore(_IN_FLIGHT)
        self._under_way: SimpleQueue[tuple[_Batch, Begun] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._begin_batches, name="batcher", daemon=True),
            threading.Thread(target=self._finish_batches, name="logits", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def submit(self, pixels: Tiles) -> Future[Any]:
        """Hand in one tile, uint8 of shape (3, h, w); the future gives its logits, shape (C, h / 4, w / 4).

        The caller limits how many tiles wait. After `close` the future is cancelled.
        """
        future: Future[Any] = Future()
        with self._closing:  # nothing enters the queue behind its end
            if self._closed:
                future.cancel()
            else:
                self._came += 1
                self._queue.put(_Waiting(self._came, time.perf_counter(), pixels, future))
        return future

    def close(self) -> None:
        """Stop after the batches at hand; tiles that still wait are cancelled."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _begin_batches(self) -> None:
        while self._places.acquire() and (batch := self._collect()):
            if self._closed:
                for each in batch:
                    each.future.cancel()
            elif (begun := self._begin(batch)) is not None:
                self._under_way.put((batch, begun))
                continue
            else:
                with self._places:  # once nothing else is under way, and holds memory
                    self._halve(batch)
            self._places.release()
        self._under_way.put(None)

    def _finish_batches(self) -> None:
        while (item := self._under_way.get()) is not None:
            self._finish(*item)
            del item  # and the tensors with it
            self._places.release()

    def _collect(self) -> _Batch:
        """Wait for tiles; return the next batch, an empty one after the end."""
        with suppress(Empty):
            while (item := self._queue.get(block=not self._waiting)) is not None:
                self._waiting.setdefault(item.pixels.shape, deque()).append(item)
            self._queue.put(None)  # the next round finds it, and ends
        return self._take()

    def _take(self) -> _Batch:
        """Take a batch out of what waits: tiles of the shape of the oldest."""
        if not self._waiting:
            return []
        shape = min(self._waiting, key=lambda shape: self._waiting[shape][0].number)
        tiles = self._waiting[shape]
        batch = [tiles.popleft() for _ in range(min(len(tiles), full_batch(shape, self.batch_size, self._most_px)))]
        if not tiles:
            del self._waiting[shape]
        return batch

    def _begin(self, batch: _Batch) -> Begun | None:
        """Begin a batch; None where memory does not suffice beside what is under way."""
        add("wait", len(batch) * time.perf_counter() - sum(each.came_s for each in batch), len(batch))
        try:
            return self._network.begin([each.pixels for each in batch])
        except DeviceMemoryError:
            return None
        except Exception as error:
            return partial(_raise, error)

    def _run(self, batch: _Batch) -> Any:
        return self._network.begin([each.pixels for each in batch])()

    def _finish(self, batch: _Batch, begun: Begun) -> None:
        """Hand out the logits of a batch, or the error; where memory does not suffice, do so half by half."""
        short: DeviceMemoryError | None = None
        try:
            logits = begun()
            if len(logits) != len(batch):
                raise EngineError(
                    f"{self._network.name}: logits of {len(batch)} tiles expected, of {len(logits)} found"
                )
        except DeviceMemoryError as error:
            short = DeviceMemoryError(*error.args)  # without the traceback, which keeps the tensors of the batch
        except Exception as error:  # the images of these tiles fail, and no other
            _fail(batch, error)
        else:
            self._announce()
            for each, of_tile in zip(batch, logits, strict=True):
                each.future.set_result(of_tile)
        if short is not None:
            del begun
            if len(batch) == 1:
                _fail(batch, short)
            else:
                self._halve(batch)

    def _halve(self, batch: _Batch) -> None:
        """Run the halves of a batch one after the other, or a single tile with the device to itself."""
        with suppress(RuntimeError):  # of a device that fails; the next batch says so
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self.batch_size = max(min(self.batch_size, len(batch) // 2), 1)
        rest = batch
        while rest:  # the size may fall meanwhile
            part, rest = rest[: self.batch_size], rest[self.batch_size :]
            self._finish(part, partial(self._run, part))

    def _announce(self) -> None:
        if self.batch_size < self._announced:
            self._announced = self.batch_size
            _log.warning("%s: out of memory; batches are of %d tiles from now on", self._network.name, self.batch_size)


def _fail(batch: _Batch, error: Exception) -> None:
    for each in batch:
        each.future.set_exception(error)


def _raise(error: Exception) -> None:
    raise error
