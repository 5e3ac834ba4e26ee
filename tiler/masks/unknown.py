"""Say which ids or colours of a mask are those of no class, and how many pixels have them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_NAMED = 4


def count_values(values: NDArray[Any]) -> dict[int, int]:
    """Return how often each value occurs."""
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def unknown_in_words(what: Literal["colour", "class id"], counts: Counter[int], pixels: int) -> str:
    """Return in words how many pixels have which values, the most frequent first.

    Parameters
    ----------
    what : str
        What the values are; a colour is one number, red first.
    counts : Counter of int
        Pixels of each value.
    pixels : int
        Pixels of the mask.
    """
    named = ", ".join(f"{_in_words(what, value)} ({count:,})" for value, count in counts.most_common(_NAMED))
    more = f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
    return f"{counts.total():,} of {pixels:,} pixels have a {what} of no class: {named}{more}"


def _in_words(what: str, value: int) -> str:
    return ",".join(map(str, value.to_bytes(3, "big"))) if what == "colour" else str(value)
