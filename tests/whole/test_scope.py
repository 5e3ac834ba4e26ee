"""An output folder remembers its survey: a part of it goes to the same masks, and another survey is no part of it."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from segment.plan.scope import MEMORY
from segment.record.failures import FAILURES
from segment.record.summary import SUMMARY
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import contents, noseam


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(64, 64))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    for name in ("flight1/a", "flight1/b", "flight2/a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(40, 50, 3)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "masks"


def labels(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*_label.*"))


def summed(out: Path) -> list[str]:
    with (out / SUMMARY).open(newline="") as file:
        return list(dict.fromkeys(row["image"] for row in csv.DictReader(file)))


ALL = ["flight1/a_label.png", "flight1/b_label.png", "flight2/a_label.png"]


@pytest.mark.parametrize("part", ["flight1", "flight1/a.png", "flight1/../flight1"])
def test_a_part_of_the_survey_goes_to_the_same_masks(survey: Path, out: Path, model: Path, part: str) -> None:
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    result = noseam("segment", survey / part, "--out", out, "--model", model)
    assert result.exit_code == 0
    assert "0 done" in result.stderr
    assert labels(out) == ALL
    assert summed(out)[:3] == ["flight1/a.png", "flight1/b.png", "flight2/a.png"]
    assert "(all images)" not in summed(out)


def test_a_part_that_is_made_again_is_so_in_the_summary_and_nothing_else_is(
    survey: Path, out: Path, model: Path
) -> None:
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    before = (out / SUMMARY).read_text().splitlines()
    shutil.copy(survey / "flight2/a.png", survey / "flight1/c.png")
    assert noseam("segment", survey / "flight1", "--out", out, "--model", model).exit_code == 0
    after = (out / SUMMARY).read_text().splitlines()
    assert [line for line in after if line.startswith("flight")] != before
    assert {line for line in before if line.startswith("flight")} <= set(after)
    assert summed(out)[:4] == ["flight1/a.png", "flight1/b.png", "flight1/c.png", "flight2/a.png"]
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    assert summed(out)[-1] == "(all images)"


def test_the_folder_of_a_survey_that_was_run_in_part_is_refused_with_both_commands(
    survey: Path, out: Path, model: Path
) -> None:
    assert noseam("segment", survey / "flight1", "--out", out, "--model", model).exit_code == 0
    before = contents(out)
    result = noseam("segment", survey, "--out", out, "--model", model)
    assert result.exit_code == 2
    assert f"`noseam segment {survey / 'flight1'} --out {out} ...`" in result.stderr
    assert f"`noseam segment {survey} --out {out}-survey ...`" in result.stderr
    assert contents(out) == before
    assert noseam("plan", survey, "--out", out).exit_code == 2


def test_another_survey_shares_the_folder_unless_two_photos_would_have_one_mask(
    survey: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(survey / "flight1", other / "more")
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    assert noseam("segment", other, "--out", out, "--model", model).exit_code == 0
    assert labels(out) == [*ALL, "more/a_label.png", "more/b_label.png"]
    assert summed(out)[-2:] == ["more/b.png", "(all rows above)"]
    shutil.copytree(survey / "flight2", other / "flight2")
    result = noseam("segment", other, "--out", out, "--model", model)
    assert result.exit_code == 2
    both = f"{survey / 'flight2/a.png'} and {other / 'flight2/a.png'}"
    assert f"{both} would have the same masks in {out}; it holds the masks of {survey}" in result.stderr


def test_a_survey_that_moved_is_the_same(survey: Path, out: Path, model: Path, tmp_path: Path) -> None:
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    survey.rename(tmp_path / "elsewhere")
    result = noseam("segment", tmp_path / "elsewhere", "--out", out, "--model", model)
    assert "0 done, 3 skipped" in result.stderr
    assert labels(out) == ALL
    assert summed(out)[-1] == "(all images)"


def test_a_damaged_memory_remembers_nothing(survey: Path, out: Path, model: Path) -> None:
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    for damage in (b"", b"[]", b'{"folders": 3}', b"\xff"):
        (out / MEMORY).write_bytes(damage)
        assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
        assert str(survey) in (out / MEMORY).read_text()


def test_photos_in_the_output_folder_are_told(survey: Path, model: Path) -> None:
    result = noseam("segment", survey, "--out", survey / "flight2", "--model", model)
    assert "is the output folder: 1 image, such as" in result.stderr
    again = noseam("segment", survey / "flight1", "--out", survey / "flight2", "--model", model)
    assert "not segmented" not in again.stderr


def test_masks_of_photos_that_left_are_named_and_pruned_when_asked(survey: Path, out: Path, model: Path) -> None:
    pytest.importorskip("pyogrio")
    command = "segment", survey, "--out", out, "--model", model, "--polygons", "--confidence"
    assert noseam(*command).exit_code == 0
    whole = set(contents(out))
    shutil.copy(survey / "flight2/a.png", survey / "flight2/b.png")
    assert noseam(*command).exit_code == 0
    (survey / "flight1/b.png").unlink()
    (survey / "flight2/a.png").unlink()
    (out / "flight2/notes.txt").write_text("mine")
    (out / "flight2/x_label.png").write_bytes(b"mine")
    partial = noseam("segment", survey / "flight1", "--out", out, "--model", model, "--prune")
    assert "left the survey" not in partial.stderr
    told = noseam(*command)
    assert "masks of 2 photos that left the survey stay: flight1/b.png, flight2/a.png" in told.stderr
    assert "masks of 2 photos that left the survey stay" in noseam("plan", survey, "--out", out).stdout
    assert whole <= set(contents(out))
    pruned = noseam(*command, "--prune")
    assert pruned.exit_code == 0
    assert "removed the masks of 2 photos that left the survey: flight1/b.png, flight2/a.png" in pruned.stderr
    left = {name for name in contents(out) if name.startswith("flight")}
    assert {name for name in left if not name.startswith("flight2/b")} == {
        *(name for name in whole if name.startswith("flight1/a")), "flight2/notes.txt", "flight2/x_label.png",
    }  # fmt: skip


def test_nothing_is_pruned_of_a_folder_that_is_empty_as_without_its_drive(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model, "--prune"
    assert noseam(*command).exit_code == 0
    (survey / "flight2/a.png").unlink()
    assert "left the survey" not in noseam(*command).stderr
    (survey / "flight2").rmdir()
    (survey / "flight2").symlink_to(survey / "nowhere")
    noseam(*command)
    assert labels(out) == ALL
    (survey / "flight2").unlink()
    assert "removed the masks of 1 photo that" in noseam(*command).stderr
    assert labels(out) == ALL[:2]


def test_nothing_is_pruned_where_a_folder_cannot_be_listed(
    survey: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command).exit_code == 0
    scandir = os.scandir

    def forbidding(path: Path | int) -> object:
        if not isinstance(path, int) and Path(path) == survey / "flight1":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    noseam(*command, "--prune")
    monkeypatch.undo()
    assert labels(out) == ALL


def test_a_part_keeps_the_failures_of_the_rest_and_prunes_nothing(survey: Path, out: Path, model: Path) -> None:
    (survey / "flight1/bad.png").write_bytes(b"no picture")
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 3
    result = noseam("segment", survey / "flight2", "--out", out, "--model", model, "--prune")
    assert result.exit_code == 0
    assert f"whose folders are {survey}; so --prune removes nothing" in result.stderr
    assert "flight1/bad.png" in (out / FAILURES).read_text()
    (survey / "flight1/bad.png").unlink()
    assert noseam("segment", survey / "flight1", "--out", out, "--model", model).exit_code == 0
    assert not (out / FAILURES).exists()


def test_the_same_name_in_two_folders_of_a_run_is_told_with_the_way_out(survey: Path, out: Path, model: Path) -> None:
    result = noseam("segment", survey / "flight1", survey / "flight2", "--out", out, "--model", model)
    assert result.exit_code == 2
    assert f"name the folder that holds both, {survey}, or give each folder another --out" in result.stderr


def test_another_survey_in_the_folder_is_told(survey: Path, out: Path, model: Path, tmp_path: Path) -> None:
    shutil.copytree(survey / "flight1", tmp_path / "other/more")
    noseam("segment", survey, "--out", out, "--model", model)
    result = noseam("segment", tmp_path / "other", "--out", out, "--model", model)
    assert f"{out} holds the masks of {survey}, and now those of {tmp_path / 'other'} too" in result.stderr


def test_tables_of_shards_go_when_the_whole_is_done(survey: Path, out: Path, model: Path) -> None:
    (survey / "flight1/bad.png").write_bytes(b"no picture")
    for shard in ("1/2", "2/2"):
        noseam("segment", survey, "--out", out, "--model", model, "--shard", shard)
    assert list(out.glob("summary.*-of-2.csv"))
    assert list(out.glob("failures.*-of-2.csv"))
    noseam("segment", survey, "--out", out, "--model", model)
    assert not [*out.glob("summary.*-of-2.csv"), *out.glob("failures.*-of-2.csv")]


def test_rows_of_masks_that_a_run_did_not_make_stay_and_are_in_no_sum(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command).exit_code == 0
    whole = (survey / "flight1/b.png").read_bytes()
    (survey / "flight1/b.png").write_bytes(whole[:100])
    for _ in range(2):
        assert noseam(*command).exit_code == 3
        with (out / SUMMARY).open(newline="") as file:
            notes = {row["image"]: row["note"] for row in csv.DictReader(file) if row["image"][0] != "("}
        assert notes == {
            "flight1/a.png": "", "flight1/b.png": "masks of an earlier run", "flight2/a.png": "",
        }  # fmt: skip
        assert summed(out)[-1] == "(2 of 3 images)"
    (survey / "flight1/b.png").write_bytes(whole)
    assert noseam(*command).exit_code == 0
    assert "earlier run" not in (out / SUMMARY).read_text()
