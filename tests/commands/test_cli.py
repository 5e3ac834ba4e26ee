"""The command line: what it prints, its exit codes, what it costs to start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image

from cli import main
from tests import ROOT
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.runs import noseam
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tiling = Tiling(window_px=200, input_px=64, overlap=0.25)
    return str(checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=tiling))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "survey" / "IMG_1.JPG"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)).save(path)
    return path


def test_segment_writes_masks_and_exits_0(photo: Path, model: str, tmp_path: Path) -> None:
    result = noseam("segment", photo.parent, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 0
    assert result.stdout.startswith("1 image: 1 done; ")
    assert f"masks:   {tmp_path}/out  (open {tmp_path}/out/IMG_1_color.png)\n" in result.stdout
    assert re.search(r"\[1/1\] done: .*IMG_1\.JPG: 0\.1 megapixels", result.stderr)
    assert "1 done, 0 skipped, 0 failed" in result.stderr
    with Image.open(tmp_path / "out/IMG_1_label.png") as label, Image.open(tmp_path / "out/IMG_1_color.png") as color:
        assert (label.mode, color.mode) == ("L", "P")
        assert label.size == color.size == (300, 200)
        assert set(np.unique(np.asarray(label))) <= {0, 1, 2}


def test_some_failed_exits_3_and_names_the_file(photo: Path, model: str, tmp_path: Path) -> None:
    (photo.parent / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    result = noseam("segment", photo.parent, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 3
    assert re.search(r"failed: .*broken\.jpg", result.stderr)
    assert (tmp_path / "out/IMG_1_label.png").exists()


def test_nothing_matched_exits_4(model: str, tmp_path: Path) -> None:
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey/notes.txt").touch()
    result = noseam("segment", tmp_path / "survey", "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 4
    assert "no JPEG, PNG or TIFF image found" in result.stderr
    assert "1 .txt" in result.stderr


def test_clashing_outputs_exit_1_before_any_work(photo: Path, model: str, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(photo.with_suffix(".png"))
    result = noseam("segment", photo.parent, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 1
    assert "would both write" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "500", "--gsd", "0.1"], "give one of them"),
        (["--input", "100"], "Error: --input: a whole number from 64, a multiple of 32 expected, 100 found"),
        (["--overlap", "1"], "Invalid value for '--overlap': a fraction from 0 below 1 expected; '1' found"),
        (["--overlap", "0.9"], "leaves a stride"),
        (["--channels", "1,2"], "expected one"),
        (["--value-range", "5", "5"], "Error: --value-range: two different finite numbers"),
        (["--value-range", "nan", "1"], "2 finite numbers expected, (nan, 1.0) found"),
        (["--channels", "r,g,b"], "expected one"),
        (["--format", "bmp"], "is not one of"),
        (["--widnow", "3"], "No such option"),
    ],
)
def test_usage_errors_exit_2(photo: Path, model: str, tmp_path: Path, options: list[str], message: str) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out", "--model", model, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_missing_source_exits_2(model: str, tmp_path: Path) -> None:
    result = noseam("segment", tmp_path / "nowhere", "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 2
    assert "nowhere: no such file or folder" in result.stderr


def test_a_device_that_is_not_there_exits_1(photo: Path, model: str, tmp_path: Path) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out", "--model", model, "--device", "cuda:99")
    assert result.exit_code == 1
    assert "usable CUDA devices" in result.stderr


def test_options_reach_the_masks(photo: Path, model: str, tmp_path: Path) -> None:
    classes = tmp_path / "classes.csv"
    classes.write_text("name, r, g, b\nroad, 1, 2, 3\nroof, 4, 5, 6\ntree, 7, 8, 9\n")
    result = noseam(
        "segment", photo, "--out", tmp_path / "out", "--model", model, "--classes", classes, "--format", "geotiff",
        "--color", "--window", 100, "--batch-size", 3, "--channels", "3,2,1",
    )  # fmt: skip
    assert result.exit_code == 0
    with (
        rasterio.open(tmp_path / "out/IMG_1_label.tif") as label,
        rasterio.open(tmp_path / "out/IMG_1_color.tif") as rgb,
    ):
        assert label.colormap(1)[2] == (7, 8, 9, 255)
        assert json.loads(label.tags()["CLASS_NAMES"]) == ["road", "roof", "tree"]
        assert label.tags()["NOSEAM_CHANNELS"] == "3,2,1"
        assert label.tags()["NOSEAM_MODEL_SHAPE"] == "128 x 192"
        colours = np.moveaxis(rgb.read([1, 2, 3]), 0, -1)[label.read(1) == 1]
    assert (colours == (4, 5, 6)).all()


def test_variables_set_options(photo: Path, model: str, tmp_path: Path) -> None:
    result = CliRunner(env={"NOSEAM_SEGMENT_MODEL": model, "NOSEAM_SEGMENT_FORMAT": "cog"}).invoke(
        main, ["segment", str(photo), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0
    assert (tmp_path / "out/IMG_1_label.tif").exists()


SETTINGS = """
[segment]
model = "MODEL"
format = "geotiff"
batch-size = 2
value-range = [0, 4095]
channels = [3, 2, 1]
sidecars = ["aux", "qml"]
"""


def test_a_settings_file_sets_options(photo: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noseam.toml").write_text(SETTINGS.replace("MODEL", model))
    monkeypatch.chdir(tmp_path)
    assert noseam("segment", photo, "--out", "one").exit_code == 0
    assert {path.suffix for path in (tmp_path / "one").glob("IMG_1_label*")} == {".tif", ".xml", ".qml"}
    with rasterio.open(tmp_path / "one/IMG_1_label.tif") as label:
        assert label.tags()["NOSEAM_CHANNELS"] == "3,2,1"
    assert noseam("segment", photo, "--out", "two", "--format", "png").exit_code == 0
    assert (tmp_path / "two/IMG_1_label.png").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment]\nwidnow = 3", r"\[segment\] has no option widnow; did you mean window\?"),
        (
            "[segmnet]\nwindow = 3",
            r"\[segmnet\] is no command; known: adapt, crop, demo, .* segment, status, train",
        ),
        (
            "window = 3",
            r"window stands outside of a table; options belong in the table of their command, such as \[segment\]",
        ),
        ("\ufeff[segment]\nwidnow = 3", r"did you mean window\?"),
        ("[segment", r"noseam\.toml: Expected"),
        (
            "[segment]\nwindow = 'big'",
            r"noseam\.toml: \[segment\] window: a whole number of pixels from 1 expected; 'big' found",
        ),
        ("[segment]\nwindow = [1, 2]", r"one value expected, \[1, 2\] found"),
        (
            "[segment]\nlog_json = 'x'",
            r"no option log_json; say it on the command line, or in the variable NOSEAM_LOG_JSON",
        ),
    ],
)
def test_a_wrong_settings_file_exits_2(photo: Path, model: str, tmp_path: Path, text: str, message: str) -> None:
    settings = tmp_path / "noseam.toml"
    settings.write_text(text)
    result = noseam("--config", settings, "segment", photo, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)


def planned_of(*arguments: object) -> dict[str, Any]:
    """Return what a plan from headers alone says, the free space on the disk aside."""
    found: dict[str, Any] = json.loads(noseam("plan", *arguments, "--json", "--no-calibrate").stdout)
    del found["estimate"]["free_bytes"]
    return found


def test_a_plan_goes_by_the_settings_of_segment(
    photo: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noseam.toml").write_text(
        f"[segment]\nmodel = '{model}'\nonly = 'roof'\npolygons = true\ndevice = 'cpu'"
    )
    monkeypatch.chdir(tmp_path)
    planned = planned_of(photo)
    assert planned == planned_of(photo, "--model", model, "--polygons")
    assert planned["tiles"] != planned_of(photo, "--window", 10)["tiles"]
    (tmp_path / "noseam.toml").unlink()
    monkeypatch.setenv("NOSEAM_SEGMENT_MODEL", model)
    monkeypatch.setenv("NOSEAM_PLAN_POLYGONS", "1")
    assert planned_of(photo) == planned


def test_a_misspelt_variable_is_refused(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSEAM_SEGMNT_DEVICE", "cpu")
    result = noseam("plan", photo)
    assert result.exit_code == 2
    assert "variable NOSEAM_SEGMNT_DEVICE: no such option; did you mean NOSEAM_SEGMENT_DEVICE?" in result.stderr
    monkeypatch.delenv("NOSEAM_SEGMNT_DEVICE")
    monkeypatch.setenv("NOSEAM_SEGMENT_QUIET", "1")
    assert "variable NOSEAM_SEGMENT_QUIET: no such option; say NOSEAM_QUIET" in noseam("plan", photo).stderr
    monkeypatch.delenv("NOSEAM_SEGMENT_QUIET")
    monkeypatch.setenv("NOSEAM_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("NOSEAM_VERSION", "1")
    assert noseam("plan", photo).exit_code == 0


def test_a_variable_names_several_classes(
    photo: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOSEAM_SEGMENT_ONLY", "no such class,other")
    result = noseam("segment", photo, "--out", tmp_path / "out", "--model", model, "--polygons")
    assert "--only: no class 'no such class'" in result.stderr


def test_every_option_is_a_variable_of_its_name() -> None:
    for name, command in main.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value:
                flag = max(option.opts, key=len)
                assert f"NOSEAM_{name}_{flag[2:]}".replace("-", "_").upper() in (option.envvar or ())


def test_a_model_without_a_value_is_told(photo: Path, tmp_path: Path) -> None:
    result = noseam("segment", photo, "--out", tmp_path, "--model", "--georef", "photo")
    assert result.exit_code == 2
    assert "--model needs a value" in result.stderr


def test_a_settings_file_that_is_not_there_is_told(photo: Path) -> None:
    result = noseam("--config", "none.toml", "plan", photo)
    assert result.exit_code == 2
    assert "none.toml: cannot be read: No such file or directory" in result.stderr


def test_quiet_says_nothing_when_all_is_well(photo: Path, model: str, tmp_path: Path) -> None:
    result = noseam("-q", "segment", photo, "--out", tmp_path / "out", "--model", model)
    assert (result.exit_code, result.output) == (0, "")


def test_quiet_and_verbose_stand_after_the_command_too(photo: Path, model: str, tmp_path: Path) -> None:
    damaged = photo.parent / "damaged.png"
    Image.open(photo).save(damaged)
    data = damaged.read_bytes()
    damaged.write_bytes(data[:20_000] + bytes(100) + data[20_100:])  # header and end are whole, so reading fails
    command = "segment", photo.parent, "--out", tmp_path / "out", "--model", model, "--overwrite"
    assert "INFO" not in noseam(*command, "-q").output
    assert "ERROR" in noseam(*command, "-q").output
    assert "DEBUG" not in noseam(*command).output
    assert "DEBUG" in noseam(*command, "-v").output
    assert "DEBUG" in noseam("-v", *command).output
    assert "DEBUG" not in noseam("-q", *command, "-v").output
    assert "INFO" in noseam("-q", *command, "-v").output


def test_a_name_cannot_break_the_log(photo: Path, model: str, tmp_path: Path) -> None:
    bad = photo.with_name("two\nlines \x1b[31m.png")
    bad.touch()
    for command in (("segment", "--out", tmp_path / "out", "--model", model), ("plan",)):
        result = noseam(command[0], photo.parent, *command[1:])
        assert result.exit_code == 3
        assert "\x1b" not in result.output
        assert r"two\nlines \x1b[31m.png: not an accepted image" in result.output


@pytest.mark.timeout(60)
def test_a_folder_of_traps_costs_only_the_traps(photo: Path, model: str, tmp_path: Path) -> None:
    survey, content = photo.parent, photo.read_bytes()
    os.mkfifo(survey / "pipe.jpg")
    (survey / "device.jpg").symlink_to("/dev/zero")
    (survey / "dangling.jpg").symlink_to("gone")
    (survey / "itself.jpg").symlink_to("itself.jpg")
    (survey / "up.jpg").symlink_to("..")
    (survey / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(content)
    (survey / ("n" * 251 + ".jpg")).write_bytes(content)
    for name in ("http:x.jpg", "s3:x.jpg", "-x.jpg", "=cmd|x.jpg", "two\nlines.jpg", "\x1b[31m.jpg"):
        (survey / name).write_bytes(content)
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 3
    assert "7 done, 0 skipped, 6 failed" in result.stderr
    for reason in (
        "pipe.jpg: not a regular file", "device.jpg: not a regular file", "dangling.jpg: No such file or directory",
        "itself.jpg: Too many levels of symbolic links",
        r"\udcff\udcfe.jpg: its name is not UTF-8", "n.jpg: the name of its mask would exceed 255 bytes",
    ):  # fmt: skip
        assert reason in result.stderr
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--max-megapixels", 0.05), "IMG_1.JPG: 300 x 200 pixels claimed, 0.06 megapixels; at most 0.05 are read"),
        (("--max-pixels-per-byte", 0.5), "pixels per byte; at most 0.5 are read (--max-pixels-per-byte"),
        (("--max-block-mb", 0.0001), "IMG_1.JPG: a block of 300 x 1 pixels claimed"),
    ],
)
def test_limits_of_files_are_options(
    photo: Path, model: str, tmp_path: Path, options: tuple[object, ...], reason: str
) -> None:
    for command in (("segment", "--out", tmp_path / "out"), ("plan",)):
        result = noseam(command[0], photo, "--model", model, *command[1:], *options)
        assert result.exit_code == 3
        assert reason in result.output


def test_strict_fails_what_is_suspect(photo: Path, model: str, tmp_path: Path) -> None:
    content = bytearray(photo.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = b"\xff\xd3" * 50
    photo.write_bytes(content)
    assert noseam("segment", photo, "--out", tmp_path / "a", "--model", model).exit_code == 0
    result = noseam("segment", photo, "--out", tmp_path / "b", "--model", model, "--strict")
    assert result.exit_code == 3
    assert "IMG_1.JPG: damaged: libjpeg: Corrupt JPEG data" in result.stderr


def test_a_failure_to_write_names_the_source_too(photo: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/survey").touch()
    result = noseam("segment", tmp_path, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 3
    assert re.search(r"survey/IMG_1\.JPG: .*out/survey/IMG_1_label\.png: cannot be written", result.stderr)


def test_segment_without_a_model_explains_the_choice(photo: Path, tmp_path: Path) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out")
    assert result.exit_code == 2
    for choice in ("deep-learning-analytics/segformer_semantic_segmentation", "FOLDER", "bundled:start"):
        assert f"--model {choice}\n" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("demmo", "demo"), ("Demo", "demo"), ("bundled:dmo", "demo"), ("starts", "start"), ("bundled:star", "start")],
)
def test_a_name_that_is_near_to_a_bundled_model_is_told_of_it(
    photo: Path, tmp_path: Path, name: str, meant: str
) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out", "--model", name)
    assert result.exit_code == 2
    assert f"{name}: no such folder (a hub id has the form owner/name" in result.stderr
    assert result.stderr.endswith(f"; did you mean bundled:{meant}?\n")
    assert "did you mean" not in noseam("segment", photo, "--out", tmp_path / "out", "--model", "models").stderr


def test_options_for_poses_are_named_where_they_need_another(photo: Path, tmp_path: Path) -> None:
    command = "segment", photo, "--out", tmp_path / "out", "--model", "demo", "--flying-height", 60
    result = noseam(*command)
    assert result.exit_code == 2
    assert "Error: --flying-height needs --georef photo (in Python: " in result.stderr
    assert "Error: --flying-height and --focal-px need --georef photo" in noseam(*command, "--focal-px", 3000).stderr


def measured(model: str) -> str:
    """Return what the config of a bundled model says that it can do."""
    entry = json.loads((ROOT / f"segment/{model}_model/config.json").read_text())["measured"]
    scores = f"{100 * entry['accuracy']:.3g} % of the pixels right and a mean IoU of {100 * entry['miou']:.3g} %"
    return f"{scores} on {entry['on']}"


@NEEDS_TORCH
@pytest.mark.parametrize("name", ["demo", "start"])
def test_a_bundled_model_says_what_it_learned_and_how_good_it_is(photo: Path, tmp_path: Path, name: str) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out", "--model", name)
    assert result.exit_code == 0
    assert f"model bundled:{name} learned made-up scenes alone" in result.stderr
    assert f"it has {measured(name)}" in result.stderr


def test_without_a_model_the_choice_is_told_with_what_the_bundled_one_can_do(photo: Path, tmp_path: Path) -> None:
    result = noseam("segment", photo, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
    said = " ".join(result.stderr.split())
    assert "--model bundled:start comes with noseam, for a first try on your photos." in said
    assert f"It learned made-up scenes alone: {measured('start')}." in said
    assert "noseam train crops --out FOLDER --base bundled:start" in said
    assert max(map(len, result.stderr.splitlines())) <= 80


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder of three images and one of three masks, of which two are pairs."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder in (images, masks):
        folder.mkdir()
    for name in "abc":
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 160, 3), dtype=np.uint8)).save(
            images / f"{name}.png"
        )
    for name in ("a", "b", "d"):
        Image.fromarray(np.random.default_rng(2).integers(0, 2, (96, 160), dtype=np.uint8)).save(masks / f"{name}.png")
    return images, masks


def test_crop_tells_what_it_cut_and_what_has_no_partner(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    result = noseam("crop", *pairs, "--out", tmp_path / "crops", "--window", 64, "--jobs", 1)
    assert result.exit_code == 0
    assert "12 crops of 2 images, 6 to train, 6 to validate" in result.stdout
    assert "c.png" in result.stderr
    assert "d.png" in result.stderr
    assert "1 without a mask, 1 mask without an image" in result.stdout


def test_crop_of_a_bad_image_exits_3(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    (pairs[0] / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    result = noseam("crop", *pairs, "--out", tmp_path / "crops", "--window", 64, "--jobs", 1)
    assert result.exit_code == 3
    assert re.search(r"failed: .*a\.png", result.stderr)


def test_evaluate_prints_scores_or_json(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("name, r, g, b\nzero, 0, 0, 0\none, 255, 0, 0\n")
    result = noseam("evaluate", pairs[1], pairs[1], "--classes", table, "--out", tmp_path / "report")
    assert result.exit_code == 0
    assert re.search(r"mIoU +100", result.stdout)
    assert (tmp_path / "report/confusion.csv").exists()
    report = json.loads(noseam("evaluate", pairs[1], pairs[1], "--classes", table, "--json").stdout)
    assert (report["miou"], report["images"]) == (1.0, 3)


def test_evaluate_without_anything_in_common_exits_4(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("name, r, g, b\nzero, 0, 0, 0\n")
    (tmp_path / "empty").mkdir()
    result = noseam("evaluate", tmp_path / "empty", pairs[1], "--classes", table)
    assert result.exit_code == 4
    assert "no image in common" in result.stderr


def test_crop_without_anything_in_common_exits_4(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = noseam("crop", tmp_path / "empty", pairs[1], "--out", tmp_path / "crops")
    assert result.exit_code == 4
    assert "no image there has a mask" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--jobs", 0), "a whole number from 1 expected; '0' found"),
        (("--window", 10, "--overlap", 0.99), "leave a stride of 1 px"),
        (("--channels", "1,2"), "channels"),
        (("--value-range", 3, 3), "two different finite numbers"),
    ],
)
def test_crop_that_cannot_be_exits_2(pairs: tuple[Path, Path], tmp_path: Path, options: Any, message: str) -> None:
    result = noseam("crop", *pairs, "--out", tmp_path / "crops", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "crops").exists()


def test_evaluate_does_not_report_among_the_masks(pairs: tuple[Path, Path]) -> None:
    result = noseam("evaluate", *pairs, "--out", pairs[1])
    assert result.exit_code == 2
    assert "choose a folder beside the masks" in result.stderr


def test_scenes_are_made_and_never_over_other_files(tmp_path: Path) -> None:
    options = ("--photos", 1, "--photo-size", 80, 120, "--seed", 5)
    assert noseam("scenes", tmp_path / "new", *options).exit_code == 0
    assert (tmp_path / "new/truth/IMG_0001.png").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/classes.csv").write_text("mine")
    result = noseam("scenes", tmp_path / "mine", *options)
    assert result.exit_code == 1
    assert "no made-up survey" in result.stderr
    assert (tmp_path / "mine/classes.csv").read_text() == "mine"


@NEEDS_TORCH
def test_train_says_what_is_wrong_with_the_crops(tmp_path: Path) -> None:
    result = noseam("train", tmp_path, "--out", tmp_path / "model", "--base", "nano")
    assert result.exit_code == 2
    assert "crops.csv" in result.stderr


def commands() -> list[str]:
    return sorted(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("name", commands())
def test_help_names_units_defaults_and_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    result = noseam(name, "--help")
    assert result.exit_code == 0
    assert re.search(r"Examples?:\n\s+noseam ", result.stdout)
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag:
            assert option.help
            assert option.required or option.default is not None or isinstance(option.show_default, str), option.name


def test_the_help_of_segment_stands_under_headings() -> None:
    text = noseam("segment", "--help").stdout
    headings = re.findall(r"^(\w[\w ]+):$", text, re.MULTILINE)
    assert headings == [
        "Positional arguments", "Output", "Model", "Input", "Place", "Polygons", "Workers", "Limits", "Options",
        "Records",
    ]  # fmt: skip
    under = {heading: text.split(f"\n{heading}:\n")[1].split("\n\n")[0] for heading in headings}
    expected = {"Input": "--channels", "Model": "--window", "Output": "--out", "Place": "--dem", "Polygons": "--only",
                "Limits": "--max-stall", "Records": "--quiet"}  # fmt: skip
    assert {heading for heading, flag in expected.items() if flag in under[heading]} == expected.keys()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, cli\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(cli.main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'rasterio', 'numba', 'PIL', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_plan_does_without_torch(photo: Path) -> None:
    script = (
        "import sys, cli\n"
        "from click.testing import CliRunner\n"
        f"assert CliRunner().invoke(cli.main, ['plan', {str(photo)!r}]).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
