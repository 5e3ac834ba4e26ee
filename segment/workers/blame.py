"""Whether an image is to blame for the processes that ended while they worked on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segment.workers.board import Death

_LEAST, _MOST = 2, 10
_CHANCE = 1e-4
_RARE_S = 1800.0
_UNKNOWN_S = 10.0


def is_to_blame(deaths: Sequence[Death], ended: Mapping[int, float], others: int, worked_s: float) -> bool:
    """Return whether a task ends its processes, or was hit by what ends processes here anyway.

    After a first death a task runs alone in its process. One that always ends it is told by deaths alone, one after
    another. One that does not is hit again by chance: with d seconds of work, and a worker that ends by itself every T
    seconds, k times in a row with a chance of (d / T) ** k. It is to blame where that is below 1 in 10,000, at two
    deaths alone at least, and in any case at ten. d is twice the time until its deaths, because those that come by
    chance come halfway. T is the time of work by the deaths that this task had no part in, and half an hour at most.

    So where nothing else ends processes, three deaths suffice: one in company, two alone. Where somebody kills workers
    every few seconds, an image of a few seconds has to die more often.

    Parameters
    ----------
    deaths : sequence of Death
        The processes that ended while they worked on it.
    ended : mapping
        When processes of this machine ended, by their numbers, in seconds as `time.time` counts.
    others : int
        How many processes ended that no image is to blame for, and not this one either.
    worked_s : float
        How long all workers together have worked so far, in seconds.
    """
    alone = [death for death in deaths if death.alone]
    if len(alone) < _LEAST or len(alone) >= _MOST:
        return len(alone) >= _MOST
    each_s = others / max(worked_s, 1.0) + 1 / _RARE_S
    return min(2 * _mean_s(alone, ended) * each_s, 1.0) ** len(alone) < _CHANCE


def _mean_s(deaths: Sequence[Death], ended: Mapping[int, float]) -> float:
    """Return the seconds from the beginning of a task to a death, on average.

    Where the end is not known, the beginning of the next attempt stands for it, which is later.
    """
    begun = sorted(death.begun for death in deaths)
    known = [ended[death.process] - death.begun for death in deaths if death.process in ended]
    if known:
        return max(sum(known) / len(known), 0.0)
    return (begun[-1] - begun[0]) / (len(begun) - 1) if len(begun) > 1 else _UNKNOWN_S
