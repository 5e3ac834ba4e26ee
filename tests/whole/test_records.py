"""What a run leaves for programs, when it stops, and how it keeps other runs out."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from PIL import Image

from segment.guard.limits import Gate
from segment.guard.lock import HOLDER, LOCK, hold_folder
from segment.guard.pulse import Pulse
from segment.guard.request import RunLimits
from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.record.manifest import MANIFEST, Manifest
from segment.record.outcome import Outcome
from segment.run.image import Masks, Segmented, segment_image
from segment.run.runner import Runner
from tests.grids import squares
from tests.make import noise
from tests.models import MeanEngine, checkpoint_folder, class_table, runner_of
from tests.runs import noseam, segment_command
from tests.runs import run as run_command
from tiler.files.atomic import _PROCESS, hidden_name, sweep
from tiler.files.outputs import files_beside
from tiler.files.walk import walk_survey
from tiler.masks.coverage import Coverage
from tiler.masks.sink import write_error


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]


def run(
    survey: Path, out: Path, limits: RunLimits | None = None, *, overwrite: bool = False
) -> tuple[list[Outcome], Gate]:
    request = Request(tiling=squares(64, 64), out=out)
    plan = plan_survey(walk_survey([survey], out=out), request)
    gate = Gate(limits or RunLimits())
    runner: Runner = runner_of(MeanEngine())
    return list(runner.run(plan, request, overwrite=overwrite, gate=gate)), gate


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(noise(40, 50, 3)).save(folder / f"{name}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def test_every_input_has_one_line_per_run(survey: Path, tmp_path: Path) -> None:
    run(survey, tmp_path / "out")
    first = lines_of(tmp_path / "out")
    assert sorted((Path(line["path"]).name, line["state"]) for line in first) == [
        ("a.png", "done"), ("b.png", "done"), ("bad.png", "failed"), ("c.png", "done"),
    ]  # fmt: skip
    done = next(line for line in first if line["image"] == "a.png")
    assert sum(done["pixels"].values()) + done["no_data"] == 40 * 50
    assert done["megapixels"] == 0.002
    assert "not an accepted image" in next(line for line in first if line["state"] == "failed")["reason"]
    run(survey, tmp_path / "out")
    second = lines_of(tmp_path / "out")
    assert second[:4] == first
    assert sorted(line["state"] for line in second[4:]) == ["failed", "skipped", "skipped", "skipped"]
    assert len({line["run"] for line in second}) == 2


def test_a_line_that_was_cut_short_anywhere_is_dropped(tmp_path: Path) -> None:
    with Manifest(tmp_path / MANIFEST, class_table(2)) as manifest:
        manifest.append([Outcome(tmp_path / "a.jpg", "failed", "why", relative=Path("a.jpg"))])
    whole = (tmp_path / MANIFEST).read_bytes()
    for length in range(len(whole)):
        (tmp_path / MANIFEST).write_bytes(whole + whole[:length])
        with Manifest(tmp_path / MANIFEST, class_table(2)) as manifest:
            manifest.append([Outcome(tmp_path / "c.jpg", "done", coverage=Coverage((1, 2), 0), relative=Path("c.jpg"))])
        assert [line["image"] for line in lines_of(tmp_path)] == ["a.jpg", "c.jpg"]
    assert lines_of(tmp_path)[1]["pixels"] == {"class 0": 1, "class 1": 2}


def test_a_last_line_that_noseam_did_not_write_stays(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"mine": 1}')
    with Manifest(tmp_path / MANIFEST, class_table(2)) as manifest:
        manifest.append([Outcome(tmp_path / "a.jpg", "failed", "why", relative=Path("a.jpg"))])
    assert [line.get("mine") for line in lines_of(tmp_path)] == [1, None]


def test_a_name_that_is_no_text_is_recorded(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\n.jpg")
    with Manifest(tmp_path / MANIFEST, class_table(2)) as manifest:
        manifest.append([Outcome(tmp_path / name, "failed", "why", relative=Path(name))])
    assert lines_of(tmp_path)[0]["image"] == "\\udcff\n.jpg"


def test_too_many_errors_stop_the_run(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        time.sleep(0.1)
        raise OSError("gone")

    for index in range(20):
        shutil.copy(survey / "a.png", survey / f"more_{index}.png")
    monkeypatch.setattr("segment.run.worker.segment_image", fail)
    outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_errors=2))
    assert gate.end == "errors"
    assert 4 <= len(outcomes) < 12


def test_what_is_refused_unread_does_not_keep_a_run_from_the_rest(survey: Path, tmp_path: Path) -> None:
    outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_errors=0))
    assert (gate.end, len(outcomes)) == ("complete", 4)


def test_after_its_time_a_run_begins_no_image_and_the_next_goes_on(survey: Path, tmp_path: Path) -> None:
    outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_runtime_min=1e-9))
    assert (gate.end, [outcome.state for outcome in outcomes]) == ("runtime", ["failed"])
    outcomes, gate = run(survey, tmp_path / "out")
    assert sum(outcome.state == "done" for outcome in outcomes) == 3
    assert gate.end == "complete"


def test_a_drive_that_hangs_costs_what_it_holds_and_ends_the_run(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def hang(masks: Masks, **options: Any) -> Segmented:
        if masks.plan.found.path.name == "b.png":
            answers.wait()
        return segment_image(masks, **options)

    monkeypatch.setattr("segment.run.worker.segment_image", hang)
    outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_stall_min=0.01))
    assert gate.end == "stalled"
    found = {outcome.path.name: outcome for outcome in outcomes}
    assert {name: outcome.state for name, outcome in found.items()} == {
        "a.png": "done", "b.png": "failed", "bad.png": "failed", "c.png": "done",
    }  # fmt: skip
    assert "nothing moved for 0.01 minutes; does its drive" in found["b.png"].reason
    assert len(lines_of(tmp_path / "out")) == 4
    answers.set()
    monkeypatch.undo()
    outcomes, gate = run(survey, tmp_path / "out")
    assert {outcome.path.name for outcome in outcomes if outcome.state != "failed"} == {"a.png", "b.png", "c.png"}


def test_a_drive_that_hangs_when_no_more_work_is_taken_ends_the_run_too(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, begun = threading.Event(), threading.Event()

    def hang_or_fail(masks: Masks, **options: Any) -> None:
        if masks.plan.found.path.name == "b.png":
            begun.set()
            answers.wait()
        begun.wait()
        raise OSError("gone")

    monkeypatch.setattr("segment.run.worker.segment_image", hang_or_fail)
    (survey / "bad.png").unlink()
    outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_errors=0, max_stall_min=0.01))
    answers.set()
    assert gate.end == "stalled"
    assert sorted(outcome.path.name for outcome in outcomes if "nothing moved" in outcome.reason) == ["b.png"]


def test_the_command_ends_though_a_drive_hangs(survey: Path, tmp_path: Path, model: Path) -> None:
    code = (
        "import threading, segment.run.worker\n"
        "segment.run.worker.segment_image = lambda *arguments, **options: threading.Event().wait()\n"
        "from cli import main\n"
        "main()"
    )
    command: list[str | Path] = ["segment", survey, "--out", tmp_path / "out", "--model", model]
    options = ["--max-stall", "0.01", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    sums = json.loads(done.stdout)
    assert (sums["inputs"], sums["failed"] + sums["left"], sums["end"]) == (4, 4, "stalled")
    assert "does its drive or that of the masks hang?" in done.stderr
    assert noseam(*command).exit_code == 3


def test_the_command_ends_though_its_records_hang(survey: Path, tmp_path: Path, model: Path) -> None:
    code = "import os, threading\nos.fsync = lambda file: threading.Event().wait()\nfrom cli import main\nmain()"
    command: list[str | Path] = ["segment", survey, "--out", tmp_path / "out", "--model", model, "--max-stall", "0.05"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "does a drive hang?" in done.stderr


def test_images_that_end_together_wait_for_the_disk_together(survey: Path, tmp_path: Path) -> None:
    for index in range(12):
        shutil.copy(survey / "a.png", survey / f"more_{index}.png")
    waits: list[int] = []

    def wait(file: int) -> None:
        waits.append(file)
        time.sleep(0.2)

    with patch("segment.record.manifest.os", wraps=os, fsync=wait):
        outcomes, _ = run(survey, tmp_path / "out")
    assert len(outcomes) == 16
    assert len(lines_of(tmp_path / "out")) == 16
    assert 1 < len(waits) < 12


def test_work_without_news_is_no_stall() -> None:
    pulse = Pulse()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        sum(range(10_000))
    assert pulse.still_s() == 0
    time.sleep(0.6)
    assert 0.5 < pulse.still_s() < 5
    pulse.move()
    assert pulse.still_s() < 0.5


def test_an_image_that_waited_for_room_does_not_begin_after_the_end(survey: Path, tmp_path: Path) -> None:
    def work(*arguments: Any, **options: Any) -> Segmented:
        time.sleep(0.5)
        return segment_image(*arguments, **options)

    with patch("segment.run.worker.WORKING_BYTES", 1), patch("segment.run.worker.segment_image", work):  # one at a time
        outcomes, gate = run(survey, tmp_path / "out", RunLimits(max_runtime_min=0.25 / 60))
    assert gate.end == "runtime"
    assert sorted(outcome.state for outcome in outcomes) == ["done", "failed"]


@pytest.mark.parametrize(("options", "end"), [(("--only", "x", "--polygons"), "failed"), ((), "complete")])
def test_json_says_how_a_run_ended(
    survey: Path, tmp_path: Path, model: Path, options: tuple[str, ...], end: str
) -> None:
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, "--json", *options)
    assert json.loads(result.stdout)["end"] == end


def test_polygons_of_somebody_else_are_not_replaced_unasked(survey: Path, tmp_path: Path, model: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_polygons.gpkg").write_text("my own project")
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--polygons"
    result = noseam(*command)
    assert "a_polygons.gpkg exists and noseam did not write it" in result.stderr
    assert (tmp_path / "out" / "a_polygons.gpkg").read_text() == "my own project"
    assert not (tmp_path / "out" / "a_label.png").exists()
    noseam(*command, "--overwrite")
    assert (tmp_path / "out" / "a_polygons.gpkg").read_bytes().startswith(b"SQLite")


def test_a_mask_that_is_removed_meanwhile_is_made_again(survey: Path, tmp_path: Path) -> None:
    run(survey, tmp_path / "out")
    request = Request(tiling=squares(64, 64), out=tmp_path / "out")
    plan = plan_survey(walk_survey([survey], out=request.out), request)
    there = files_beside(plan.outputs)
    (tmp_path / "out" / "a_label.png").unlink()
    with patch("segment.plan.standing.files_beside", lambda outputs: there):
        outcomes = {outcome.path.name: outcome.state for outcome in runner_of(MeanEngine()).run(plan, request)}
    assert outcomes == {"a.png": "done", "b.png": "skipped", "bad.png": "failed", "c.png": "skipped"}


def test_a_folder_that_cannot_be_listed_costs_its_own_images(survey: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (survey / "sub").mkdir()
    (survey / "a.png").rename(survey / "sub" / "a.png")
    (tmp_path / "out" / "sub").write_text("a file where a folder should be")
    outcomes, _ = run(survey, tmp_path / "out")
    assert {outcome.path.name: outcome.state for outcome in outcomes} == {
        "a.png": "failed", "b.png": "done", "bad.png": "failed", "c.png": "done",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("segment.engine.openvino_engine.OpenVinoEngine", "EngineError"),
        ("segment.run.model.fit_classes", "ImportError"),
    ],
)
def test_a_signal_that_a_library_takes_for_its_own_error_ends_the_run(
    survey: Path, tmp_path: Path, model: Path, place: str, error: str
) -> None:
    code = (
        f"import signal, {place.rpartition('.')[0]}\n"
        "from segment.errors import EngineError\n"
        "def swallow(*arguments, **options):\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    except BaseException as error:\n"
        f"        raise {error}(str(error))\n"
        f"{place} = swallow\n"
        "from cli import main\n"
        "main()"
    )
    command: list[str | Path] = ["segment", survey, "--out", tmp_path / "out", "--model", model]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, done.stderr
    assert not list((tmp_path / "out").glob("*_label*"))


def test_a_log_that_cannot_be_written_is_told_once(survey: Path, tmp_path: Path, model: Path) -> None:
    command = segment_command(survey, tmp_path / "out", model)
    command[command.index("segment") : command.index("segment")] = ["--log-json", "/dev/full"]
    done = run_command(command)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("the log cannot be written: [Errno 28] No space left on device") == 1
    assert "Traceback" not in done.stderr


def test_results_that_nobody_takes_are_told_in_a_line(survey: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "plan", str(survey)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_stops_the_run(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(masks: Masks, **options: Any) -> None:
        raise write_error(masks.plan.label, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr("segment.run.worker.segment_image", fill)
    for index in range(20):
        shutil.copy(survey / "a.png", survey / f"more_{index}.png")
    outcomes, gate = run(survey, tmp_path / "out")
    assert gate.end == "disk full"
    assert {outcome.state for outcome in outcomes} == {"failed"}
    assert len(outcomes) < 10


def test_a_consumer_that_stops_gets_its_records(survey: Path, tmp_path: Path) -> None:
    request = Request(tiling=squares(64, 64), out=tmp_path / "out")
    plan = plan_survey(walk_survey([survey], out=request.out), request)
    gate = Gate(RunLimits())
    outcomes = runner_of(MeanEngine()).run(plan, request, gate=gate)
    got = [next(outcomes), next(outcomes)]
    outcomes.close()
    assert gate.end == "interrupted"
    lines = lines_of(request.out)  # images that ended together with the last one have a line too
    assert [line["path"] for line in lines[:2]] == [str(outcome.path) for outcome in got]
    assert [line["state"] for line in lines] == ["failed", *["done"] * (len(lines) - 1)]
    assert all((request.out / f"{Path(line['image']).stem}_label.png").exists() for line in lines[1:])
    assert (request.out / "summary.csv").exists()
    assert not list(request.out.glob(".*.part*"))


def test_a_folder_that_is_held_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        code = (
            "import sys; from pathlib import Path; from segment.guard.lock import hold_folder\n"
            "with hold_folder(Path(sys.argv[1])): pass"
        )
        child = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert child.returncode
    assert f"in use by another run of noseam: process {os.getpid()} on " in child.stderr
    with hold_folder(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / HOLDER).exists()


def test_the_command_line_says_that_a_folder_is_held(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    with hold_folder(out):
        code = "import sys, runpy; sys.argv = ['noseam', *sys.argv[1:]]; runpy.run_module('cli', run_name='__main__')"
        command: list[str | Path] = [sys.executable, "-c", code, "segment", survey, "--out", out, "--model", model]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 75
    assert f"Error: {out}: in use by another run of noseam: process {os.getpid()}" in child.stderr


def test_what_a_dead_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = hidden_name(tmp_path / "a" / "x_label.png")
    left = left.with_name(left.name.replace(f".{os.getpid()}-", f".{int(dead.stdout)}-").replace(_PROCESS, "0" * 8))
    ours = hidden_name(tmp_path / "a" / "y_label.png")
    alive = ours.with_name(ours.name.replace(f".{os.getpid()}-", f".{os.getppid()}-").replace(_PROCESS, "0" * 8))
    kept = [ours, alive, *(tmp_path / "a" / name for name in (".hidden.png", "x.part", ".x.1-zz.part"))]
    gone = [
        left,
        left.with_name(left.name + ".tif"),
        ours.with_name(ours.name.replace(_PROCESS, "0" * 8)),
        left.with_name(left.name + ".gpkg-journal"),
        left.with_name(left.name + ".gpkg.tmp_rtree_a.db"),
    ]
    (tmp_path / "a").mkdir()
    for path in (*kept, *gone):
        path.touch()
    scratch = left.with_name(left.name + ".scratch")
    scratch.mkdir()
    (scratch / "labels").touch()
    assert sweep(tmp_path, of_all=False) == 6
    assert set((tmp_path / "a").iterdir()) == set(kept)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(64, 64))


def test_json_sums_up_the_run(survey: Path, tmp_path: Path, model: Path) -> None:
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, "--json")
    assert result.exit_code == 3
    sums = json.loads(result.stdout)
    assert {name: sums[name] for name in ("inputs", "done", "skipped", "failed", "left", "end")} == {
        "inputs": 4, "done": 3, "skipped": 0, "failed": 1, "left": 0, "end": "complete",
    }  # fmt: skip
    assert sums["failures"][0]["path"] == str(survey / "bad.png")


def test_a_run_that_its_time_stopped_has_an_exit_code_of_its_own(survey: Path, tmp_path: Path, model: Path) -> None:
    (survey / "bad.png").unlink()
    command = "segment", survey, "--out", tmp_path / "out", "--model", model
    result = noseam(*command, "--max-runtime", 1e-9)
    assert result.exit_code == 5
    assert "left:    3 of 3 images; --max-runtime is over; the same command goes on" in result.stdout
    assert noseam(*command).exit_code == 0


def test_the_log_is_kept_as_json(survey: Path, tmp_path: Path, model: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = noseam("-q", "--log-json", log, "segment", survey, "--out", tmp_path / "out", "--model", model)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(entry["state"] for entry in entries if "state" in entry) == ["done", "done", "done", "failed"]
    assert {entry["level"] for entry in entries} >= {"INFO", "ERROR"}
    assert " INFO " not in result.stderr
    noseam("segment", survey, "--out", tmp_path / "out", "--model", model)
    assert len(log.read_text().splitlines()) == len(entries)


def test_a_class_that_the_model_lacks_is_refused_before_any_image(survey: Path, tmp_path: Path, model: Path) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--polygons", "--only", "class 9"
    result = noseam(*command)
    assert result.exit_code == 2
    assert "--only: no class 'class 9'; known: 0 class 0, 1 class 1, 2 class 2" in result.stderr
    assert not list((tmp_path / "out").glob("*_label*"))


def test_a_vector_file_of_a_kind_that_is_not_written_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a_label.png").touch()
    result = noseam("polygons", tmp_path / "a_label.png", "--out", tmp_path / "a.gml")
    assert result.exit_code == 2
    assert "expected a folder, or a name that ends in .gpkg" in result.stderr
    assert not (tmp_path / "a.gml").exists()
