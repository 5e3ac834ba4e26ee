"""Balance classes: a constant per class, added to the logits, gives rare classes what common ones took in training.

A network learns how often each class occurs, and in doubt says the common one. Logits less T times the logarithm of
the classes' frequencies take that back, all of it where T is 1 (Menon et al., Long-tail learning via logit adjustment,
ICLR 2021, eq. 9). Labels change, weights do not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_BALANCE = 2.0
"""Most strength to which classes are balanced; at 1 all of them count alike."""
_RAREST = 1e-6
"""A class that is rarer counts as if it were that frequent, because a few stray pixels say little of it."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What is added to the logits of a network."""

    strength: float = 0.0
    """T; 0: nothing is added."""
    offsets: tuple[float, ...] = ()
    """A constant for each class; empty: nothing is added."""

    def __str__(self) -> str:
        return f" balanced by {self.strength:g}" if self.offsets else ""

    @property
    def key(self) -> str:
        """12 hex digits that change whenever an offset does; empty where nothing is added."""
        return hashlib.sha256(repr(self.offsets).encode()).hexdigest()[:12] if self.offsets else ""


OFF = Balance()
"""Classes stay as the network weighs them."""


def offsets_of(frequencies: Sequence[float], strength: float) -> tuple[float, ...]:
    """Return what is to be added to the logits: `T log(f_max / f)` for each class, so 0 for the commonest one.

    A class that training never showed gets 0 too. So it never gains on another class, and wins nowhere where it did
    not before.

    Parameters
    ----------
    frequencies : sequence of float
        Share of each class in the labelled pixels of training, at least one above 0.
    strength : float
        T.

    Returns
    -------
    tuple of float
        One constant for each class, 0 or more.
    """
    most = max(frequencies)
    return tuple(strength * math.log(most / max(each, most * _RAREST)) if each > 0 else 0.0 for each in frequencies)
