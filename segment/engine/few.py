"""Values that are dear to make and to hold: made when first asked for, and only a few of them kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Few(Generic[Key, Value]):
    """The last few used of some values, for several threads at once.

    A thread that asks for a value which another one makes waits for it. Values are made one at a time; those that are
    there are had meanwhile. A value that is dropped lives on with those who hold it.

    Parameters
    ----------
    make : callable
        Takes a key and returns its value. Whoever waits for it gets its exception, and the next one makes it anew.
    most : int
        How many are kept, at least 1.
    """

    def __init__(self, make: Callable[[Key], Value], most: int) -> None:
        self._make, self._most = make, most
        self._kept: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._looking, self._making = Lock(), Lock()

    def __getitem__(self, key: Key) -> Value:
        """Return the value of a key: the one that is kept, or a new one.

        Raises
        ------
        Exception
            Whatever `make` raised.
        """
        with self._looking:
            found = self._kept.get(key)
            value = self._kept[key] = found or Future()
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        if found is None:
            self._fill(key, value)
        return value.result()

    def _fill(self, key: Key, value: Future[Value]) -> None:
        try:
            with self._making:
                value.set_result(self._make(key))
        except BaseException as error:
            with self._looking:
                if self._kept.get(key) is value:
                    del self._kept[key]
            value.set_exception(error)
