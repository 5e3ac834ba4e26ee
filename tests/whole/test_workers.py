"""Several workers, of this machine or of a cluster, do what one process does, and a fault of one costs little."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster, Marked, cluster_of, ill, wait_for
from tests.grids import squares
from tests.make import noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import MANIFEST, contents, exit_code, make_survey, noseam, run, segment_command
from tests.whole.test_parts import SMALL, mosaic, photo

pytest.importorskip("distributed", reason="needs the extra cluster")
OF_A_RUN = {MANIFEST, "summary.csv", "failures.csv"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(128, 64))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a map with nodata, and two images of 20 parts."""
    folder = make_survey(tmp_path_factory.mktemp("survey") / "all", photos=6, rasters=2, height=200, width=300)
    photo(folder)
    mosaic(folder)
    return folder


@pytest.fixture(scope="module")
def masks(survey: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes of it in one piece."""
    out = tmp_path_factory.mktemp("masks")
    result = noseam("segment", survey, "--out", out, "--model", model, "--part-size", 0, "--polygons")
    assert result.exit_code == 0, result.output
    return masks_in(out)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_of(tmp_path_factory.mktemp("cluster"), "a", "b", "c") as cluster:
        yield cluster


def masks_in(out: Path) -> dict[str, bytes]:
    """Return every file that a run wrote, hidden ones too, but its records."""
    found = {name: data for name, data in contents(out).items() if not name.startswith(".noseam.")}
    return {name: data for name, data in found.items() if Path(name).name not in OF_A_RUN}


def lines_of(out: Path) -> dict[str, dict[str, Any]]:
    lines = map(json.loads, (out / MANIFEST).read_text().splitlines())
    return {Path(line["image"]).name: line for line in lines}


def test_workers_of_this_machine_give_the_bytes_of_one_process(
    survey: Path, model: Path, masks: dict[str, bytes], tmp_path: Path
) -> None:
    marked = Marked()
    command = segment_command(survey, tmp_path, model, "--workers", "3", "--part-size", SMALL, "--polygons")
    result = run(command, env=marked.environment())
    assert result.returncode == 0, result.stderr
    assert masks_in(tmp_path) == masks
    marked.assert_all_gone()
    assert "10 done, 0 skipped, 0 failed" in result.stderr
    assert not [line for line in result.stderr.splitlines() if " INFO " not in line and " WARNING " not in line]
    assert re.search(r"done: .*photo.jpg: 1.4 megapixels in [\d.]+ s, worker [123]\n", result.stderr)
    assert {line["worker"] for line in lines_of(tmp_path).values()} <= {"1", "2", "3"}


def test_workers_of_a_cluster_give_them_too(
    survey: Path,
    model: Path,
    masks: dict[str, bytes],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(survey.parent)  # workers stand in another folder
    named = survey.name, "--out", os.path.relpath(tmp_path / "out"), "--scheduler", cluster.address
    command = "segment", *named, "--part-size", SMALL, "--polygons"
    result = noseam(*command, "--model", model, "--resources", "GPU=1")
    assert result.exit_code == 0, result.output
    assert masks_in(tmp_path / "out") == masks
    assert {line["worker"] for line in lines_of(tmp_path / "out").values()} <= {"a", "b", "c"}
    again = noseam(*command, "--model", os.path.relpath(model))
    assert "10 images: 10 skipped" in again.stdout, again.output


def test_so_does_the_union_of_shards(survey: Path, model: Path, masks: dict[str, bytes], tmp_path: Path) -> None:
    for index in range(5, 0, -1):
        command = "segment", survey, "--out", tmp_path, "--model", model, "--shard", f"{index}/5", "--polygons"
        assert noseam(*command, "--part-size", SMALL).exit_code == 0
    assert noseam("report", tmp_path).exit_code == 0
    found = {name: data for name, data in masks_in(tmp_path).items() if "-of-5." not in name}
    assert found == masks


def test_a_script_without_a_guard_may_ask_for_workers(survey: Path, model: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    call = (
        f"noseam.segment({str(survey / 'photo_1.jpg')!r}, {str(tmp_path / 'out')!r}, model={str(model)!r}, workers=2)"
    )
    script.write_text(f"import noseam\nprint([(each.state, each.worker) for each in {call}], __file__)\n")
    result = run([sys.executable, str(script)])
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() in ([f"[('done', '{worker}')] {script}"] for worker in (1, 2))
    assert "Traceback" not in result.stderr


def write_broken(path: Path) -> None:
    """Write an image whose header is right, and whose pixels cannot be decoded."""
    write_tif(path, noise(3, 90, 100), compress="deflate")
    path.write_bytes(path.read_bytes().replace(path.read_bytes()[5000:5400], bytes(400)))


def test_a_bad_image_costs_only_itself_and_the_log_tells_the_worker(model: Path, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=3, rasters=0, height=80, width=90)
    write_broken(survey / "bad.tif")
    command = segment_command(survey, tmp_path / "out", model, "--workers", "2", "-v")
    result = run(command)
    assert result.returncode == 3, result.stderr
    assert "3 done, 0 skipped, 1 failed" in result.stderr
    assert re.search(r"DEBUG worker [12]: .*bad.tif: RasterReadError; --debug shows where\n", result.stderr)
    (line,) = csv.DictReader((tmp_path / "out/failures.csv").read_text().splitlines())
    assert "copy the file again" in line["advice"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_survey(tmp_path_factory.mktemp("photos") / "all", photos=40, rasters=0, height=150, width=180)


@pytest.fixture(scope="module")
def of_photos(photos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("of photos")
    assert noseam("segment", photos, "--out", out, "--model", model).exit_code == 0
    return masks_in(out)


def without(found: dict[str, bytes], stem: str) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if not Path(name).name.startswith((f"{stem}_", f"{stem}.jpg_"))}


def test_an_image_that_always_kills_its_worker_alone_fails(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path
) -> None:
    marked, out = Marked(), tmp_path / "out"
    command = segment_command(photos, out, model, "--workers", "2")
    result = run(command, env=marked.environment(**ill(tmp_path / "ill", POISON="photo_17.jpg")))
    marked.assert_all_gone()
    assert result.returncode == 3, result.stderr
    assert "39 done, 0 skipped, 1 failed" in result.stderr
    assert "photo_17.jpg: its worker ended 3 times while it worked on this image, by signal 9" in result.stderr
    assert masks_in(out) == without(of_photos, "photo_17")
    again = run(command)
    assert again.returncode == 0, again.stderr
    assert masks_in(out) == of_photos


def test_so_does_one_on_a_cluster_that_gives_up_tasks_by_itself(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path
) -> None:
    with cluster_of(tmp_path / "cluster") as cluster:
        for name in ("a", "b"):
            cluster.add(name, **ill(tmp_path / "ill", POISON="photo_17.jpg"))
        result = noseam("segment", photos, "--out", tmp_path / "out", "--model", model, "--scheduler", cluster.address)
    assert result.exit_code == 3, result.output
    assert "40 images: 39 done, 1 failed" in result.stdout
    assert "photo_17.jpg: its worker ended 3 times" in result.stderr
    assert masks_in(tmp_path / "out") == without(of_photos, "photo_17")


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_workers_that_are_killed_cost_nothing(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path, kills: int
) -> None:
    marked, out, chance = Marked(), tmp_path / "out", random.Random(0)
    slow = 1.2 if kills < 10 else 2.5
    command = segment_command(photos, out, model, "--workers", "3")
    with subprocess.Popen(
        command, env=marked.environment(**ill(tmp_path / "ill", SLOW_S=str(slow))), stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_for(lambda: list(out.glob("*_label.png")) or process.poll() is not None)
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, 2.0))
            if workers := marked.workers():
                chance.choice(workers).send_signal(signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "40 done, 0 skipped, 0 failed" in stderr
    assert stderr.count("by signal 9; another takes its place") >= kills * 2 // 3
    assert masks_in(out) == of_photos
    marked.assert_all_gone()


def test_workers_that_are_killed_while_they_start_are_started_again(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path
) -> None:
    marked, out, chance = Marked(), tmp_path / "out", random.Random(0)
    command = segment_command(photos, out, model, "--workers", "2")
    with subprocess.Popen(
        command, env=marked.environment(), stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    ) as process:
        wait_for(marked.workers)
        for _ in range(20):  # each process lives for less than it takes to start
            time.sleep(chance.uniform(0.05, 0.3))
            if workers := marked.workers():
                chance.choice(workers).send_signal(signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert masks_in(out) == of_photos
    marked.assert_all_gone()


@pytest.mark.parametrize(
    ("number", "early"),
    [
        (signal.SIGINT, False),
        (signal.SIGTERM, True),
        (signal.SIGKILL, False),
        *(pytest.param(number, early, marks=pytest.mark.slow)
          for number, early in ((signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, True))),
    ],
)  # fmt: skip
def test_a_run_that_is_ended_leaves_no_process_and_goes_on(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path, number: signal.Signals, early: bool
) -> None:
    marked, out = Marked(), tmp_path / "out"
    command = segment_command(photos, out, model, "--workers", "2")
    start_s = "20" if early and number != signal.SIGKILL else "0"  # who is killed cannot end what it starts
    environment = marked.environment(**ill(tmp_path / "ill", SLOW_S="0.5", START_S=start_s))
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        wait_for(lambda: marked.workers() if early else list(out.glob("*_label.png")))
        if number == signal.SIGINT:  # Ctrl-C goes to all processes of a terminal
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        sent = time.monotonic()
        _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < 8, stderr
    assert exit_code(process) == 128 + number, stderr
    marked.assert_all_gone()
    if number != signal.SIGKILL:
        assert [line for line in stderr.splitlines() if " INFO " not in line and " WARNING " not in line] == [
            "interrupted; the same command again goes on from here"
        ]
        assert not [path for path in out.rglob("*") if ".part" in path.name]
    again = run(segment_command(photos, out, model, "--workers", "2"))
    assert again.returncode == 0, again.stderr
    assert masks_in(out) == of_photos


def test_a_lost_scheduler_is_told_and_the_same_command_goes_on(
    photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path
) -> None:
    out, marked = tmp_path / "out", Marked()
    with cluster_of(tmp_path / "cluster") as cluster:
        cluster.add("a", **ill(tmp_path / "ill", SLOW_S="0.5"))
        command = segment_command(photos, out, model, "--scheduler", cluster.address)
        with subprocess.Popen(
            command, env=marked.environment(), stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
        ) as process:
            wait_for(lambda: (out / MANIFEST).exists() and lines_of(out))
            cluster.scheduler.kill()
            sent = time.monotonic()
            _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < 30
    assert process.returncode == 1, stderr
    assert f"Error: the scheduler at {cluster.address} does not answer any more" in stderr
    assert "Traceback" not in stderr
    assert lines_of(out)
    result = noseam("segment", photos, "--out", out, "--model", model)
    assert result.exit_code == 0, result.output
    assert masks_in(out) == of_photos


def test_a_worker_that_hangs_is_a_stall(photos: Path, model: Path, tmp_path: Path) -> None:
    marked, out = Marked(), tmp_path / "out"
    command = segment_command(photos, out, model, "--workers", "2", "--max-stall", "0.05")
    environment = marked.environment(**ill(tmp_path / "ill", SLOW_S="0.5"))
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, stdout=subprocess.PIPE
    ) as process:
        wait_for(lambda: list(out.glob("*_label.png")))
        for worker in marked.workers():
            worker.suspend()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert "nothing moved for 0.05 minutes" in stderr
    assert " left" in stdout
    marked.assert_all_gone()


def test_limits_mean_the_same_with_workers(photos: Path, model: Path, tmp_path: Path) -> None:
    slower, slow = (ill(tmp_path / f"ill {seconds}", SLOW_S=seconds) for seconds in ("2.5", "0.8"))
    command = segment_command(photos, tmp_path / "out", model, "--workers", "2", "--max-runtime", "0.1")
    result = run(command, env={**os.environ, **slower})  # 40 photos, 6 at a time: 17 seconds, and 6 are allowed
    assert result.returncode == 5, result.stderr
    assert "--max-runtime is over; the same command goes on" in result.stdout
    (tmp_path / "bad").mkdir()
    for index in range(30):
        write_broken(tmp_path / "bad" / f"{index}.tif")
    command = segment_command(tmp_path / "bad", tmp_path / "of bad", model, "--workers", "2", "--max-errors", "1")
    result = run(command, env={**os.environ, **slow})
    assert result.returncode == 3
    assert "more failed than --max-errors allows" in result.stdout
    assert len(lines_of(tmp_path / "of bad")) < 30


def test_a_disk_that_is_full_for_one_worker_ends_the_run(photos: Path, model: Path, tmp_path: Path) -> None:
    command = segment_command(photos, tmp_path / "out", model, "--workers", "2")
    result = run(command, env={**os.environ, **ill(tmp_path / "ill", FULL="photo_3.jpg", SLOW_S="0.3")})
    assert result.returncode == 3, result.stderr
    assert "the disk is full: free some space, then the same command goes on" in result.stdout
    assert len(lines_of(tmp_path / "out")) < 30


def test_workers_come_and_go(photos: Path, model: Path, of_photos: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow = ill(tmp_path / "ill", SLOW_S="0.3")
    with cluster_of(tmp_path / "cluster") as cluster:
        cluster.add("a", **slow)
        command = segment_command(photos, out, model, "--scheduler", cluster.address)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL) as process:
            wait_for(lambda: (out / MANIFEST).exists() and lines_of(out))
            cluster.kill("a")
            time.sleep(7)
            cluster.add("b", **slow)
            cluster.add("c", **slow)
            wait_for(lambda: "c" in {line["worker"] for line in lines_of(out).values()} or process.poll() is not None)
            cluster.workers["b"].terminate()  # it leaves in order
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "WARNING worker a has left; others do its tasks\n" in stderr
    assert "WARNING no worker is left; the run goes on when one comes" in stderr
    assert "INFO worker c has come\n" in stderr
    assert "WARNING worker b has left" in stderr
    assert {line["worker"] for line in lines_of(out).values()} == {"a", "b", "c"}
    assert masks_in(out) == of_photos


def test_a_cluster_is_looked_at_before_the_work(
    photos: Path, model: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segment.workers.pool._FIND_S", 1.5)

    def refused(*options: object) -> str:
        result = noseam("segment", photos, "--out", out, "--model", model, *options)
        assert result.exit_code == 1, result.output
        assert not list(out.rglob(".board*"))
        *_, line = result.stderr.splitlines()
        return line

    out = tmp_path / "out"
    assert "tcp://127.0.0.1:9: no dask scheduler answers there" in refused("--scheduler", "tcp://127.0.0.1:9")
    assert "no machine has the name none.invalid; look" in refused("--scheduler", "tcp://none.invalid:9")
    told = refused("--scheduler", cluster.address, "--resources", "CPU=2")
    assert "--resources CPU=2: no worker has so much; they have GPU=1" in told
    with cluster_of(tmp_path / "none") as empty:
        assert f"`dask worker {empty.address}` starts one" in refused("--scheduler", empty.address)
        for name, wrong, said in (
            ("old", {"VERSION": "0.0.1"}, "has noseam 0.0.1, this machine has "),
            ("far", {"HIDDEN": str(photos)}, f"does not see {photos}; mount it there"),
            ("lost", {"HIDDEN": str(out)}, f"does not see the output folder {out} as this machine does"),
        ):
            empty.add(name, **ill(tmp_path / "ill", **wrong))
            told = refused("--scheduler", empty.address)
            assert f"Error: worker {name} " in told
            assert said in told
            empty.kill(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", 0), "a number from 1, or auto expected; '0' found"),
        (("--workers", 2, "--scheduler", "tcp://a:1"), "--workers and --scheduler exclude each other"),
        (("--resources", "GPU=1"), "--resources needs --scheduler"),
        (("--scheduler", "x"), "--scheduler: an address such as tcp://10.0.0.1:8786 expected, 'x' found"),
        (("--scheduler", "tcp://a"), "--scheduler: an address such as tcp://10.0.0.1:8786 expected, 'tcp://a' found"),
        (("--scheduler", "tcp://a:1", "--resources", "GPU"), "NAME=N with N above 0 expected"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    photos: Path, model: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    result = noseam("segment", photos, "--out", tmp_path, "--model", model, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_model_that_cannot_be_opened_is_told_as_one_process_tells_it(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:3000])
    found = []
    for workers in (1, 2):
        command = "segment", photos, "--out", tmp_path / "out", "--model", broken, "--workers", workers
        result = noseam(*command)
        assert result.exit_code == 1
        found.append([line for line in result.stderr.splitlines() if line.startswith("Error: ")])
    assert found[0] == found[1]
    assert "the weights cannot be loaded" in found[0][0]
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".board")]
