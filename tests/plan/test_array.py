"""The shard of a task follows from the variables of its scheduler, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segment.errors import ShardError
from segment.plan.array import asked_shard, shard_of_array
from segment.plan.shard import Shard
from tests.make import noise
from tests.runs import noseam


def slurm(task: int, first: int, last: int, count: int) -> dict[str, str]:
    values = {"ID": task, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@given(first=st.integers(0, 50), step=st.integers(1, 9), count=st.integers(1, 30))
def test_the_tasks_of_a_slurm_array_are_all_its_shards(first: int, step: int, count: int) -> None:
    tasks = range(first, first + step * count, step)
    found = [shard_of_array(slurm(task, tasks[0], tasks[-1], count)) for task in tasks]
    assert found == [Shard(index, count) for index in range(1, count + 1)]


@given(st.sets(st.integers(0, 30), min_size=1, max_size=12))
def test_no_two_tasks_of_any_slurm_array_take_one_shard(tasks: set[int]) -> None:
    found = []
    for task in tasks:
        with suppress(ShardError):
            found.append(shard_of_array(slurm(task, min(tasks), max(tasks), len(tasks))))
    assert len(set(found)) == len(found)
    steps = {after - before for before, after in zip(sorted(tasks), sorted(tasks)[1:], strict=False)}
    assert (len(found) == len(tasks)) == (len(steps) <= 1)


@pytest.mark.parametrize(
    ("index", "count"),
    [("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"), ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")],
)
def test_kubernetes_and_aws_count_from_zero(index: str, count: str) -> None:
    found = [shard_of_array({index: str(place), count: "3"}) for place in range(3)]
    assert found == [Shard(1, 3), Shard(2, 3), Shard(3, 3)]
    assert found[0].origin == f"{index}=0, {count}=3"
    with pytest.raises(ShardError, match=f"{index}=3, {count}=3 do not fit together"):
        shard_of_array({index: "3", count: "3"})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, r"none of SLURM_ARRAY_TASK_ID \(SLURM\), JOB_COMPLETION_INDEX \(Kubernetes\), AWS_BATCH_JOB_ARRAY_INDEX"),
        ({"SLURM_ARRAY_TASK_ID": ""}, "this is no task of an array job"),
        ({"JOB_COMPLETIONS": "3"}, "this is no task of an array job"),
        ({"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETIONS is not set; Kubernetes does not say how many"),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "0"}, "AWS_BATCH_JOB_ARRAY_SIZE is not set"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_MIN is not set"),
        ({"JOB_COMPLETION_INDEX": "-1", "JOB_COMPLETIONS": "3"}, "JOB_COMPLETION_INDEX: a whole number expected, '-1'"),
        ({"JOB_COMPLETION_INDEX": "٣", "JOB_COMPLETIONS": "9"}, "JOB_COMPLETION_INDEX: a whole number expected"),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "0"}, "do not fit together"),
        (
            {"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "3", "AWS_BATCH_JOB_ARRAY_INDEX": "0"},
            "JOB_COMPLETION_INDEX and AWS_BATCH_JOB_ARRAY_INDEX are set, and one scheduler is expected",
        ),
        (slurm(3, 1, 4, 3), "the array has gaps.*--array=1-3 has none, or say --shard I/N"),
        (slurm(2, 1, 5, 3), "the array has gaps"),
        (slurm(9, 1, 5, 3), "do not fit together"),
        (slurm(3, 3, 3, 2), "do not fit together"),
        (slurm(3, 3, 4, 1), "the array has gaps"),
        (slurm(1, 1, 1, 0), "do not fit together"),
    ],
)
def test_variables_that_say_no_shard_are_refused(environment: Mapping[str, str], said: str) -> None:
    with pytest.raises(ShardError, match=said):
        shard_of_array(environment)


def test_an_array_of_one_task_is_the_whole_survey() -> None:
    assert shard_of_array(slurm(7, 7, 7, 1)) == Shard()
    assert asked_shard("2/4") == Shard(2, 4)


def test_the_log_says_which_variables_gave_the_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(40, 50, 3)).save(tmp_path / "a.png")
    for name, value in slurm(6, 2, 10, 3).items():
        monkeypatch.setenv(name, value)
    found = noseam("plan", tmp_path / "a.png", "--shard", "auto")
    said = "SLURM_ARRAY_TASK_ID=6, SLURM_ARRAY_TASK_MIN=2, SLURM_ARRAY_TASK_MAX=10, SLURM_ARRAY_TASK_COUNT=3"
    assert f"shard 2/3, because {said}\n" in found.output


def test_the_command_line_says_what_is_looked_for() -> None:
    found = noseam("plan", ".", "--shard", "auto")
    assert found.exit_code == 2
    assert "Invalid value for '--shard': auto: this is no task of an array job" in found.output
