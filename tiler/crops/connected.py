"""Groups that grow together (union-find)."""

from __future__ import annotations


class Groups:
    """A partition of 0 to n - 1; at first each number is alone.

    Parameters
    ----------
    count : int
        How many numbers there are.
    """

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def first(self, number: int) -> int:
        """Return the least number of a group."""
        while self._above[number] != number:
            self._above[number] = self._above[self._above[number]]
            number = self._above[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        first, second = sorted((self.first(one), self.first(other)))
        self._above[second] = first

    def together(self, one: int, other: int) -> bool:
        """Return whether two numbers are in one group."""
        return self.first(one) == self.first(other)
