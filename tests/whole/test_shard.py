"""Every input belongs to one part of a survey, and runs of the parts at the same time lose nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segment.errors import FolderInUseError, ShardError
from segment.guard.lock import hold_folder
from segment.plan.request import Request
from segment.plan.shard import WHOLE, Shard, parse_shard
from segment.plan.survey import plan_survey
from segment.record.summary import SUMMARY
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import contents, run, segment_command, start
from tiler.files.atomic import hidden_name, sweep
from tiler.files.walk import walk_survey

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
    found = walk_survey([survey], out=None)
    whole = plan_survey(found, Request(tiling=squares(64, 64), out=tmp_path / "out"))
    parts = [plan_survey(found, Request(tiling=squares(64, 64), out=tmp_path / "out", shard=shard)) for shard in SHARDS]
    assert sorted(image.found.path for part in parts for image in part.images) == sorted(
        image.found.path for image in whole.images
    )
    assert [entry for part in parts for entry in part.refused] == list(whole.refused)
    assert all(part.images and part.inputs + part.elsewhere == whole.inputs == 13 for part in parts)


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
