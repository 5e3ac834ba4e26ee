"""Images that are worked on share the time; those that wait for room take none."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from segment.run.under_way import UnderWay

A, B, C = Path("a"), Path("b"), Path("c")


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def under_way(clock: list[float]) -> UnderWay:
    return UnderWay(10, lambda: clock[0])


def test_an_image_alone_takes_all_of_its_time(under_way: UnderWay, clock: list[float]) -> None:
    clock[0] += 5  # nobody works
    with under_way.work_on(A):
        clock[0] += 3
        assert under_way.seconds(A) == 3
        assert under_way.seconds(A) == 3
    clock[0] += 5
    with under_way.work_on(A):
        clock[0] += 1
        assert under_way.seconds(A) == 1


def test_shares_add_up_to_the_time_of_the_run(under_way: UnderWay, clock: list[float]) -> None:
    with under_way.work_on(A):
        clock[0] += 4
        with under_way.work_on(B):
            clock[0] += 6
            with ExitStack() as third:
                third.enter_context(under_way.work_on(C))
                clock[0] += 9
                assert under_way.shares() == {A: 10, B: 6, C: 3}
            clock[0] += 2
            assert (under_way.seconds(A), under_way.seconds(B)) == (11, 7)
        clock[0] += 1
        assert under_way.seconds(A) == 12  # with 7 and 3 that is 22, as the clock says
    assert clock[0] == 122


def test_an_image_that_waits_for_room_takes_no_time(under_way: UnderWay, clock: list[float]) -> None:
    waits, admitted, looked = threading.Event(), threading.Event(), threading.Event()
    taken: list[float] = []

    def second() -> None:
        with under_way.work_on(B):
            waits.set()
            under_way.hold(B, 8)
            admitted.set()
            looked.wait(20)
            taken.append(under_way.seconds(B))

    with under_way.work_on(A):
        under_way.hold(A, 8)
        other = threading.Thread(target=second)
        other.start()
        assert waits.wait(20)
        deadline = time.monotonic() + 20
        while B in under_way.shares():
            assert time.monotonic() < deadline, "it never waited"
            time.sleep(0.001)
        clock[0] += 7
        assert under_way.shares() == {A: 7}
        assert not admitted.is_set()
    assert admitted.wait(20)
    clock[0] += 2
    looked.set()
    other.join(20)
    assert taken == [2]
