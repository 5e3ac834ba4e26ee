"""Every input belongs to one part of a survey, and runs of the parts at the same time lose nothing."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segment.errors import FolderInUseError, ShardError
from segment.guard.lock import hold_folder
from segment.plan.shard import WHOLE, Shard, parse_shard
from segment.record.summary import SUMMARY
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import contents, noseam, run, segment_command, start
from tiler.files.atomic import hidden_name, sweep

SHARDS = [Shard(index, 3) for index in (1, 2, 3)]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for index in range(6):
            Image.fromarray(noise(40, 50, 3)).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(64, 64))


@given(st.binary(min_size=1), st.integers(1, 50))
def test_every_input_belongs_to_one_shard(name: bytes, count: int) -> None:
    path = Path(name.decode("utf-8", "surrogateescape"))
    assert sum(Shard(index, count).takes(path) for index in range(1, count + 1)) == 1


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "-1/2", "1/2/3", "a/b", "1.5/2", "٣/٤"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ShardError, match="a shard I/N with 1 <= I <= N expected"):
        parse_shard(text)


def test_only_the_files_of_parts_are_marked() -> None:
    assert parse_shard("2/4").mark("manifest.jsonl") == "manifest.2-of-4.jsonl"
    assert parse_shard("1/1") == WHOLE
    assert WHOLE.mark("manifest.jsonl") == "manifest.jsonl"


def test_the_plans_of_all_shards_are_that_of_the_survey(survey: Path, tmp_path: Path) -> None:
    (survey / "bad.png").touch()
    plan_of = partial(noseam, "plan", survey, "--out", tmp_path / "out", "--json", "-q")
    whole, *parts = (json.loads(plan_of(*more).stdout) for more in ((), *(("--shard", shard) for shard in SHARDS)))
    for key in ("files", "refused"):
        taken = [entry["path"] for part in parts for entry in part[key]]
        assert sorted(taken) == sorted(entry["path"] for entry in whole[key])
    assert [part["images"] + part["unreadable"] for part in parts] == [5, 4, 4]
    assert not (tmp_path / "out").exists()


def test_shards_run_at_the_same_time_and_make_what_one_run_makes(survey: Path, model: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(segment_command(survey, whole, model)).returncode == 0
    processes = [start([*segment_command(survey, out, model), "--shard", str(shard)]) for shard in SHARDS]
    for process in processes:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    lines = [
        json.loads(line) for shard in SHARDS for line in (out / shard.mark("manifest.jsonl")).read_text().splitlines()
    ]
    assert sorted(line["image"] for line in lines) == sorted(
        f"{name}/{index}.png" for name in "ab" for index in range(6)
    )
    assert {line["state"] for line in lines} == {"done"}
    assert not (out / SUMMARY).exists()
    again = run(segment_command(survey, out, model))
    assert "0 done, 12 skipped, 0 failed" in again.stderr
    found = contents(out)
    assert {name: found[name] for name in contents(whole)} == contents(whole)


KINDS_OF_ARRAY = {
    "slurm": lambda place, count: {
        "SLURM_ARRAY_TASK_ID": 7 + 2 * place,
        "SLURM_ARRAY_TASK_MIN": 7,
        "SLURM_ARRAY_TASK_MAX": 7 + 2 * (count - 1),
        "SLURM_ARRAY_TASK_COUNT": count,
    },
    "kubernetes": lambda place, count: {"JOB_COMPLETION_INDEX": place, "JOB_COMPLETIONS": count},
    "aws": lambda place, count: {"AWS_BATCH_JOB_ARRAY_INDEX": place, "AWS_BATCH_JOB_ARRAY_SIZE": count},
}
"""The variables that a scheduler gives the task at a place, from 0."""


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a survey of large and small photos."""
    folder = tmp_path_factory.mktemp("uneven")
    for index, height in enumerate((300, 200, 150, 90, 80, 70, 60, 50, 40, 30)):
        Image.fromarray(noise(height, 100, 3, seed=index)).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def in_one_run(uneven: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("one")
    assert noseam("segment", uneven, "--out", out, "--model", model).exit_code == 0
    return contents(out)


@pytest.mark.parametrize("kind", KINDS_OF_ARRAY)
def test_the_tasks_of_an_array_together_make_what_one_run_makes(
    uneven: Path, model: Path, in_one_run: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    out = tmp_path / "out"
    rows = []
    for place in (3, 0, 4, 1, 2):
        for name, value in KINDS_OF_ARRAY[kind](place, 5).items():
            monkeypatch.setenv(name, str(value))
        found = noseam("segment", uneven, "--out", out, "--model", model, "--shard", "auto")
        assert found.exit_code == 0, found.output
        assert f"shard {place + 1}/5, because " in found.output
        lines = (out / f"manifest.{place + 1}-of-5.jsonl").read_text().splitlines()
        assert all(json.loads(line)["state"] == "done" for line in lines)
        missing = json.loads(noseam("status", out, "--json").stdout)["missing"]
        assert missing == [f"{index}/5" for index in range(1, 6) if not (out / f"manifest.{index}-of-5.jsonl").exists()]
        rows.append(sum(100 * json.loads(line)["megapixels"] for line in lines))
    assert sum(rows) == pytest.approx(10.7)
    assert max(rows) == pytest.approx(3), "the largest photo is a shard of its own"
    masks = {name: data for name, data in in_one_run.items() if name.endswith("_label.png")}
    assert {name: data for name, data in contents(out).items() if name in masks} == masks
    assert (out / ".noseam.shards-5").is_dir()
    assert noseam("status", out).exit_code == 0
    assert noseam("segment", uneven, "--out", out, "--model", model).exit_code == 0
    assert {name: contents(out)[name] for name in in_one_run} == in_one_run
    assert not list(out.glob(".noseam.shards-*")), "the next shards share out anew"


def test_a_run_that_did_not_get_to_all_lets_shards_go_on_as_they_began(
    survey: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("segment", survey, "--out", out, "--model", model)
    assert noseam(*command, "--shard", "1/3").exit_code == 0
    assert noseam(*command, "--max-runtime", "1e-9").exit_code == 5
    assert (out / ".noseam.shards-3").is_dir()
    Image.fromarray(noise(40, 50, 3)).save(survey / "late.png")
    assert [noseam(*command, "--shard", shard).exit_code for shard in SHARDS] == [0, 0, 0]
    assert len(list(out.rglob("*_label.png"))) == 13


def test_a_shard_without_images_is_done(model: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 50, 3)).save(tmp_path / "a.png")
    codes = [
        run([*segment_command(tmp_path / "a.png", tmp_path / "out", model), "--shard", f"{index}/2"]).returncode
        for index in (1, 2)
    ]
    assert codes == [0, 0]
    assert (tmp_path / "out" / "a_label.png").exists()


def test_a_shard_keeps_out_the_same_and_the_whole_and_nobody_else(tmp_path: Path) -> None:
    with hold_folder(tmp_path, SHARDS[0]), hold_folder(tmp_path, SHARDS[1]):
        for refused in (SHARDS[0], SHARDS[1], WHOLE):
            with (
                pytest.raises(FolderInUseError, match="in use by another run of noseam: process"),
                hold_folder(tmp_path, refused),
            ):
                pass
        with hold_folder(tmp_path, SHARDS[2]):
            pass
    with hold_folder(tmp_path):
        for shard in SHARDS:
            with pytest.raises(FolderInUseError, match="in use"), hold_folder(tmp_path, shard):
                pass
    with hold_folder(tmp_path, SHARDS[0]):
        pass


def test_shards_of_other_counts_keep_out_each_other(tmp_path: Path) -> None:
    with hold_folder(tmp_path, Shard(1, 2)):
        for shard in (Shard(1, 4), Shard(2, 4)):
            with pytest.raises(FolderInUseError, match="in use"), hold_folder(tmp_path, shard):
                pass
        with hold_folder(tmp_path, Shard(2, 2)):
            pass
    with hold_folder(tmp_path, Shard(2, 4)):
        pass


def test_the_holder_that_is_named_is_the_one_that_holds(tmp_path: Path) -> None:
    (tmp_path / ".noseam.1-of-3.lock").touch()
    (tmp_path / ".noseam.1-of-3.holder").write_text(json.dumps({"pid": 1, "host": "gone", "since": "long ago"}))
    refused = pytest.raises(FolderInUseError, match=f"process {os.getpid()} on")
    with hold_folder(tmp_path), refused, hold_folder(tmp_path, SHARDS[0]):
        pass


def test_shards_in_threads_of_one_process_leave_each_other_alone(tmp_path: Path) -> None:
    with hold_folder(tmp_path, SHARDS[0]):
        ours = hidden_name(tmp_path / "a_label.png")
        ours.touch()
        with hold_folder(tmp_path, SHARDS[1]):
            assert ours.exists()


def test_what_another_machine_writes_is_swept_only_where_it_writes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiler.files.atomic._machine", lambda: "0123abcd")
    monkeypatch.setattr("tiler.files.atomic._PROCESS", "0123abcd")
    elsewhere = hidden_name(tmp_path / "a_label.png")
    elsewhere.touch()
    monkeypatch.undo()
    with hold_folder(tmp_path, SHARDS[0]):
        assert elsewhere.exists()
    assert sweep(tmp_path, of_all=False) == 0
    with hold_folder(tmp_path):
        assert not elsewhere.exists()
