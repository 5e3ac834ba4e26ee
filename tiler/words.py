"""Counts in words."""

from __future__ import annotations


def counted(count: int, thing: str) -> str:
    """Return a count and what is counted, such as 1 image or 2 images; the plural ends in s."""
    return f"{count:,} {thing}" + "s" * (count != 1)
