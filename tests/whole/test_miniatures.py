"""Benchmarks of what a model is worth run through all that they do, in miniature; their figures mean nothing then."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from segment.training.request import TrainRequest
from segment.training.variation import Variation
from tests import ROOT
from tests.models import NEEDS_TORCH
from tests.runs import noseam, run
from tiler.remap.options import RemapOptions
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey

OF_THE_MACHINE = {"crops", "out", "base", "device", "workers", "threads", "half", "tensorboard", "fresh", "extend"}
"""Options of a training that bear on where it runs and what it writes."""


def said(script: str, *arguments: object) -> str:
    """Return what a benchmark says."""
    done = run([sys.executable, f"benchmarks/{script}", *map(str, arguments)])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@NEEDS_TORCH
def test_reviews_are_compared_with_chance_and_trained_on(tmp_path: Path) -> None:
    size = ("--size", 300, 1100, "--old-size", 256, 512, "--pools", 1, "--photos", 1, "--held", 1)
    windows = ("--windows", 3, "--sides", 64, "--train-side", 64, "--picks", "disagreement", "--steps", 2)
    found = said("review.py", tmp_path, *size, *windows)
    rates = {pick: float(rate) for pick, rate in re.findall(r"(\w+) +(\d+\.\d\d), +\S+ times random", found)}
    assert rates.keys() == {"confidence", "disagreement", "random"}
    assert rates["confidence"] > rates["random"]
    assert re.findall(r"^(\w+) +[+-]\d+\.\d\d points of mIoU in the mean", found, re.MULTILINE) == ["disagreement"]
    card = (tmp_path / "pool-0/disagreement-model/README.md").read_text()
    assert "2 steps, fp32" in card


@NEEDS_TORCH
def test_no_default_of_train_bears_on_the_benchmark_of_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks/review.py"))
    groups = {"remap": RemapOptions, "variation": Variation}
    options = {each.name for group in (TrainRequest, *groups.values()) for each in fields(group)} - groups.keys()
    assert options - OF_THE_MACHINE - {"lr", "seed", "max_steps", "validate_every"} == script["TRAINING"].keys()


def scenes(folder: Path) -> Path:
    """Make two small scenes and return their folder."""
    make_survey(folder, SceneOptions(photos=2, photo_shape=(300, 420), orthomosaics=0), jobs=1)
    return folder


@NEEDS_TORCH
def test_rasters_of_doubt_are_compared(tmp_path: Path) -> None:
    found = said("errors.py", "--photos", 1, "--size", 420, 640, "--tile", 128)
    rows = re.findall(
        r"^\| (as they are|blurred|faded) \| (two tiles|everywhere).* \| (\w+) \| \d", found, re.MULTILINE
    )
    assert len(rows) == len(set(rows)) == 18


@NEEDS_TORCH
def test_temperature_and_balance_are_found_by_crops(tmp_path: Path) -> None:
    photos = scenes(tmp_path / "scenes")
    result = noseam("crop", photos / "images", photos / "truth", "--out", tmp_path / "crops", "--classes",
                    photos / "classes.csv", "--window", 512, "--split", 0.5)  # fmt: skip
    assert result.exit_code == 0, result.output
    model = tmp_path / "model"
    shutil.copytree(ROOT / "segment/demo_model", model)
    from safetensors.numpy import load_file

    found = said("temperature.py", "bundled:demo", tmp_path / "crops", "--write", model)
    assert re.match(
        r"tiles: (all alike|by squares of 512 px, .*)\n"
        r"\d+ tiles? of validation; class bias: (none is better|mIoU goes .*)\n"
        r"temperature \d\S*; expected calibration error \d+\.\d{3} % before, \d",
        found,
    )
    config, before = (json.loads((each / "config.json").read_text()) for each in (model, ROOT / "segment/demo_model"))
    assert {**config["tiling"], "tile": None} == {**before["tiling"], "tile": None}
    assert config["calibration"].keys() == {"temperature", "ece_before", "ece_after"}
    assert len(config["class_bias"]["values"]) == len(config["id2label"])
    old, new = (
        load_file(folder / "model.safetensors")["decode_head.classifier.bias"]
        for folder in (ROOT / "segment/demo_model", model)
    )
    assert new == pytest.approx(old + config["class_bias"]["values"], abs=1e-6)


@NEEDS_TORCH
def test_a_temperature_is_judged_by_photos(tmp_path: Path) -> None:
    photos, model = scenes(tmp_path / "scenes"), tmp_path / "model"
    shutil.copytree(ROOT / "segment/demo_model", model)
    config = json.loads((model / "config.json").read_text()) | {"calibration": {"temperature": 0.5}}
    (model / "config.json").write_text(json.dumps(config))
    sides = ("--images", photos / "images", "--truth", photos / "truth", "--others", 3)
    found = said("temperature.py", model, *sides)
    rows = re.findall(r"^\| (.*) \| (\d\S+) \| (\d\S+) \| (\d\S+) \| [\d,]+ \|$", found, re.MULTILINE)
    assert [name for name, *_ in rows] == ["1, as without one", "0.5, the checkpoint's", "3"]
    stated, right, error = ([float(row[column]) for row in rows] for column in (1, 2, 3))
    assert stated[2] < stated[0] < stated[1]
    assert right == [right[0]] * 3
    assert error[2] > error[0]


@NEEDS_TORCH
def test_what_a_report_costs_is_measured(tmp_path: Path) -> None:
    found = said("report.py", "--small", "--count", 1, "--many", 20, "--folder", tmp_path)
    rows = re.findall(r"^\| (.*) \| -?\d.* \|$", found, re.MULTILINE)
    assert len(rows) == 8
    assert rows[-2:] == ["`noseam report` of 2 small images, seconds", "its page without previews, MB"]
