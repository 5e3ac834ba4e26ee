"""A trial does the real work on some images, leaves nothing behind, and adds up what it took."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.plan.figures import Calibration
from segment.plan.request import Request
from segment.plan.sample import choose_samples
from segment.plan.survey import SurveyPlan
from segment.run import calibrate as calibrating
from segment.run.calibrate import calibrate
from segment.run.model import OpenModel
from tests import ROOT
from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import MeanEngine, model_of
from tests.runs import NORTH_UP, plan_for

CUT = squares(64, 64)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenModel]:
    monkeypatch.setattr(calibrating, "_NETWORK_S", 0.05)
    monkeypatch.setattr(calibrating, "_IMAGES_S", 0.2)
    found = model_of(MeanEngine())
    yield found
    found.engine.close()


def planned(survey: Path, tmp_path: Path) -> tuple[SurveyPlan, Request]:
    request = Request(tiling=CUT, out=tmp_path / "out")
    return plan_for(survey, request), request


def calibrated(model: OpenModel, survey: Path, tmp_path: Path) -> Calibration:
    plan, request = planned(survey, tmp_path)
    folder = tmp_path / "trial"
    folder.mkdir()
    found = calibrate(model, request, choose_samples(plan.images), folder)
    assert list(folder.iterdir()) == []
    assert not request.out.exists()
    return found


def test_photos_are_tried_out_whole(model: OpenModel, tmp_path: Path) -> None:
    survey = tmp_path / "survey"
    survey.mkdir()
    for index in range(5):
        Image.fromarray(noise(100, 150, 3, seed=index)).save(survey / f"{index}.png")
    found = calibrated(model, survey, tmp_path)
    (rates,) = found.rates
    assert (found.samples, found.failed, found.classes, found.at_once) == (5, "", 4, 3)
    assert rates.tiles_run == 1
    assert 0.01 < rates.compression < 2
    assert min(found.tile_s, found.cores, found.read_bytes_s, rates.closing_s) > 0
    assert found.cores <= found.cores_in_all
    assert found.base_bytes > 10**7


def test_tiles_that_no_valid_pixel_needs_are_not_counted(
    model: OpenModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.maximum(noise(3, 4000, 100), 1)
    pixels[:, :2000] = 0
    write_tif(tmp_path / "a.tif", pixels, photometric="rgb", nodata=0, crs=UTM, transform=NORTH_UP)
    assert calibrated(model, tmp_path / "a.tif", tmp_path).rates[0].tiles_run == pytest.approx(0.5, abs=0.03)


def test_a_large_image_is_tried_out_in_parts_from_all_over_it(
    model: OpenModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "_PART_S", 0)  # the least part: one tile
    monkeypatch.setattr(calibrating, "_PARTS", 16)
    pixels = np.maximum(noise(3, 4000, 40), 1)
    pixels[:, :1000] = 0
    write_tif(tmp_path / "a.tif", pixels, photometric="rgb", nodata=0, crs=UTM, transform=NORTH_UP)
    found = calibrated(model, tmp_path / "a.tif", tmp_path)
    assert found.samples == 1
    assert found.rates[0].tiles_run == pytest.approx(12 / 16, abs=0.07)


def test_an_image_that_fails_is_left_out(model: OpenModel, tmp_path: Path) -> None:
    survey = tmp_path / "survey"
    survey.mkdir()
    for name in ("a", "b"):
        Image.fromarray(noise(200, 300, 3)).save(survey / f"{name}.png")
    data = (survey / "a.png").read_bytes()
    (survey / "a.png").write_bytes(data[:20_000] + bytes(100) + data[20_100:])
    found = calibrated(model, survey, tmp_path)
    assert found.samples == 1
    assert found.failed.startswith(f"{survey / 'a.png'}: ")
    (survey / "b.png").unlink()
    (tmp_path / "trial").rmdir()
    found = calibrated(model, survey, tmp_path)
    assert (found.samples, found.rates) == (0, ())


@pytest.mark.parametrize("told", [b"", pickle.dumps([1, 2, 3])[:-2]])
def test_a_trial_whose_task_is_not_told_ends_without_a_word(tmp_path: Path, told: bytes) -> None:
    command = [sys.executable, "-c", "from segment.run.calibrate import work; work()", str(tmp_path), "30"]
    ended = subprocess.run(command, cwd=ROOT, input=told, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert list(tmp_path.iterdir()) == []
