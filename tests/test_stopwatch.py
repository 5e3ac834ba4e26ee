"""The stopwatch counts each second of a thread once, in the innermost stage, and nothing while it does not run."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator

import pytest

from tiler import stopwatch
from tiler.stopwatch import Stages, add, before_taking, include, is_running, offer, running, taken, watch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return a clock that a test sets, while the stopwatch runs."""
    now = [0.0]
    monkeypatch.setattr(stopwatch, "_now", lambda: now[0])
    with running():
        yield now


def test_a_stage_within_another_counts_for_itself_alone(clock: list[float]) -> None:
    with watch("encode"):
        clock[0] += 1
        with watch("verify"):
            clock[0] += 10
            with watch("sync"):
                clock[0] += 100
        clock[0] += 2
    found = taken()
    assert found.seconds == {"encode": 3, "verify": 10, "sync": 100}
    assert found.times == {"encode": 1, "verify": 1, "sync": 1}


def test_what_was_taken_is_not_taken_again(clock: list[float]) -> None:
    add("wait", 2.5, times=4)
    assert taken().seconds == {"wait": 2.5}
    assert taken() == Stages()
    add("wait", 1)
    assert taken().times == {"wait": 1}


def test_a_stage_that_fails_counts_and_lets_the_error_through(clock: list[float]) -> None:
    def fail() -> None:
        clock[0] += 5
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"), watch("read"):
        fail()
    with watch("read"):
        clock[0] += 1
    assert taken().seconds == {"read": 6}


def test_threads_of_a_library_count_each(clock: list[float]) -> None:
    with watch("network", threads=8):
        clock[0] += 2
    assert taken().seconds == {"network": 16}


def test_cores_are_offered_from_the_moment_when_they_are_there(clock: list[float]) -> None:
    clock[0] = 100
    offer("cores", 4)
    clock[0] = 103
    offer("cores", 9)
    assert taken().offered == {"cores": 12}
    clock[0] = 105
    assert taken().offered == {"cores": 8}


def test_core_seconds_are_those_that_this_process_used() -> None:
    with running():
        offer("cores", 1)
        began = time.process_time()
        while time.process_time() < began + 0.05:
            pass
        assert 0.05 <= taken().core_s < 5


def test_threads_and_processes_add_up() -> None:
    def work() -> None:
        for _ in range(500):
            with watch("count"):
                pass

    with running():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other = Stages({"count": 7.0, "read": 1.0}, {"count": 3, "read": 1}, {"cores": 2.0}, 1.5)
        include(pickle.loads(pickle.dumps(other)))
        found = taken()
    assert found.times == {"count": 4003, "read": 1}
    assert 7 < found.seconds["count"] < 8
    assert (found.offered, found.core_s) == ({"cores": 2.0}, 1.5)


def test_a_thread_does_not_stop_the_stage_of_another(clock: list[float]) -> None:
    def read() -> None:
        with watch("read"):
            pass

    with watch("stitch"):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        clock[0] += 3
    assert taken().seconds == {"stitch": 3, "read": 0}


def test_who_still_has_times_is_asked_before_they_are_taken() -> None:
    with running():
        before_taking(lambda: add("network", 1.0))
        assert taken().seconds == {"network": 1.0}
    with running():
        assert taken().seconds == {}


def test_nothing_is_counted_while_it_does_not_run() -> None:
    with running(wanted=False):
        assert not is_running()
        with watch("read"):
            add("wait", 1)
        include(Stages({"read": 1.0}, {"read": 1}))
        offer("cores", 1)
        before_taking(lambda: pytest.fail("it does not run"))
        assert watch("read") is watch("stitch")
        assert taken() == Stages()
