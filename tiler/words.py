"""Counts and names as texts that anybody reads."""

from __future__ import annotations


def counted(count: int, thing: str) -> str:
    """Return a count and what is counted, such as 1 image or 2 images; the plural ends in s."""
    return f"{count:,} {thing}" + "s" * (count != 1)


def readable(name: str) -> str:
    """Return the name of a file as text that any reader takes: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
