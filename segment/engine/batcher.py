"""Collect tiles of any image into batches and run them through one network."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch

from segment.engine.contract import Tiles
from segment.errors import DeviceMemoryError, EngineError

_LINGER_S = 0.01
_Item = tuple[Tiles, Future[Any]]
_Shape = tuple[int, ...]
_log = logging.getLogger(__name__)


class Network(Protocol):
    """What the batcher needs of a network."""

    name: str
    """For messages."""

    def __call__(self, tiles: Tiles) -> Any:
        """Return logits of shape (N, C, h / 4, w / 4) for tiles of shape (N, 3, h, w).

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory for so many tiles.
        """


class Batcher:
    """One thread that batches the tiles which the image threads submit; use as a context manager.

    The tiles of a batch have one shape. A batch runs when as many wait as fill one, or when no tile came for 10 ms. The
    shape of the tile that has waited longest goes first, so no tile waits for ever. When the device runs out of memory,
    this batch and all later ones are halved. If a single tile is too much, its image fails.

    Parameters
    ----------
    network : Network
        Takes whole batches.
    batch_size : int
        Most tiles per call, at least 1.
    """

    def __init__(self, network: Network, batch_size: int) -> None:
        self._network = network
        self.batch_size = self._announced = batch_size
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._waiting: dict[_Shape, deque[tuple[int, _Item]]] = {}
        self._came = 0
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

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
                self._queue.put((pixels, future))
        return future

    def close(self) -> None:
        """Stop after the batch at hand; tiles that still wait are cancelled."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._collect():
            if self._closed:
                for _, future in batch:
                    future.cancel()
                continue
            try:
                results = self._run([tile for tile, _ in batch])
            except Exception as error:  # the images of these tiles fail, and no other
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), logits in zip(batch, results, strict=True):
                future.set_result(logits)

    def _collect(self) -> list[_Item]:
        """Return the next batch; an empty one after the end."""
        with suppress(Empty):
            while (item := self._queue.get(timeout=self._patience())) is not None:
                self._came += 1
                self._waiting.setdefault(item[0].shape, deque()).append((self._came, item))
            self._queue.put(None)  # the next round finds it, and ends
        return self._take()

    def _patience(self) -> float | None:
        """Return the seconds to wait for another tile; none where a batch is full, so that the queue is emptied."""
        if not self._waiting:
            return None
        return _LINGER_S * (max(map(len, self._waiting.values())) < self.batch_size)

    def _take(self) -> list[_Item]:
        """Take a batch out of what waits: tiles of the shape of the oldest."""
        if not self._waiting:
            return []
        shape = min(self._waiting, key=lambda shape: self._waiting[shape][0][0])
        tiles = self._waiting[shape]
        batch = [tiles.popleft()[1] for _ in range(min(len(tiles), self.batch_size))]
        if not tiles:
            del self._waiting[shape]
        return batch

    def _run(self, pixels: list[Tiles]) -> list[Any]:
        results: list[Any] = []
        while len(results) < len(pixels):
            chunk = pixels[len(results) : len(results) + self.batch_size]
            if (logits := self._logits(chunk)) is None:
                self._shrink(len(chunk))
            else:
                self._announce()
                results.extend(logits)
        return results

    def _logits(self, chunk: list[Tiles]) -> Any:
        """Return the logits of some tiles; None where memory does not suffice for so many."""
        try:
            logits = self._network(np.stack(chunk))
        except DeviceMemoryError:
            if len(chunk) == 1:
                raise
            return None
        if len(logits) != len(chunk):
            raise EngineError(f"{self._network.name}: logits of {len(chunk)} tiles expected, of {len(logits)} found")
        return logits

    def _shrink(self, count: int) -> None:
        """Halve the batch. The caller has left the except block, whose traceback kept the tensors of the batch."""
        self.batch_size = count // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _announce(self) -> None:
        if self.batch_size < self._announced:
            self._announced = self.batch_size
            _log.warning("%s: out of memory; batches are of %d tiles from now on", self._network.name, self.batch_size)
