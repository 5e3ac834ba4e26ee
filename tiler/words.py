"""Counts and names as texts that anybody reads, and texts that people wrote."""

from __future__ import annotations

from pathlib import Path


def counted(count: int, thing: str) -> str:
    """Return a count and what is counted, such as 1 image or 2 images; the plural ends in s."""
    return f"{count:,} {thing}" + "s" * (count != 1)


def readable(name: str) -> str:
    """Return the name of a file as text that any reader takes: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def lengths(low_m: float, high_m: float | None = None) -> str:
    """Return a length, or a range of lengths, as people read it: two digits, in cm, m or km."""
    high_m = low_m if high_m is None else high_m
    unit, metres = ("cm", 0.01) if high_m < 1 else ("m", 1) if high_m < 1000 else ("km", 1000)
    low, high = (f"{float(f'{length / metres:.2g}'):g}" for length in (low_m, high_m))
    return f"{low if low == high else f'{low} to {high}'} {unit}"


def read_text(path: Path, error: type[Exception]) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    error
        If the file cannot be read, or is no such text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as wrong:
        raise error(f"{path}: cannot be read: {wrong.strerror}") from wrong
    except UnicodeDecodeError as wrong:
        raise error(f"{path}: not UTF-8 text (byte {wrong.start}); save it as UTF-8") from wrong
