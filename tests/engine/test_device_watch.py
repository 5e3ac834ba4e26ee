"""Stages of a device are timed by its own events, and nobody waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch

from segment.engine.device_watch import device_stage
from tiler.stopwatch import running, taken

DEVICE = torch.device("cuda", 0)


class Event:
    """An event that is done when a test says so; each lies 2 s behind the one before."""

    made = 0
    done = 0
    broken = False

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        Event.made += 1
        self.number = Event.made

    def record(self, stream: str) -> None:
        assert stream == "stream"

    def query(self) -> bool:
        if Event.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return self.number <= Event.done

    def elapsed_time(self, other: Event) -> float:
        return 2000.0 * (other.number - self.number)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Event]]:
    monkeypatch.setattr("torch.cuda.Event", Event)
    Event.made, Event.done, Event.broken = 0, 0, False
    with running():
        yield Event
        Event.done = Event.made
        taken()


def test_a_stage_counts_once_the_device_is_done_with_it(events: type[Event]) -> None:
    for _ in range(3):
        with device_stage("network", DEVICE, "stream"):
            pass
    assert taken().seconds == {}
    events.done = 4
    found = taken()
    assert found.seconds == {"network": 4}
    assert found.times == {"network": 2}
    assert found.offered["device"] > 0
    events.done = 6
    assert taken().seconds == {"network": 2}


def test_a_stage_that_fails_does_not_count(events: type[Event]) -> None:
    with pytest.raises(RuntimeError, match="shapes"), device_stage("stitch", DEVICE, "stream"):
        raise RuntimeError("shapes do not fit")
    events.done = 2
    assert taken().seconds == {}


def test_a_lost_device_spoils_no_table(events: type[Event]) -> None:
    with device_stage("network", DEVICE, "stream"):
        pass
    events.broken = True
    assert taken().seconds == {}


def test_on_the_cpu_the_block_itself_counts() -> None:
    with running():
        with device_stage("network", torch.device("cpu")):
            time.sleep(0.02)
        assert 0.02 * torch.get_num_threads() <= taken().seconds["network"] < 60


def test_nothing_touches_a_device_while_no_times_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.Event", None)
    with device_stage("network", DEVICE):
        pass


@pytest.mark.gpu
def test_a_device_takes_its_own_time() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with running():
        square = torch.rand(4096, 4096, device="cuda")
        with device_stage("network", square.device):
            for _ in range(50):
                square = square @ square / 4096
        torch.cuda.synchronize()
        found = taken()
    assert 1e-4 < found.seconds["network"] < 10
    assert found.times == {"network": 1}
