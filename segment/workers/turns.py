"""Whose turn it is in a process: many tasks together, or one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets many in together, or one alone. One who wants to be alone waits for those who are in, and others for it."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = 0
        self._changed = threading.Condition()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be in with others for the block; wait before it while anybody is alone, or waits for that."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be in alone for the block; wait before it until nobody is in."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._inside)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._alone -= 1
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()
