"""How a run ends, as the user sees it: exit codes, closing lines, the table of failures, sums, with -q and without."""

from __future__ import annotations

import csv
import errno
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commands.exits import exit_code
from segment.record.sums import End
from segment.run.image import Masks, Segmented, segment_image
from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.photos import write_photo
from tests.runs import NORTH_UP, noseam
from tiler.masks.sink import write_error


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(64, 64))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Three pictures, and a file that is none."""
    folder = tmp_path / "survey"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(noise(40, 50, 3)).save(folder / f"{name}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def failures_of(out: Path) -> dict[str, tuple[str, str]]:
    with (out / "failures.csv").open(newline="") as file:
        return {Path(row["path"]).name: (row["reason"], row["advice"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("end", "failed", "left", "expected"),
    [
        ("complete", 0, 0, 0),
        ("complete", 2, 0, 3),
        ("runtime", 0, 4, 5),
        ("runtime", 2, 4, 5),
        ("runtime", 2, 0, 3),
        ("errors", 2, 4, 3),
        ("disk full", 1, 4, 3),
        ("stalled", 1, 4, 3),
        ("stalled", 0, 4, 3),
    ],
)
def test_work_that_the_time_left_comes_before_failures(end: End, failed: int, left: int, expected: int) -> None:
    assert exit_code(end, failed=failed, left=left) == expected


def test_a_cron_loop_tells_more_to_do_from_all_looked_at(survey: Path, tmp_path: Path, model: Path) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model
    stopped = noseam(*command, "--max-runtime", 1e-9)
    assert stopped.exit_code == 5
    assert stopped.stdout.startswith("4 images: 1 failed, 3 left; ")
    assert "left:     3 of 4 images; --max-runtime is over; the same command goes on\n" in stopped.stdout
    assert "megapixels per second" not in stopped.output
    assert failures_of(tmp_path / "out").keys() == {"bad.png"}
    assert noseam(*command, "--max-runtime", 60).exit_code == 3
    (survey / "bad.png").unlink()
    assert noseam(*command, "--max-runtime", 60).exit_code == 0


def test_too_many_failures_and_a_full_disk_do_not_go_on_by_themselves(
    survey: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--threads", 1
    for index in range(20):
        Image.fromarray(noise(40, 50, 3)).save(survey / f"more_{index}.png")

    def fail(masks: Masks, **options: Any) -> Segmented:
        time.sleep(0.05)
        raise errors[0](masks.plan.label)

    errors: list[Any] = [lambda path: PermissionError(errno.EACCES, "Permission denied", str(path))]
    monkeypatch.setattr("segment.run.worker.segment_image", fail)
    result = noseam(*command, "--max-errors", 1)
    assert result.exit_code == 3
    assert "more failed than --max-errors allows: mend what failed, or raise it" in result.stdout
    assert "look who may read and write the file" in failures_of(tmp_path / "out")["a.png"][1]
    errors[0] = lambda path: write_error(path, OSError(errno.ENOSPC, "No space left on device"))
    result = noseam(*command)
    assert result.exit_code == 3
    assert "the disk is full: free some space, then the same command goes on" in result.stdout
    assert "free some space" in failures_of(tmp_path / "out")["a.png"][1]


def test_an_interrupted_run_says_what_is_done_and_what_is_left(
    survey: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, outcome: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("segment.record.progress.Progress.report", interrupt)
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model)
    assert result.stdout.startswith("4 images: 1 failed, 3 left; ")
    assert "left:     3 of 4 images; interrupted; the same command goes on\n" in result.stdout
    assert failures_of(tmp_path / "out").keys() == {"bad.png"}


def test_failures_are_a_table_until_nothing_fails(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    write_tif(survey / "five.tif", noise(5, 40, 50))
    Image.fromarray(noise(40, 50, 3)).save(survey / "cut.jpg")
    (survey / "cut.jpg").write_bytes((survey / "cut.jpg").read_bytes()[:-100])
    out.mkdir()
    (out / "a_label.png").write_bytes((survey / "a.png").read_bytes())
    result = noseam("segment", survey, "--out", out, "--model", model)
    assert result.exit_code == 3
    assert result.stdout.startswith("6 images: 2 done, 4 failed; ")
    assert f"failures: {out}/failures.csv  (what failed, why, and what helps)\n" in result.stdout
    found = failures_of(out)
    assert list(found) == ["a.png", "bad.png", "cut.jpg", "five.tif"]
    expected = {"a.png": "--overwrite", "bad.png": "JPEG, PNG or TIFF", "cut.jpg": "copy the file again from the card",
                "five.tif": "--channels 1,2,3"}  # fmt: skip
    assert {name: advice in found[name][1] for name, advice in expected.items()} == dict.fromkeys(expected, True)
    assert found["cut.jpg"][0] == "truncated: its end marker is missing"
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    told = {Path(line["image"]).name: line["advice"] for line in lines if line["state"] == "failed"}
    assert told == {name: advice for name, (_, advice) in found.items()}
    for name in ("bad.png", "cut.jpg", "five.tif"):
        (survey / name).unlink()
    result = noseam("segment", survey, "--out", out, "--model", model, "--overwrite")
    assert result.exit_code == 0
    assert not (out / "failures.csv").exists()
    assert "failures: " not in result.stdout


def test_the_failures_of_a_shard_are_its_own(survey: Path, tmp_path: Path, model: Path) -> None:
    for name in ("worse.png", "worst.png", "evil.png"):
        (survey / name).write_bytes(b"no picture")
    found = []
    for index in (1, 2):
        result = noseam("segment", survey, "--out", tmp_path, "--model", model, "--shard", f"{index}/2")
        table = tmp_path / f"failures.{index}-of-2.csv"
        assert (str(table) in result.stdout) == table.exists() == (result.exit_code == 3)
        found += table.read_text().splitlines()[1:] if table.exists() else []
    assert sorted(Path(row.split(",")[0]).name for row in found) == ["bad.png", "evil.png", "worse.png", "worst.png"]
    assert not (tmp_path / "failures.csv").exists()


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """A GeoTIFF of 16 bits, five photos without a pose, and one with."""
    folder = tmp_path / "doubtful"
    folder.mkdir()
    values = np.linspace(100, 9000, 3 * 40 * 50).reshape(3, 40, 50).astype("uint16")
    write_tif(folder / "map.tif", values, crs=UTM, transform=NORTH_UP)
    for index in range(5):
        Image.fromarray(noise(40, 50, 3, seed=index)).save(folder / f"{index}.jpg")
    write_photo(folder / "posed.jpg")
    return folder


def test_quiet_shows_what_is_doubtful_and_only_that(doubtful: Path, tmp_path: Path, model: Path) -> None:
    pytest.importorskip("pyproj", reason="needs the extra photo")
    command = "-q", "segment", doubtful, "--out", tmp_path / "out", "--model", model, "--georef", "photo"
    for counts, times in (("7 done, 0 skipped, 0 failed", 1), ("0 done, 7 skipped, 0 failed", 0)):
        result = noseam(*command)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.count(".jpg: not placed: ") == 3 * times
        further = f"not placed: further images stand in {tmp_path}/out/manifest.jsonl only\n"
        assert result.stderr.count(further) == times
        assert result.stderr.count("map.tif: stretched: uint16 values") == times
        *_, last = result.stderr.splitlines()
        assert f" WARNING {counts} in " in last
        assert last.endswith("; 5 not placed, 1 stretched")
        assert " INFO " not in result.stderr


def test_doubts_are_counted_where_the_run_ends(doubtful: Path, tmp_path: Path, model: Path) -> None:
    pytest.importorskip("pyproj", reason="needs the extra photo")
    sums = tmp_path / "sums.json"
    command = "segment", doubtful, "--out", tmp_path / "out", "--model", model, "--georef", "photo"
    for state in ("done", "skipped (up to date)"):
        result = noseam(*command, "--json-file", sums)
        assert result.stdout.startswith(f"7 images: 7 {state}; ")
        assert f"not placed: 5 images; {tmp_path}/out/manifest.jsonl says why\n" in result.stdout
        assert "stretched:  1 image; --value-range sets the range\n" in result.stdout
        assert f"(open {tmp_path}/out/0_color.png)\n" in result.stdout
        assert json.loads(sums.read_text())["doubts"] == {"not placed": 5, "stretched": 1}


def test_closing_lines_name_the_legend_and_a_map_for_qgis(doubtful: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("legend.png", "classes.csv"):
        (out / name).touch()
    result = noseam("segment", doubtful / "map.tif", "--out", out, "--model", model, "--value-range", 0, 10000)
    _, report, masks, legend, areas, records = result.stdout.splitlines()
    assert report == f"report:  {out}/report/index.html"
    assert masks == f"masks:   {out}  (open {out}/map_label.tif in QGIS)"
    assert legend.startswith(f"legend:  {out}/legend.png")
    assert areas == f"areas:   {out}/summary.csv"
    assert records == f"records: {out}/manifest.jsonl"


@pytest.mark.parametrize("flag", ["--json-file", "--json"])
def test_sums_go_to_a_file_beside_the_lines_and_instead_of_them(
    survey: Path, tmp_path: Path, model: Path, flag: str
) -> None:
    sums = tmp_path / "sums.json"
    command = "segment", survey, "--out", tmp_path / "out", "--model", model
    result = noseam(*command, flag, sums)
    assert result.stdout.startswith("4 images: 3 done, 1 failed; ")
    found = json.loads(sums.read_text())
    assert (found["done"], found["failed"], found["end"]) == (3, 1, "complete")
    assert found["failures"][0]["advice"].startswith("copy the file again")
    result = noseam(*command, "--json-file", sums, "--json")
    assert json.loads(result.stdout)["skipped"] == json.loads(sums.read_text())["skipped"] == 3
    assert "4 images: 3 skipped (up to date), 1 failed; " in result.stderr
    assert [path.name for path in tmp_path.glob("*sums*")] == ["sums.json"]


def test_a_file_for_sums_never_takes_the_place_of_a_photo(survey: Path, tmp_path: Path, model: Path) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--json-file"
    before = (survey / "a.png").read_bytes()
    result = noseam(*command, survey / "a.png")
    assert result.exit_code == 2
    assert "a.png exists and is no JSON object; choose another name" in result.stderr
    assert (survey / "a.png").read_bytes() == before
    assert not (tmp_path / "out").exists()
    assert noseam(*command, tmp_path / "out" / "sums.json").exit_code == 3
    assert json.loads((tmp_path / "out" / "sums.json").read_text())["done"] == 3


def test_a_place_that_takes_no_sums_is_refused_before_any_work(
    survey: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str) -> str:
        result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, "--json-file", tmp_path / name)
        assert result.exit_code == 2
        assert not (tmp_path / "out").exists()
        assert "'--json-file'" in result.stderr
        return result.stderr

    assert f"typo/sums.json: no such folder: {tmp_path}/typo" in refused("typo/sums.json")
    assert not (tmp_path / "typo").exists()
    assert f"no such folder: {survey}/a.png" in refused("survey/a.png/sums.json")
    assert "is a directory" in refused("survey")
    with monkeypatch.context() as patch:
        patch.setattr("commands.results.hidden_folder", shut)
        assert "sums.json: cannot be written: Permission denied" in refused("sums.json")
    result = noseam("plan", survey, "--out", tmp_path / "out", "--json-file", tmp_path / "out" / "plan.json")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def shut(path: Path) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_sums_that_cannot_be_written_in_the_end_are_told_by_their_name(
    survey: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = tmp_path / "sums.json"
    monkeypatch.setattr("commands.results.write_whole", lambda path, data: shut(path.with_name(".sums.json.part")))
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, "--json-file", sums)
    assert result.exit_code == 1
    assert f"Error: {sums}: cannot be written: Permission denied\n" in result.stderr
    assert len(list((tmp_path / "out").glob("*_label.png"))) == 3


def test_sums_of_a_night_without_images_are_not_those_of_the_night_before(
    survey: Path, tmp_path: Path, model: Path
) -> None:
    sums = tmp_path / "out" / "sums.json"
    drive = tmp_path / "drive"
    drive.mkdir()
    command = "segment", drive, "--out", tmp_path / "out", "--model", model, "--json-file", sums
    for _ in range(2):
        assert noseam(*command).exit_code == 4
        assert (found := json.loads(sums.read_text()))["end"] == "no image"
        assert (found["inputs"], found["left"], found["failures"]) == (0, 0, [])
        (survey / "a.png").rename(drive / "a.png")
        assert noseam(*command).exit_code == 0
        assert json.loads(sums.read_text())["end"] == "complete"
        (drive / "a.png").rename(survey / "a.png")


def test_plans_go_to_a_file_too(survey: Path, tmp_path: Path) -> None:
    result = noseam("plan", survey, "--json-file", tmp_path / "plan.json")
    assert "3 images" in result.stdout
    assert json.loads((tmp_path / "plan.json").read_text())["images"] == 3


def test_the_seconds_of_images_add_up_to_the_time_of_the_run(
    survey: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*arguments: Any, **options: Any) -> Segmented:
        began.append(time.monotonic())
        time.sleep(0.3)
        made = segment_image(*arguments, **options)
        ended.append(time.monotonic())
        return made

    began: list[float] = []
    ended: list[float] = []
    monkeypatch.setattr("segment.run.worker.segment_image", work)
    noseam("segment", survey, "--out", tmp_path / "out", "--model", model)
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines if line["state"] == "done"]
    assert len(seconds) == 3
    assert sum(seconds) == pytest.approx(max(ended) - min(began), abs=0.15)
    assert sum(seconds) < sum(ended) - sum(began)
