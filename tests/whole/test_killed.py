"""After a run is ended at any instant, the same command again leads to the tree of an undisturbed run."""

from __future__ import annotations

import json
import platform
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import (
    HOLDER,
    LOCK,
    MANIFEST,
    MEMORY,
    NORTH_UP,
    RUN,
    contents,
    exit_code,
    make_survey,
    run,
    segment_command,
    start,
)

SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
GRACE_S = 10.0
PATIENCE_S = 60.0
INSTANTS = [*range(6), *(pytest.param(index, marks=pytest.mark.slow) for index in range(6, 20))]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A run that ended by itself."""

    survey: Path
    """The images."""
    model: Path
    """The checkpoint."""
    contents: dict[str, bytes]
    """What it wrote."""
    begun_s: float
    """Seconds from its start until it took the output folder."""
    ended_s: float
    """Seconds from its start to its end."""

    def command(self, out: Path) -> list[str]:
        """Return the command that does the same in another folder."""
        return segment_command(self.survey, out, self.model, "--confidence", "--polygons")

    def instant(self, index: int) -> float:
        """Return the seconds after which to end a run: one of six before it takes its folder, the others after."""
        at = random.Random(index).random()
        if index % 6 == 0:
            return 0.15 + at * (self.begun_s - 0.15)
        return self.begun_s + (index % 6 - 1 + at) / 5 * (self.ended_s - self.begun_s)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("killed")
    survey = make_survey(folder / "survey", photos=5, rasters=3)
    model = checkpoint_folder(folder / "model", classes=4, tiling=squares(256, 64))
    command = [*segment_command(survey, folder / "first", model), "--confidence", "--polygons"]
    assert run(command).returncode == 0  # compiles and converts once, for all runs
    command[command.index(str(folder / "first"))] = str(folder / "out")
    started = time.monotonic()
    with start(command) as process:
        wait_for(lambda: (folder / "out").exists())
        begun = time.monotonic() - started
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return Undisturbed(survey, model, contents(folder / "out"), begun, time.monotonic() - started)


def wait_for(happened: Callable[[], object]) -> None:
    """Return as soon as a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def end(process: subprocess.Popen[str], number: int) -> tuple[str, float]:
    """Send a signal; return standard error, and how many seconds the process lived on."""
    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=PATIENCE_S)
    return stderr, time.monotonic() - sent


def assert_a_record(out: Path) -> None:
    """Check that every line of the record is JSON, whole, with an id and a state."""
    if (out / MANIFEST).exists():
        lines = (out / MANIFEST).read_text(encoding="utf-8").splitlines(keepends=True)
        assert all(line.endswith("\n") and json.loads(line)["state"] for line in lines)


def check_one_end(undisturbed: Undisturbed, out: Path, number: int, index: int) -> None:
    command = undisturbed.command(out)
    with start(command) as process:
        time.sleep(undisturbed.instant(index))
        stderr, lived_on = end(process, number)
    assert exit_code(process) in {0, 128 + number}, stderr
    if index % 6 or process.returncode:  # before the command sets its handlers, Python may lose a signal
        assert lived_on < GRACE_S
    found = contents(out) if out.exists() else {}
    hidden = {name for name in found if any(part.startswith(".") for part in Path(name).parts)}
    named = found.keys() - hidden - {"summary.csv"}
    assert {name: found[name] for name in named} == {name: undisturbed.contents[name] for name in named}
    if number != signal.SIGKILL:
        assert not [name for name in found if ".part" in name], "an orderly end leaves nothing half done"
        assert_a_record(out)
    again = run(command)
    assert again.returncode == 0, again.stderr
    assert contents(out) == undisturbed.contents
    assert_a_record(out)
    assert {path.name for path in out.rglob(".*")} <= {LOCK, MEMORY, RUN, ".noseam.aside", ".index.html.noseam.lock"}


@pytest.mark.parametrize("index", INSTANTS)
def test_the_same_command_finishes_what_was_ended(undisturbed: Undisturbed, tmp_path: Path, index: int) -> None:
    with ThreadPoolExecutor(len(SIGNALS)) as pool:  # a run with each signal, at the same time
        ends = [pool.submit(check_one_end, undisturbed, tmp_path / each.name, each, index) for each in SIGNALS]
    for end in ends:
        end.result()


def test_a_run_ended_again_and_again_gets_there(undisturbed: Undisturbed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for index in range(2, 8):
        with start(undisturbed.command(out)) as process:
            time.sleep(undisturbed.instant(index))
            end(process, SIGNALS[index % 3])
    last = run(undisturbed.command(out))
    assert last.returncode == 0, last.stderr
    assert contents(out) == undisturbed.contents


def test_a_second_signal_ends_a_run_at_once(undisturbed: Undisturbed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(undisturbed.command(out)) as process:
        wait_for(lambda: list(out.glob(".*.part*")))
        process.send_signal(signal.SIGTERM)
        _, lived_on = end(process, signal.SIGTERM)
    assert exit_code(process) == 143
    assert lived_on < GRACE_S / 2
    assert run(undisturbed.command(out)).returncode == 0
    assert contents(out) == undisturbed.contents


@pytest.fixture
def holder(undisturbed: Undisturbed, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that stands still in the middle of its work on `tmp_path / "out"`."""
    with start(undisturbed.command(tmp_path / "out")) as process:
        wait_for(lambda: (tmp_path / "out" / HOLDER).exists() and list((tmp_path / "out").glob(".*_label.*.part*")))
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


def test_of_two_runs_on_one_folder_one_works_and_the_other_says_which(
    undisturbed: Undisturbed, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert (out / HOLDER).exists()
    second = run(undisturbed.command(out))
    assert exit_code(second) == 75, second.stderr
    assert f"process {holder.pid} on {platform.node()}" in second.stderr
    assert [line for line in second.stderr.splitlines() if "Error: " in line]
    holder.send_signal(signal.SIGCONT)
    _, stderr = holder.communicate(timeout=PATIENCE_S)
    assert holder.returncode == 0, stderr
    assert "8 done, 0 skipped, 0 failed" in stderr
    assert contents(out) == undisturbed.contents


def test_a_holder_that_was_killed_holds_nothing(
    undisturbed: Undisturbed, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.kill()
    holder.wait()
    assert list((tmp_path / "out").glob(".*.part*"))
    after = run(undisturbed.command(tmp_path / "out"))
    assert after.returncode == 0, after.stderr
    assert contents(tmp_path / "out") == undisturbed.contents


def test_a_run_killed_while_it_sieves_leaves_nothing_for_good(undisturbed: Undisturbed, tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    write_tif(survey / "map.tif", noise(3, 1500, 1500), crs=UTM, transform=NORTH_UP)
    command = segment_command(survey, out, undisturbed.model, "--polygons", "--min-area", "4")
    with start(command) as process:
        wait_for(lambda: process.poll() is not None or list(out.glob(".sieve.*")))
        assert process.poll() is None, "it was too fast to be killed"
        end(process, signal.SIGKILL)
    after = run(command)
    assert after.returncode == 0, after.stderr
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} <= {LOCK, MEMORY, RUN}
