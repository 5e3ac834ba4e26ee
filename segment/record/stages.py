"""What the stages of a run took, as lines for people, and what limits the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiler.stopwatch import STAGES, Stage, Stages

_BEFORE: tuple[Stage, ...] = ("plan", "open")
"""What a run takes before its first image, whatever the number of images."""
_BUSY = 0.85
"""A resource that is used for this share of the time limits the run."""
_WAITS = ("wait", "sync", "download")
"""Stages that keep no core busy."""
_OF_DEVICE: tuple[Stage, ...] = ("network", "stitch")
_NOTES: Mapping[Stage, str] = {
    "plan": "headers",
    "open": "the model",
    "read": "decode and resample",
    "wait": "tiles, for their batch",
    "upload": "tiles to the device",
    "stitch": "blend, upsample, label",
    "download": "wait for labels",
    "count": "pixels of each class",
    "encode": "compress and write",
    "verify": "read back",
    "sync": "wait for the disk",
    "previews": "for the report",
}


def stages_as_lines(stages: Stages, *, pixels: int, seconds: float) -> list[str]:
    """Return a table of the stages that ran, and a sentence on what limits the run; nothing where none ran.

    Parameters
    ----------
    stages : Stages
        What they took.
    pixels : int
        Source pixels of the images that are done.
    seconds : float
        Seconds of the run.
    """
    ran = [stage for stage in STAGES if stage in stages.seconds]
    if not ran:
        return []
    work_s = sum(stages.seconds[stage] for stage in ran if stage != "wait")
    lines = ["", "stage      seconds  share ms per MP"]
    for stage in ran:
        took = stages.seconds[stage]
        share = "" if stage == "wait" or not work_s else _percent(took / work_s)
        per_mp = "" if stage in _BEFORE or not pixels else f"{took * 1e9 / pixels:.1f}"
        lines.append(f"{stage:9} {took:8.2f} {share:>6} {per_mp:>9}  {_NOTES.get(stage, '')}".rstrip())
    return [
        *lines,
        "Seconds are sums over threads and workers.",
        f"What limits this run: {what_limits(stages, seconds)}",
    ]


def stages_as_dict(stages: Stages, *, seconds: float) -> dict[str, Any]:
    """Return the same as JSON-able values; empty where no stage ran."""
    if not stages.seconds:
        return {}
    return {
        "seconds": {stage: round(stages.seconds[stage], 4) for stage in STAGES if stage in stages.seconds},
        "times": {stage: stages.times[stage] for stage in STAGES if stage in stages.times},
        "core_seconds": round(stages.core_s, 3),
        "offered": {resource: round(offered, 3) for resource, offered in sorted(stages.offered.items())},
        "limit": what_limits(stages, seconds),
    }


def what_limits(stages: Stages, seconds: float) -> str:
    """Return what limits a run, in a few words: a device or the cores, where they are busy nearly all the time."""
    took = stages.seconds
    before = sum(took.get(stage, 0.0) for stage in _BEFORE)
    if before > seconds / 2:
        return f"the start took {before:.1f} of {seconds:.1f} s; a longer run shows more"
    if not (cores_s := stages.offered.get("cores")):
        return "unknown, because no image was begun"
    cores, name, network = stages.core_s / cores_s, "network", took.get("network", 0.0) / cores_s
    if device_s := stages.offered.get("device"):
        name, network = "GPU", sum(took.get(stage, 0.0) for stage in _OF_DEVICE) / device_s
    if network >= _BUSY:
        return f"the {name}, busy {_percent(network)} of the time"
    if cores >= _BUSY:
        return f"the cores, busy {_percent(cores)} of the time, most of it with {_most(stages)}"
    advice = "more --workers may help" if device_s else "other programs or a slow disk may take the rest"
    return f"nothing alone: the {name} was busy {_percent(network)} of the time, the cores {_percent(cores)}; {advice}"


def _most(stages: Stages) -> str:
    """Return the two stages on cores that took most."""
    on_cores = {stage: took for stage, took in stages.seconds.items() if stage not in {*_BEFORE, *_WAITS}}
    largest = sorted(on_cores, key=lambda stage: -on_cores[stage])[:2]
    return " and ".join(f"{stage} ({_percent(on_cores[stage] / sum(on_cores.values()))})" for stage in largest)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
