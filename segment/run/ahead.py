"""Let one stage of an image run while the next works on what it made."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_END = object()


def ahead(items: Generator[_Item], most: int) -> Generator[_Item]:
    """Yield what a generator yields, while it runs in a thread of its own up to `most` items ahead.

    The generator runs in that one thread from its start to its end. An error in it is raised here, where its next
    item would have come.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        waiting: deque[Future[object]] = deque(thread.submit(next, items, _END) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
            thread.submit(items.close).result()
