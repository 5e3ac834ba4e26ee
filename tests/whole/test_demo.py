"""The demo as a whole command, and the name of the model that comes with noseam."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from PIL import Image

from segment.demo import request as demo_request
from segment.guard.lock import hold_folder
from segment.report.content import Content
from segment.report.page import write_pages
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.runs import noseam
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey

pytestmark = NEEDS_TORCH


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that commands run in; the demo's survey is small."""
    small = SceneOptions(photos=1, photo_shape=(500, 700), orthomosaics=1, orthomosaic_shape=(400, 500), seed=2026)
    monkeypatch.setattr(demo_request, "DEMO_SCENES", small)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_runs_into_a_folder_that_bears_the_models_short_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[Path] = []

    def write(content: Content, folder: Path) -> Path:
        pages.append(write_pages(content, folder))
        return pages[-1]

    monkeypatch.setattr("segment.report.make.write_pages", write)
    result = noseam("demo", "--out", "demo")
    assert result.exit_code == 0
    assert len(pages) == 1  # with the evaluation in it, and not once before
    assert "$ noseam segment demo/survey/images --out demo/masks --model bundled:demo" in result.stderr
    assert "The model of the demo knows such scenes only." in result.stdout
    assert re.search(r"mIoU +[0-9.]+ %", result.stdout)
    with rasterio.open(here / "demo/masks/ortho_1_label.tif") as label:
        assert label.tags()["MODEL"] == "bundled:demo"
    made = {path.name for path in (here / "demo/masks").iterdir()}
    assert made > {"IMG_0001_color.png", "IMG_0001_label.png", "ortho_1_label.tif", "manifest.jsonl", "summary.csv"}
    with Image.open(here / "demo/comparison.png") as picture:
        assert picture.size == (3 * 640 + 16, 457)
    assert (here / "demo/evaluation/confusion.png").exists()
    again = noseam("demo", "--out", "demo")
    assert again.exit_code == 0
    assert "0 done, 2 skipped, 0 failed" in again.stderr
    without = noseam("demo", "--out", "demo", "--no-report")
    assert without.exit_code == 0
    assert "--confidence --no-report" in without.stderr
    assert "report:" not in without.stdout
    assert len(pages) == 2


@pytest.fixture
def photo(here: Path) -> Path:
    path = here / "photos/a.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)).save(path)
    return path


def model_of(out: Path) -> str:
    with rasterio.open(out / "a_label.tif") as label:
        return str(label.tags()["MODEL"])


def test_demo_is_the_bundled_model_unless_a_folder_of_that_name_holds_a_checkpoint(photo: Path, here: Path) -> None:
    command = "segment", "photos", "--format", "geotiff", "--out"
    assert noseam(*command, "a", "--model", "demo").exit_code == 0
    assert model_of(here / "a") == "bundled:demo"

    (here / "demo").mkdir()
    result = noseam(*command, "b", "--model", "demo")
    assert result.exit_code == 0
    assert (
        "model demo comes with noseam (bundled:demo); the folder of that name here holds no checkpoint" in result.stderr
    )
    assert model_of(here / "b") == "bundled:demo"

    checkpoint_folder(here / "demo", classes=3)
    result = noseam(*command, "c", "--model", "demo")
    assert result.exit_code == 0
    assert "model demo is the folder here, which holds a checkpoint; bundled:demo comes with noseam" in result.stderr
    assert model_of(here / "c") == "demo"
    assert noseam(*command, "d", "--model", "bundled:demo").exit_code == 0
    assert model_of(here / "d") == "bundled:demo"
    assert noseam("plan", "photos", "--model", "bundled:demo").exit_code == 0


def test_masks_that_were_made_by_the_short_name_stay_current(photo: Path) -> None:
    command = "segment", "photos", "--out", "masks", "--model"
    assert noseam(*command, "demo").exit_code == 0
    assert "0 done, 1 skipped" in noseam(*command, "bundled:demo").stderr


def test_a_training_starts_from_the_bundled_model(here: Path) -> None:
    make_survey(here / "made-up", SceneOptions(photos=2, photo_shape=(128, 128), seed=1, gsd_m=0.05), jobs=1)
    crop = noseam("crop", "made-up/images", "made-up/truth", "--out", "crops", "--classes", "made-up/classes.csv",
                  "--window", 128, "--jobs", 1)  # fmt: skip
    assert crop.exit_code == 0
    (here / "demo").mkdir()
    result = noseam(
        "train", "crops", "--out", "model", "--base", "demo", "--input", 64, "--max-steps", 1, "--workers", 0
    )
    assert result.exit_code == 0
    assert re.search(r"^model: mIoU \d+\.\d\d % on the validation crops, 1 step$", result.stdout, re.MULTILINE)
    assert "demo" in (here / "model/README.md").read_text()


def test_the_demo_never_writes_over_files_that_it_did_not_make(photo: Path) -> None:
    mine = photo.read_bytes()
    result = noseam("demo", "--out", "photos")
    assert result.exit_code == 1
    assert "photos holds files that are not of an earlier demo; choose another --out" in result.stderr
    assert (list(photo.parent.iterdir()), photo.read_bytes()) == ([photo], mine)


def made_nothing(out: Path) -> bool:
    return not list(out.rglob("*.jpg"))


def test_the_demo_says_at_once_where_it_cannot_write(here: Path) -> None:
    (here / "file").touch()
    result = noseam("demo", "--out", "file/demo")
    assert result.exit_code == 1
    assert "file/demo: the demo cannot write there: Not a directory; choose another --out" in result.stderr


def test_the_demo_says_at_once_that_another_run_holds_its_folder(here: Path) -> None:
    (here / "there").mkdir()
    (here / "there/.noseam-demo").touch()
    with hold_folder(here / "there"):
        result = noseam("demo", "--out", "there")
    assert result.exit_code == 75
    assert "there: in use by another run of noseam" in result.stderr
    assert made_nothing(here / "there")


def test_the_demo_says_at_once_that_the_disk_is_too_full(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commands.demo.shutil.disk_usage", lambda path: SimpleNamespace(free=150_000_000))
    result = noseam("demo", "--out", "there")
    assert result.exit_code == 1
    assert "there: 150 MB are free there, the demo needs 200 MB; choose an --out on another disk" in result.stderr
    assert made_nothing(here / "there")


def test_the_demo_says_at_once_that_its_model_is_damaged(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("installation")
    monkeypatch.setattr("segment.model.checkpoint.BUNDLED_MODELS", {"bundled:demo": empty})
    result = noseam("demo", "--out", "there")
    assert result.exit_code == 2
    assert "bundled:demo: no config.json there" in result.stderr
    assert made_nothing(here / "there")
