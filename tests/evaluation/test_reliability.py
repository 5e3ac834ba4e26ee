"""Reliability is what the plain definition says, and stands beside an evaluation where confidence was written."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.evaluation.compare import evaluate
from segment.evaluation.lines import evaluation_as_lines
from segment.evaluation.reliability import count_levels, no_levels, of_levels
from segment.evaluation.report import evaluation_as_dict, write_report
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import noseam
from tiler.classes import ClassTable, distinct_colours

FILES = {"reliability.csv", "reliability.png"}


def test_it_is_the_plain_definition() -> None:
    truth, labels = noise(40, 50, high=3), noise(40, 50, high=3, seed=1)
    sure = noise(40, 50, high=255, seed=2)
    truth[:3], labels[5], sure[8] = 255, 255, 255
    found = of_levels(count_levels(truth, labels, sure))
    known = (truth != 255) & (labels != 255) & (sure != 255)
    stated, right = (1 + sure[known] / 254) / 2, (truth == labels)[known]
    edges = np.linspace(0.5, 1, 16)
    place = np.minimum(np.searchsorted(edges, stated, side="right") - 1, 14)
    error = sum(
        abs(stated[place == index].mean() - right[place == index].mean()) * (place == index).sum()
        for index in range(15) if (place == index).any()
    )  # fmt: skip
    assert found.pixels == known.sum()
    assert found.ece == pytest.approx(error / known.sum())
    assert found.confidence == pytest.approx(stated.mean())
    assert found.accuracy == pytest.approx(right.mean())
    assert [each.pixels for each in found.bins] == np.bincount(place, minlength=15).tolist()
    assert (found.bins[0].least, found.bins[-1].below) == (0.5, 1)


def test_what_is_true_has_no_error() -> None:
    counts = no_levels()
    counts[127] = 1000, 750
    counts[254] = 500, 500
    assert of_levels(counts).ece == pytest.approx(0, abs=1e-12)
    counts[127] = 1000, 250
    assert of_levels(counts).ece == pytest.approx(0.5 * 1000 / 1500)


def test_no_label_has_no_error() -> None:
    assert math.isnan(of_levels(no_levels()).ece)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with masks of two photos, their confidence, and truth."""
    folder = tmp_path_factory.mktemp("survey")
    model = checkpoint_folder(folder / "model", classes=3, tiling=squares(128, 64))
    for kind in ("photos", "truth"):
        (folder / kind).mkdir()
    for index, name in enumerate(("a", "b")):
        Image.fromarray(noise(150, 260, 3, seed=index)).save(folder / "photos" / f"{name}.jpg")
        Image.fromarray(noise(150, 260, high=3, seed=index)).save(folder / "truth" / f"{name}.png")
    command = "segment", folder / "photos", "--out", folder / "masks", "--model", model, "--confidence", "--no-report"
    assert noseam(*command).exit_code == 0
    return folder


def test_an_evaluation_reports_it(survey: Path, tmp_path: Path) -> None:
    result = noseam("evaluate", survey / "masks", survey / "truth", "--out", tmp_path)
    assert result.exit_code == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())["reliability"]
    assert found["pixels"] == 2 * 150 * 260
    assert f"expected calibration error {100 * found['ece']:.2f} %" in result.stdout
    with (tmp_path / "reliability.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == found["bins"]
    with Image.open(tmp_path / "reliability.png") as picture:
        assert min(picture.size) > 500


def test_an_evaluation_without_confidence_has_none_and_removes_the_old(survey: Path, tmp_path: Path) -> None:
    with_it = evaluate(survey / "masks", survey / "truth")
    assert {path.name for path in write_report(with_it, tmp_path)} > FILES
    (tmp_path / "masks").mkdir()
    for path in (survey / "masks").glob("*_label.png"):
        (tmp_path / "masks" / path.name).write_bytes(path.read_bytes())
    without = evaluate(tmp_path / "masks", survey / "truth")
    assert without.reliability is None
    assert evaluation_as_dict(without)["reliability"] is None
    assert not any("calibration" in line for line in evaluation_as_lines(without))
    write_report(without, tmp_path)
    assert not FILES & {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "confusion.png").exists()


def test_a_truth_without_labels_leaves_a_report_that_programs_can_read(survey: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((150, 260), 255, np.uint8)).save(truth / f"{name}.png")
    found = evaluate(survey / "masks", truth)
    assert found.reliability is None
    json.dumps(evaluation_as_dict(found), allow_nan=False)


@pytest.mark.parametrize("of", ["a stranger", "another size", "another run", "nobody"])
def test_what_is_no_confidence_of_these_labels_is_left_aside(survey: Path, tmp_path: Path, of: str) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "a_label.png").write_bytes((survey / "masks" / "a_label.png").read_bytes())
    raster = masks / "a_confidence.png"
    if of == "a stranger":
        Image.fromarray(noise(150, 260)).save(raster)
    elif of == "another size":
        Image.fromarray(noise(15, 26)).save(raster)
    elif of == "another run":
        raster.write_bytes((survey / "masks" / "b_confidence.png").read_bytes())
    else:
        raster.write_bytes(b"nothing")
    classes = ClassTable(("class 0", "class 1", "class 2"), distinct_colours(3))
    found = evaluate(masks, survey / "truth", classes=classes)
    assert found.failed == ()
    assert found.reliability is None
    assert found.metrics.pixels == 150 * 260
