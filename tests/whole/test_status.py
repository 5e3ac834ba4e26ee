"""`noseam status` tells how a real run stands while it runs, after it was killed, and when it has ended."""

from __future__ import annotations

import json
import platform
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import noseam
from tests.grids import squares
from tests.models import checkpoint_folder
from tests.runs import MANIFEST, RUN, contents, make_survey, segment_command, start
from tests.runs import noseam as command

NEEDS_STOP = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a system that can halt a process")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(256, 64))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    return make_survey(tmp_path / "survey", photos=12, rasters=2)


def wait_for(happened: Callable[[], object]) -> None:
    """Return as soon as a condition holds."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


@NEEDS_STOP
def test_a_run_is_told_while_it_runs_and_after_it_was_killed(survey: Path, model: Path, tmp_path: Path) -> None:
    out, (bad, gone) = tmp_path / "out", (survey / "bad.png", tmp_path / "gone")
    bad.write_bytes(b"no picture")
    typed = segment_command(survey, out, model)
    with start(typed) as process:
        try:
            wait_for(lambda: (out / MANIFEST).exists() and '"done"' in (out / MANIFEST).read_text())
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            survey.rename(gone)  # the records alone are needed
            before = contents(out)
            running = command("status", out)
            told = json.loads(command("status", out, "--json").stdout)
            assert contents(out) == before
        finally:
            process.kill()
            process.communicate()
    assert running.exit_code == 5
    assert f"running:  process {process.pid} on {platform.node()}; " in running.output
    assert "failed:   " in running.output
    assert (told["running"], told["complete"], told["failed"], told["images"]) == (True, False, 1, 15)
    assert told["left"] == 15 - told["done"] - told["failed"] > 0
    killed = command("status", out)
    assert killed.exit_code == 5
    assert f"run:     cut off on {platform.node()}; last image " in killed.output
    assert killed.output.endswith(f"  noseam {' '.join(typed[3:])}\n")
    gone.rename(survey)
    again = command(*typed[3:])
    assert again.exit_code == 3, again.output
    ended = command("status", out)
    assert ended.exit_code == 3
    assert ended.output.startswith("14 of 15 images have masks, 1 failed\nrun:     done, ")
    assert f"what helps stands in {out / 'failures.csv'}" in ended.output
    bad.unlink()
    assert command(*typed[3:]).exit_code == 0
    shutil.rmtree(survey)
    last = command("status", out)
    assert (last.exit_code, last.output.splitlines()[0]) == (0, "14 of 14 images have masks")


def test_what_python_ran_is_told_without_a_command(survey: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    noseam.segment(survey, out, model=str(model), shard="2/3")
    found = noseam.status(out)
    assert [part.state for part in found.parts] == ["never ran", "ended", "never ran"]
    assert found.images == 14
    said = command("status", out).output
    assert "To go on: the same call with shard 1/3\nand the same with --shard 3/3\n" in said


def test_a_run_that_stopped_early_is_not_complete(survey: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("segment", survey, "--out", out, "--model", model, "--max-runtime", "1e-9").exit_code == 5
    found = command("status", out)
    assert found.exit_code == 5
    assert found.output.startswith("0 of 14 images have masks, 14 left\nrun:  stopped by --max-runtime, 1 second ago\n")
    part = command("segment", survey / "maps", "--out", out, "--model", model)
    assert part.exit_code == 0, part.output
    assert "part:  that run took a part of the survey alone" in command("status", out).output


def test_a_folder_without_records_says_so(tmp_path: Path) -> None:
    empty = command("status", tmp_path)
    assert (empty.exit_code, RUN not in empty.output) == (4, True)
    assert f"{tmp_path}: no record of a run found" in empty.output
    missing = command("status", tmp_path / "none")
    assert missing.exit_code == 2
    with pytest.raises(noseam.NoseamError, match="none: no such folder"):
        noseam.status(tmp_path / "none")
