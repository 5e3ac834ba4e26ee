"""A generator runs ahead in one thread of its own, bounded, and ends there."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing

import pytest

from segment.run.ahead import ahead


def test_items_come_whole_and_in_order() -> None:
    assert list(ahead(iter_of(20), 3)) == list(range(20))
    assert list(ahead(iter_of(0), 3)) == []


def iter_of(count: int) -> Generator[int]:
    yield from range(count)


def test_the_generator_lives_in_one_other_thread() -> None:
    threads = set()

    def items() -> Generator[int]:
        try:
            for index in range(5):
                threads.add(threading.get_ident())
                yield index
        finally:
            threads.add(threading.get_ident())

    assert list(ahead(items(), 2)) == list(range(5))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("most", [1, 2, 5])
def test_it_runs_ahead_but_not_too_far(most: int) -> None:
    made: list[int] = []

    def items() -> Generator[int]:
        for index in range(20):
            made.append(index)
            yield index

    with closing(ahead(items(), most)) as running:
        assert next(running) == 0
        deadline = time.monotonic() + 5
        while len(made) < most + 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(made) == most + 1


def test_an_error_comes_where_the_item_would_have() -> None:
    def items() -> Generator[int]:
        yield 1
        raise ValueError("broken")

    running = ahead(items(), 4)
    assert next(running) == 1
    with pytest.raises(ValueError, match="broken"):
        next(running)


def test_leaving_early_closes_the_generator() -> None:
    closed = threading.Event()

    def items() -> Generator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    with closing(ahead(items(), 2)) as running:
        next(running)
    assert closed.is_set()


def test_leaving_early_makes_no_more_than_the_item_at_hand() -> None:
    made: list[int] = []
    go_on = threading.Event()

    def items() -> Generator[int]:
        for index in range(20):
            made.append(index)
            if index == 1:
                go_on.wait(5)
            yield index

    running = ahead(items(), 10)
    assert next(running) == 0
    threading.Timer(0.05, go_on.set).start()
    running.close()
    assert made == [0, 1]


def test_an_error_in_closing_is_raised() -> None:
    def items() -> Generator[int]:
        try:
            yield from range(10)
        finally:
            raise OSError("cannot be closed")

    running = ahead(items(), 2)
    next(running)
    with pytest.raises(OSError, match="cannot be closed"):
        running.close()
