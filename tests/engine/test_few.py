"""A value is made once, the last few used stay, and who fails does not harm the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from segment.engine.few import Few


def test_the_last_few_used_are_kept() -> None:
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key * key

    squares = Few(make, 2)
    assert [squares[key] for key in (3, 4, 3, 5, 3, 4)] == [9, 16, 9, 25, 9, 16]
    assert made == [3, 4, 5, 4]


def test_of_many_threads_that_ask_at_once_one_makes_the_value() -> None:
    begin, made = threading.Barrier(8), []

    def make(key: str) -> object:
        made.append(key)
        return object()

    def ask(number: int) -> object:
        begin.wait()
        return values["ab"[number % 2]]

    values = Few(make, 2)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert sorted(made) == ["a", "b"]
    assert len(set(map(id, found))) == 2


def test_a_value_that_is_there_is_had_while_another_is_made() -> None:
    may_end = threading.Event()

    def make(key: str) -> str:
        assert key == "quick" or may_end.wait(60)
        return key.upper()

    values = Few(make, 2)
    assert values["quick"] == "QUICK"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: values["slow"])
        assert values["quick"] == "QUICK"
        assert not slow.done()
        may_end.set()
        assert slow.result() == "SLOW"


def test_a_failure_is_not_kept() -> None:
    answers: Iterator[int | OSError] = iter([OSError("not now"), 7])

    def make(key: str) -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    values = Few(make, 1)
    with pytest.raises(OSError, match="not now"):
        values["a"]
    assert values["a"] == 7
