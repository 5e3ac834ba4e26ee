"""A training that is told to end, or is killed, leaves no process behind and says one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.crop_folder import crop_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no process groups there")
PATIENCE_S = 120


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crop_folder(tmp_path_factory.mktemp("endings") / "crops", train=32, val=16)


class Training:
    """A training in a process group of its own, with two processes that read crops, in its second epoch at least."""

    def __init__(self, crops: Path, out: Path) -> None:
        command = ["train", str(crops), "--out", str(out), "--base", "nano", "--epochs", "500", "--input", "64",
                   "--workers", "2", "--device", "cpu", "--threads", "1"]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.wait_for((out / "state").glob, "checkpoint-*/trainer_state.json")
        self.wait_for(psutil.Process(self.process.pid).children)
        self.readers: list[psutil.Process] = psutil.Process(self.process.pid).children()

    def wait_for(self, look: object, *what: str) -> None:
        assert callable(look)
        deadline = time.monotonic() + PATIENCE_S
        while not list(look(*what)) and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors

    def alive(self) -> list[psutil.Process]:
        """Return the readers that still run after a while; those that nobody has buried do not."""
        deadline = time.monotonic() + PATIENCE_S
        left: list[psutil.Process] = self.readers
        while left and time.monotonic() < deadline:
            left = [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
            time.sleep(0.01)
        return left


@pytest.fixture
def training(crops: Path, tmp_path: Path) -> Iterator[Training]:
    found = Training(crops, tmp_path / "out")
    yield found
    if found.process.poll() is None:
        os.killpg(found.process.pid, signal.SIGKILL)
        found.process.communicate()


@pytest.mark.parametrize(
    ("number", "code", "delay_s"),
    [(signal.SIGTERM, 143, 0.0), (signal.SIGTERM, 143, 0.31), (signal.SIGINT, 130, 0.17)],
)
def test_a_signal_to_the_whole_group_ends_a_training_in_order(
    training: Training, number: signal.Signals, code: int, delay_s: float
) -> None:
    """It comes at several moments: between, within and after a validation."""
    time.sleep(delay_s)
    os.killpg(training.process.pid, number)
    found, errors = training.end()
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "interrupted; the same command again goes on from the last validation"
    assert found == code
    assert training.alive() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere readers notice it after seconds")
def test_readers_end_with_a_training_that_is_killed(training: Training) -> None:
    os.kill(training.process.pid, signal.SIGKILL)
    assert training.end()[0] == -signal.SIGKILL
    assert training.alive() == []
