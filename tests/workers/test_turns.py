"""Tasks run together, or one of them alone; none waits for ever."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from segment.workers.turns import Turns


def test_one_alone_is_never_in_company_and_others_are() -> None:
    turns, inside, seen, lock = Turns(), [0], set(), threading.Lock()

    def be(alone: bool) -> None:
        with turns.alone() if alone else turns.together():
            with lock:
                inside[0] += 1
                seen.add((alone, inside[0]))
            time.sleep(0.002)
            with lock:
                inside[0] -= 1

    chance = random.Random(0)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(be, chance.random() < 0.2) for _ in range(200)]:
            each.result(timeout=30)
    assert {count for alone, count in seen if alone} == {1}
    assert max(count for alone, count in seen if not alone) > 1


def test_who_wants_to_be_alone_goes_before_those_that_come_later() -> None:
    turns, order = Turns(), []
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with turns.together():
            entered.set()
            leave.wait(10)

    def alone() -> None:
        with turns.alone():
            order.append("alone")

    def later() -> None:
        with turns.together():
            order.append("later")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    entered.wait(10)
    for each in (alone, later):
        threads.append(threading.Thread(target=each))
        threads[-1].start()
        time.sleep(0.05)
    assert order == []
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["alone", "later"]
