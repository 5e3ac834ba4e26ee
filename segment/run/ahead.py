"""Let one stage of an image run while the next works on what it made."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

_Item = TypeVar("_Item")
_Made = SimpleQueue[tuple[_Item] | BaseException | None]
"""Items; then what ended them, an error or None."""


def ahead(items: Generator[_Item], most: int) -> Generator[_Item]:
    """Yield what a generator yields, while it runs in a thread of its own up to `most` items ahead.

    The generator runs in that one thread from its start to its end. An error in it is raised here, where its next
    item would have come.
    """
    # These queues are written in C. They hold the interpreter lock much shorter than a future for each item would.
    asked: SimpleQueue[bool] = SimpleQueue()
    made: _Made[_Item] = SimpleQueue()
    for _ in range(most):
        asked.put(True)
    unclosed: list[BaseException] = []
    thread = threading.Thread(target=_make, args=(items, asked, made, unclosed), name="ahead")
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            asked.put(True)
            yield item[0]
    finally:
        with suppress(Empty):
            while True:
                asked.get_nowait()
        asked.put(False)
        thread.join()
        if unclosed:
            raise unclosed[0]


def _make(items: Generator[_Item], asked: SimpleQueue[bool], made: _Made[_Item], unclosed: list[BaseException]) -> None:
    """Put an item for each time that one is asked for. Where no more are wanted, close the generator."""
    while asked.get():
        try:
            made.put((next(items),))
        except StopIteration:
            made.put(None)
            return
        except BaseException as error:
            made.put(error)
            return
    try:
        items.close()
    except BaseException as error:
        unclosed.append(error)
