"""Which shard one task of an array job takes, by the variables that its scheduler sets."""

from __future__ import annotations

import os
from collections.abc import Mapping

from segment.errors import ShardError
from segment.plan.shard import Shard, parse_shard

AUTO = "auto"
"""Stands for the shard that the scheduler of an array job says."""
_SLURM_ID, _SLURM_MIN, _SLURM_MAX, _SLURM_COUNT = (f"SLURM_ARRAY_TASK_{each}" for each in ("ID", "MIN", "MAX", "COUNT"))
_FROM_ZERO = {"JOB_COMPLETION_INDEX": "JOB_COMPLETIONS", "AWS_BATCH_JOB_ARRAY_INDEX": "AWS_BATCH_JOB_ARRAY_SIZE"}
"""Variables that count tasks from 0, each with the one that says how many tasks there are."""
_NAMES = {_SLURM_ID: "SLURM", "JOB_COMPLETION_INDEX": "Kubernetes", "AWS_BATCH_JOB_ARRAY_INDEX": "AWS Batch"}
_MISSING = {
    "JOB_COMPLETIONS": "Kubernetes does not say how many tasks an Indexed Job has, so let the job set this variable to "
    "its number of completions",
}
"""What helps where a variable is missing that the scheduler itself does not set."""
_BY_HAND = "or say --shard I/N"


def asked_shard(text: str) -> Shard:
    """Return the shard that a text means: I/N, or `auto` for that of the array job which this process is a task of.

    Raises
    ------
    ShardError
        If the text is neither, or the variables of the scheduler say no shard.
    """
    return shard_of_array(os.environ) if text == AUTO else parse_shard(text)


def shard_of_array(environment: Mapping[str, str]) -> Shard:
    """Return the shard of one task of an array job of SLURM, of Kubernetes (Indexed Job) or of AWS Batch.

    Tasks take the shards in the order of their numbers. A SLURM array may begin at any number and have a step. An array
    with gaps, such as 1,3,4, does not say which of its tasks has which place, so it has no shards.

    Parameters
    ----------
    environment : mapping of str to str
        The variables of the task. An empty one counts as missing.

    Returns
    -------
    Shard
        Its `origin` names the variables that say it.

    Raises
    ------
    ShardError
        If no scheduler or several have set their variables, or if they say no shard.
    """
    found = [name for name in _NAMES if environment.get(name)]
    if not found:
        looked = ", ".join(f"{name} ({whose})" for name, whose in _NAMES.items())
        raise ShardError(f"auto: this is no task of an array job: none of {looked} is set; start an array, {_BY_HAND}")
    if len(found) > 1:
        raise ShardError(f"auto: {' and '.join(found)} are set, and one scheduler is expected; unset one, {_BY_HAND}")
    return _of_slurm(environment) if found == [_SLURM_ID] else _from_zero(environment, found[0])


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    names = _SLURM_ID, _SLURM_MIN, _SLURM_MAX, _SLURM_COUNT
    task, first, last, count = (_number(environment, name) for name in names)
    told = _told(environment, names)
    if not (count >= 1 and first <= task <= last and count - 1 <= last - first):
        raise ShardError(f"auto: {told} do not fit together; an array such as --array=1-8 expected, {_BY_HAND}")
    step, rest = divmod(last - first, count - 1) if count > 1 else (1, last - first)
    if rest or (task - first) % step:
        raise ShardError(
            f"auto: {told}: the array has gaps, so the place of this task in it is not known; "
            f"an array such as --array=1-{count} has none, {_BY_HAND}"
        )
    return Shard((task - first) // step + 1, count, told)


def _from_zero(environment: Mapping[str, str], index: str) -> Shard:
    names = index, _FROM_ZERO[index]
    place, count = (_number(environment, name) for name in names)
    told = _told(environment, names)
    if place >= count:
        raise ShardError(f"auto: {told} do not fit together; a number from 0 to one less than the count expected")
    return Shard(place + 1, count, told)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "").strip()
    if not text:
        raise ShardError(f"auto: {name} is not set; {_MISSING.get(name, 'it comes with the number of the task')}")
    if not (text.isascii() and text.isdecimal()):
        raise ShardError(f"auto: {name}: a whole number expected, {text!r:.40} found")
    return int(text)


def _told(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}={environment[name].strip()}" for name in names)
