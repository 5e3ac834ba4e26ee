"""Buffers of the host are made once and come back by themselves; what they hold is the caller's until then."""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray

from segment.engine.device_return import Buffers, Returns
from tests.device_work import CPU


def address(array: NDArray[np.uint8]) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_buffer_is_used_again_once_no_array_shows_any_of_it() -> None:
    buffers = Buffers(1000, 2, pinned=False)
    first = buffers.take(600)
    assert first.shape == (600,)
    assert first.dtype == np.uint8
    place = address(first)
    part = first[10:20].reshape(2, 5)[1]
    del first
    assert address(buffers.take(600)) != place  # a part is still shown
    del part
    taken = [buffers.take(1000) for _ in range(2)]
    assert place in map(address, taken)


def test_what_is_taken_is_not_given_to_another() -> None:
    buffers = Buffers(64, 4, pinned=False)
    taken = [buffers.take(64) for _ in range(8)]
    for index, array in enumerate(taken):
        array[:] = index
    assert [set(array.tolist()) for array in taken] == [{index} for index in range(8)]


def test_no_more_buffers_are_made_than_allowed() -> None:
    buffers = Buffers(64, 2, pinned=False)
    places = set()
    for _ in range(5):
        taken = [buffers.take(64) for _ in range(3)]
        places |= set(map(address, taken[:2]))
        del taken
    assert len(places) == 2
    assert len(buffers._free) == 2


def test_more_than_a_buffer_holds_is_memory_of_its_own() -> None:
    buffers = Buffers(64, 2, pinned=False)
    assert buffers.take(65).shape == (65,)
    assert len(buffers._free) == 0


def test_buffers_may_be_dropped_by_any_thread() -> None:
    buffers = Buffers(64, 50, pinned=False)

    def work() -> None:
        for _ in range(200):
            array = buffers.take(64)
            array[:] = 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(buffers._free) <= 5


def test_on_the_cpu_nothing_is_copied() -> None:
    masks, counts = torch.ones(2, 3, 4, dtype=torch.uint8), torch.arange(3)
    first, second = Returns(CPU).send([counts, masks]).land()
    assert first.tolist() == [0, 1, 2]
    assert address(second) == masks.data_ptr()
