"""noseam plan: what a run would do, and what it takes, as the user sees it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import rasterio
from click.testing import CliRunner, Result
from PIL import Image

import noseam
from cli import main
from segment.run import apart
from tests.make import UTM, noise, write_tif
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.runs import NORTH_UP, exit_code, make_survey, start
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tiling = Tiling(window_px=200, input_px=64, overlap=0.25)
    return str(checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=tiling))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_survey(tmp_path_factory.mktemp("made") / "survey", photos=3, rasters=1)


def plan(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plan", *map(str, arguments)], catch_exceptions=False)


def test_headers_alone_give_sizes_tiles_and_a_typical_size_of_the_masks(tmp_path: Path) -> None:
    photo = tmp_path / "survey/a.jpg"
    photo.parent.mkdir()
    Image.new("RGB", (6000, 4000)).save(photo, quality=10)
    result = plan(photo.parent, "--window", 2000, "--input", 512, "--overlap", 0.25, "--out", tmp_path / "x/masks")
    assert result.exit_code == 0
    *lines, disk = result.stdout.splitlines()
    assert lines == [
        "1 image to segment: 24.0 megapixels, 2 tiles",
        "  1 of 6000 x 4000 px: 2 tiles (--tile 544x1536), label png + color png",
        "time and memory: not known without --model",
    ]
    masks = "about 2.4 MB of masks and 460 KB for the report if, as is typical, 20 pixels take one byte"
    assert re.fullmatch(rf"disk: {masks}; [\d.,]+ [MGT]B free in {tmp_path}/x/masks", disk)
    assert list(tmp_path.iterdir()) == [photo.parent]


def test_a_plan_with_a_model_says_time_memory_and_disk(survey: Path, tmp_path: Path, model: str) -> None:
    before = sorted(survey.rglob("*"))
    result = plan(survey, "--model", model, "--out", tmp_path / "masks")
    assert result.exit_code == 0
    duration, *more, memory, disk = result.stdout.splitlines()[3:]
    assert re.fullmatch(
        r"time: about [\d.]+ (seconds?|minutes) \([\d.]+ images per (second|minute) on this machine, "
        r"calibrated on 4 images\)", duration,
    )  # fmt: skip
    assert all(line.startswith("  other programs are at work: ") for line in more)
    assert re.fullmatch(r"memory: about [\d.]+ [MG]B", memory)
    assert re.fullmatch(
        r"disk: about [\d.]+ [KM]B of masks and [\d.]+ KB for the report; [\d.,]+ [MGT]B free in .*/masks", disk
    )
    assert list(tmp_path.iterdir()) == []
    assert sorted(survey.rglob("*")) == before


def test_the_estimate_is_near_to_what_the_run_does(survey: Path, tmp_path: Path, model: str) -> None:
    """Time and memory depend on what else runs here, so `benchmarks/plan.py` judges them."""
    options = {"model": model, "confidence": True, "polygons": True}
    found = noseam.plan(survey, tmp_path / "masks", **options).estimate  # type: ignore[arg-type]
    assert found is not None
    assert found.calibration is not None
    assert {kind.kind.outputs for kind in found.calibration.rates} == {
        ("label png", "color png", "confidence png", "polygons"), ("label cog", "confidence cog", "polygons"),
    }  # fmt: skip
    assert found.images == 4
    assert found.seconds is not None
    assert found.images_per_s > 0
    assert found.calibration.startup_s < found.seconds < 600
    assert found.memory_bytes is not None
    assert found.calibration.base_bytes < found.memory_bytes < 4e9
    outcomes = noseam.segment(survey, tmp_path / "masks", **options)  # type: ignore[arg-type]
    assert [outcome.state for outcome in outcomes] == ["done"] * 4
    names = {"manifest.jsonl", "summary.csv"}
    written = [path for path in (tmp_path / "masks").rglob("*.*") if path.name not in names]
    report = [path for path in written if (tmp_path / "masks" / "report") in path.parents]
    real = sum(path.stat().st_size for path in written if path.is_file() and path not in report)
    assert found.mask_bytes == pytest.approx(real, rel=0.05)
    previews = sum(path.stat().st_size for path in report if path.parent.name == "images")
    assert previews / 3 < found.report_bytes < 3 * previews


@pytest.mark.parametrize("option", ["--no-calibrate", None])
def test_no_engine_is_opened_where_nothing_is_to_be_tried_out(
    survey: Path, tmp_path: Path, model: str, option: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "calibrate_apart", lambda task: pytest.fail("the model was opened"))
    options = ["--model", model, option] if option else []
    result = plan(survey, *options, "--out", tmp_path / "masks", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["estimate"]
    assert (found["seconds"], found["memory_bytes"], found["calibration"]) == (None, None, None)
    assert found["unknown"] == ("with --no-calibrate" if option else "without --model")
    assert found["mask_bytes"] == json.loads(result.stdout)["output_bytes"] // 20
    assert list(tmp_path.iterdir()) == []


def test_photos_in_formats_that_are_not_read_are_told_with_q_too(survey: Path, tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    shutil.copytree(survey, folder)
    for name in ("a.JP2", "b.jp2", "c.dng"):
        (folder / name).touch()
    quiet = CliRunner().invoke(main, ["-q", "plan", str(folder)])
    told = "passed over 3 photos in formats that noseam does not read: 2 .jp2, 1 .dng"
    assert f" WARNING {told}; convert them to TIFF, PNG or JPEG\n" in quiet.stderr
    assert quiet.stderr.count("\n") == 1
    (folder / "flight.xml").touch()
    assert "INFO passed over 1 file that is not JPEG, PNG or TIFF by name: 1 .xml\n" in plan(folder).stderr
    for name in (*(f"{index}.s{index}" for index in range(9)), "README", "x.a_strange_ending", "second.xml"):
        (folder / name).touch()
    (line,) = (line for line in plan(folder).stderr.splitlines() if " that are not JPEG" in line)
    assert re.search(r"passed over 13 files that .* by name: 2 \.xml, (1 \.s\d, ){6}1 \.s\d and 4 others$", line)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.dng").touch()
    result = plan(tmp_path / "raw")
    assert result.exit_code == 4
    assert "passed over 1 photo in formats that noseam does not read: 1 .dng; convert it to TIFF" in result.stderr


def test_plan_and_segment_refuse_the_same_files(survey: Path, tmp_path: Path, model: str) -> None:
    folder = tmp_path / "survey"
    folder.mkdir()
    for kind in ("jpg", "png", "tif"):
        Image.fromarray(noise(64, 64, 3)).save(folder / f"whole.{kind}")
        data = (folder / f"whole.{kind}").read_bytes()
        (folder / f"cut_{kind}.{kind}").write_bytes(data[: -len(data) // 5])
    (folder / "no.tif").write_text("not a tif")
    (folder / "whole.png").unlink()  # it would write the masks of whole.jpg
    (folder / "whole.tif").unlink()
    result = plan(folder, "--model", model, "--no-calibrate", "--json")
    assert result.exit_code == 3
    refused = {Path(entry["path"]).name: entry["reason"] for entry in json.loads(result.stdout)["refused"]}
    assert refused.keys() == {"cut_jpg.jpg", "cut_png.png", "cut_tif.tif", "no.tif"}
    assert all("truncated: " in refused[name] for name in refused if name.startswith("cut"))
    failed = [each for each in noseam.segment(folder, tmp_path / "masks", model=model) if each.state == "failed"]
    assert {outcome.path.name: outcome.reason for outcome in failed} == refused
    lines = plan(folder).stdout.splitlines()
    at = lines.index("4 files cannot be segmented:")
    assert sorted(lines[at + 1 : at + 5]) == sorted(f"  {reason}" for reason in refused.values())


def test_a_disk_that_is_too_small_is_told(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert "; that does not fit, only 1 KB are free in masks" in plan(survey).stdout
    planned = noseam.plan(survey)
    assert planned.estimate is not None
    assert not planned.estimate.fits


def test_images_that_cannot_be_tried_out_give_no_time(tmp_path: Path, model: str) -> None:
    path = tmp_path / "survey/a.png"
    path.parent.mkdir()
    Image.fromarray(noise(200, 300, 3)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:20_000] + bytes(100) + data[20_100:])
    result = plan(path, "--model", model, "--out", tmp_path / "masks")
    assert result.exit_code == 0
    assert f"time and memory: not known because the images that were tried out failed: {path}: " in result.stdout


def test_a_device_that_is_not_there_ends_the_plan_as_it_ends_the_run(survey: Path, tmp_path: Path, model: str) -> None:
    said: dict[str, Any] = {}
    for command in ("plan", "segment"):
        arguments = [command, str(survey), "--model", model, "--device", "cuda:9", "--out", str(tmp_path / "masks")]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 1
        said[command] = result.stderr.splitlines()[-1]
    assert said["plan"] == said["segment"]
    assert "cuda:9" in said["plan"]


def test_a_trial_that_dies_is_told_in_a_line(
    survey: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    result = plan(survey, "--model", model)
    assert result.exit_code == 1
    assert f"Error: {model}: trying the model out ended with exit status 1 and no result" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_trial_too(survey: Path, tmp_path: Path, model: str, number: int, code: int) -> None:
    process = start([sys.executable, "-m", "cli", "plan", str(survey), "--model", model, "--out", str(tmp_path / "x")])
    with process:
        parent = psutil.Process(process.pid)
        deadline = time.monotonic() + 60
        while not (children := parent.children()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert exit_code(process) == code
    assert "Traceback" not in errors
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=10)[1] == []


@NEEDS_TORCH
def test_a_network_that_is_converted_for_the_trial_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that converts it has PyTorch in memory, and takes long to start; the run will not."""
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "cache"))
    fresh = str(checkpoint_folder(tmp_path / "fresh", classes=5, tiling=Tiling(200, 64, 0.25)))
    write_tif(tmp_path / "a.tif", noise(3, 200, 300), crs=UTM, transform=NORTH_UP)
    first, second = (noseam.plan(tmp_path / "a.tif", tmp_path / "masks", model=fresh).estimate for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.memory_bytes == pytest.approx(second.memory_bytes, rel=0.2)


def test_a_giant_image_has_parts_and_needs_room_for_them(tmp_path: Path) -> None:
    path = tmp_path / "ortho.tif"
    with rasterio.open(path, "w", driver="GTiff", height=60_000, width=60_000, count=3, dtype="uint8", tiled=True,
                       sparse_ok=True, crs=UTM, transform=NORTH_UP):  # fmt: skip
        pass
    lines = plan(path, "--out", tmp_path / "masks").stdout.splitlines()
    assert any(re.search(r"1 of 60000 x 60000 px: [\d,]+ tiles in 28 parts \(", line) for line in lines), lines
    assert any(
        re.search(r"disk: about 180 MB of masks and 690 KB for the report, and 360 MB more while they are made", line)
        for line in lines
    ), lines
    assert "parts" not in plan(path, "--part-size", 0).stdout
    found = json.loads(plan(path, "--json").stdout)
    assert (found["files"][0]["parts"], found["estimate"]["scratch_bytes"]) == (28, 360_000_000)
