"""The table of stages, and what it says of the limit of a run."""

from __future__ import annotations

import pytest

from segment.record.stages import stages_as_dict, stages_as_lines, what_limits
from tiler.stopwatch import STAGES, Resource, Stage, Stages


def stages(offered: dict[Resource, float], core_s: float, **seconds: float) -> Stages:
    took: dict[Stage, float] = {stage: seconds[stage] for stage in STAGES if stage in seconds}
    return Stages(took, dict.fromkeys(took, 1), offered, core_s)


def test_the_table_has_a_row_for_each_stage_that_ran() -> None:
    found = stages({"cores": 20}, 19, open=0.5, read=2, wait=40, network=7, verify=0.5)
    assert stages_as_lines(found, pixels=100_000_000, seconds=10) == [
        "",
        "stage      seconds  share ms per MP",
        "open          0.50    5 %            the model",
        "read          2.00   20 %      20.0  decode and resample",
        "wait         40.00            400.0  tiles, for their batch",
        "network       7.00   70 %      70.0",
        "verify        0.50    5 %       5.0  read back",
        "Seconds are sums over threads and workers.",
        "What limits this run: the cores, busy 95 % of the time, most of it with network (74 %) and read (21 %)",
    ]


def test_no_table_where_nothing_ran() -> None:
    assert stages_as_lines(Stages(), pixels=0, seconds=1) == []
    assert stages_as_dict(Stages(), seconds=1) == {}


@pytest.mark.parametrize(
    ("found", "seconds", "expected"),
    [
        (stages({"cores": 20}, 12, network=18.4), 10, "the network, busy 92 % of the time"),
        (stages({"cores": 160, "device": 10}, 50, network=8, stitch=1.2), 10, "the GPU, busy 92 % of the time"),
        (
            stages({"cores": 160, "device": 10}, 24, network=1.2, stitch=0.4, read=14),
            10,
            "nothing alone: the GPU was busy 16 % of the time, the cores 15 %; more --workers may help",
        ),
        (
            stages({"cores": 20}, 8, network=5, sync=14),
            10,
            "nothing alone: the network was busy 25 % of the time, the cores 40 %; other programs or a slow disk may "
            "take the rest",
        ),
        (stages({"cores": 4}, 4, open=5, network=1), 8, "the start took 5.0 of 8.0 s; a longer run shows more"),
        (stages({}, 0, plan=0.1), 3, "unknown, because no image was begun"),
    ],
)
def test_what_limits_a_run_is_what_is_busy_all_the_time(found: Stages, seconds: float, expected: str) -> None:
    assert what_limits(found, seconds) == expected


def test_the_same_for_programs() -> None:
    found = stages({"cores": 20, "device": 10}, 12.3456, network=9.12345)
    assert stages_as_dict(found, seconds=10) == {
        "seconds": {"network": 9.1235},
        "times": {"network": 1},
        "core_seconds": 12.346,
        "offered": {"cores": 20, "device": 10},
        "limit": "the GPU, busy 91 % of the time",
    }
