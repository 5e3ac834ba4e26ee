"""What a run has to compute with, as its record and the report say it."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest

from segment.plan.shard import WHOLE
from segment.plan.survey import SurveyPlan
from segment.record import hardware
from segment.record.begun import RUN, begin_record, read_records
from segment.record.hardware import Hardware, gpu_names, hardware_of


class Driver:
    """A driver with two GPUs of one kind."""

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA H100"
        return 0


def test_a_processor_is_told_by_its_name_and_the_cores_that_a_run_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\nmodel name\t: another\n")
    monkeypatch.setattr(hardware, "_CPU_INFO", info)
    assert hardware_of(4, gpus=False) == Hardware("AMD EPYC 7B13, 4 cores")
    assert hardware_of(1, gpus=False).processor == "AMD EPYC 7B13, 1 core"
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert hardware_of(2, gpus=False).processor == "a processor of unknown name, 2 cores"


def test_gpus_are_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert gpu_names() == ("NVIDIA H100", "NVIDIA H100")
    monkeypatch.setattr(Driver, "cuInit", lambda self, flags: 100)
    assert gpu_names() == ()

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert gpu_names() == ()


def test_gpus_are_named_where_the_network_ran_there() -> None:
    found = Hardware("AMD, 4 cores", ("NVIDIA H100", "NVIDIA H100", "NVIDIA L4"))
    assert found.in_words(on_gpu=True) == "2 x NVIDIA H100; NVIDIA L4; AMD, 4 cores"
    assert found.in_words(on_gpu=False) == "AMD, 4 cores"
    assert Hardware().in_words(on_gpu=True) == ""


def test_a_record_keeps_it_and_one_without_it_can_be_read(tmp_path: Path) -> None:
    known = Hardware("AMD, 4 cores", ("NVIDIA L4",))
    begin_record(tmp_path, WHOLE, SurveyPlan((), ()), (), known)
    assert [begun.hardware for begun in read_records(tmp_path)[0]] == [known]
    record = json.loads((tmp_path / RUN).read_text())
    del record["hardware"]
    (tmp_path / RUN).write_text(json.dumps(record))
    assert [begun.hardware for begun in read_records(tmp_path)[0]] == [Hardware()]
