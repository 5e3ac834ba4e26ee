"""How sure labels are, and how far tiles disagree, is told with numbers: in the records and by the masks."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import MANIFEST, NORTH_UP, noseam
from tiler.masks.coverage import read_coverage


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(128, 64))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    write_tif(folder / "ortho.tif", noise(3, 200, 300), crs=UTM, transform=NORTH_UP)
    Image.fromarray(noise(150, 260, 3)).save(folder / "photo.jpg")
    return folder


def records(out: Path) -> dict[str, dict[str, Any]]:
    """Return the last line of the manifest of each image."""
    lines = (json.loads(line) for line in (out / MANIFEST).read_text().splitlines())
    return {line["image"]: line for line in lines}


def table(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        found: np.ndarray = file.read(1)
    return found


def mean_and_low(levels: np.ndarray) -> dict[str, Any]:
    return {"mean": pytest.approx(levels.mean() / 254, abs=1e-4), "low": pytest.approx((levels < 127).mean(), abs=1e-4)}


def test_records_say_what_the_raster_holds_and_a_skipped_image_says_it_again(
    survey: Path, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "out"
    command = "segment", survey, "--out", out, "--model", model, "--confidence", "--workers", 1
    assert noseam(*command).exit_code == 0
    found, rows = records(out), table(out)
    for name, suffix in (("ortho", "tif"), ("photo", "png")):
        labels, levels = pixels(out / f"{name}_label.{suffix}"), pixels(out / f"{name}_confidence.{suffix}")
        record = next(line for image, line in found.items() if image.startswith(name))
        classes = {f"class {label}": mean_and_low(levels[labels == label]) for label in np.unique(labels)}
        assert record["confidence"] == {**mean_and_low(levels), "classes": classes}
        for row in (row for row in rows if row["image"].startswith(name)):
            of_class = levels[labels == int(row["class_id"])]
            assert float(row["confidence"]) == pytest.approx(of_class.mean() / 254, abs=1e-4)
            assert float(row["low_percent"]) == pytest.approx(100 * (of_class < 127).mean(), abs=1e-4)
    in_all = [row for row in rows if row["image"] == "(all images)"]
    assert all(row["confidence"] and row["low_percent"] for row in in_all)
    again = noseam(*command)
    assert "0 done, 2 skipped" in again.stderr
    for image, line in records(out).items():
        assert line["confidence"] == found[image]["confidence"]
    assert table(out) == rows


def test_without_the_option_nothing_is_said(survey: Path, tmp_path: Path, model: Path) -> None:
    assert noseam("segment", survey, "--out", tmp_path / "out", "--model", model).exit_code == 0
    assert not any("confidence" in line for line in records(tmp_path / "out").values())
    assert {(row["confidence"], row["low_percent"]) for row in table(tmp_path / "out")} == {("", "")}


def test_parts_and_workers_tell_the_same(survey: Path, tmp_path: Path, model: Path) -> None:
    found = {}
    for name, more in (("whole", ()), ("parts", ("--part-size", "0.01"))):
        out = tmp_path / name
        assert noseam("segment", survey, "--out", out, "--model", model, "--confidence", *more).exit_code == 0
        with rasterio.open(out / "ortho_label.tif") as mask:
            found[name] = read_coverage(mask.tags())
    assert found["whole"] is not None
    assert found["whole"].confidence is not None
    assert found["parts"] == found["whole"]


def test_an_image_of_which_the_model_knows_little_is_doubtful(survey: Path, tmp_path: Path, model: Path) -> None:
    """An untrained network is hardly sure of anything."""
    out = tmp_path / "out"
    command = "segment", survey, "--out", out, "--model", model, "--confidence"
    result = noseam(*command)
    assert "low confidence: 2 images; look at these masks first" in result.stdout
    why = "100% of its labels have a confidence below 0.5 (at most 20% expected): the model hardly knows what it sees"
    for line in records(out).values():
        assert line["doubts"] == ["low confidence"]
        assert f"low confidence: {why}" in line["warnings"]
    assert "2 low confidence" in noseam(*command, "-q").stderr


def test_a_table_of_an_earlier_version_keeps_its_rows(survey: Path, tmp_path: Path, model: Path) -> None:
    """It lacks the columns of confidence."""
    out = tmp_path / "out"
    command = "segment", "--out", out, "--model", model, "--confidence"
    assert noseam(*command, survey).exit_code == 0
    rows = table(out)
    columns = [name for name in rows[0] if name not in {"confidence", "low_percent"}]
    with (out / "summary.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert noseam(*command, survey / "photo.jpg").exit_code == 0
    found = table(out)
    assert [row["confidence"] for row in found if row["image"] == "ortho.tif"] == [
        "" for row in rows if row["image"] == "ortho.tif"
    ]
    assert [row for row in found if row["image"] == "photo.jpg"] == [row for row in rows if row["image"] == "photo.jpg"]
    sums = [row for row in found if row["image"] == "(all rows above)"]
    assert {row["confidence"] for row in sums} == {""}


def test_the_sum_of_all_rows_weighs_by_pixels(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    command = "segment", "--out", out, "--model", model, "--confidence"
    assert noseam(*command, survey).exit_code == 0
    whole = {row["class_id"]: row for row in table(out) if row["image"] == "(all images)"}
    assert noseam(*command, survey / "photo.jpg").exit_code == 0
    parts = {row["class_id"]: row for row in table(out) if row["image"] == "(all rows above)"}
    assert whole.keys() == parts.keys()
    for label, row in parts.items():
        for column in ("confidence", "low_percent"):
            assert float(row[column]) == pytest.approx(float(whole[label][column]), abs=2e-4)


def test_disagreement_is_written_told_and_skipped(survey: Path, tmp_path: Path, model: Path) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    command = "segment", survey, "--model", model, "--confidence", "--out"
    assert noseam(*command, plain).exit_code == 0
    result = noseam(*command, out, "--disagreement")
    assert result.exit_code == 0
    found = records(out)
    for name, suffix in (("ortho", "tif"), ("photo", "png")):
        levels = pixels(out / f"{name}_disagreement.{suffix}")
        told = levels[levels != 255]
        assert 0 < told.size < levels.size
        assert found[f"{name}.{'jpg' if suffix == 'png' else suffix}"]["disagreement"] == {
            "mean": pytest.approx(told.mean() / 254, abs=1e-4),
            "compared": pytest.approx(told.size / levels.size, abs=1e-4),
        }
        for kind in ("label", "confidence"):
            np.testing.assert_array_equal(
                pixels(out / f"{name}_{kind}.{suffix}"), pixels(plain / f"{name}_{kind}.{suffix}")
            )
    assert "0 done, 2 skipped" in noseam(*command, out, "--disagreement").stderr
    assert {image: line["disagreement"] for image, line in records(out).items()} == {
        image: line["disagreement"] for image, line in found.items()
    }
    again = noseam("segment", survey, "--out", out, "--model", model, "--window", 96)
    assert "goes with the labels that it was made of: disagreement of 2 images; --disagreement makes it" in again.stderr
    assert not list(out.glob("*_disagreement.*"))


def test_one_tile_gives_a_warning_that_helps(survey: Path, tmp_path: Path, model: Path) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--disagreement"
    result = noseam(*command, "--tile", "320")
    why = (
        f"--disagreement: one tile covers the whole of 2 of 2 images, such as {survey / 'ortho.tif'}, so nothing can "
        "disagree with it; --tile, such as --tile 512, makes tiles that overlap"
    )
    assert result.stderr.count(why) == 1
    assert (pixels(tmp_path / "out" / "photo_disagreement.png") == 255).all()
    assert {line["disagreement"]["mean"] for line in records(tmp_path / "out").values()} == {None}
    assert "one tile covers" not in noseam(*command, "--tile", "64").stderr


def test_a_raster_of_disagreement_is_no_mask_of_labels(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    assert noseam("segment", survey, "--out", out, "--model", model, "--disagreement").exit_code == 0
    refused = noseam("polygons", out / "ortho_disagreement.tif", "--out", tmp_path / "polygons")
    assert refused.exit_code != 0
    assert "a mask of disagreement" in refused.output
    crops = noseam("crop", survey, out, "--out", tmp_path / "crops", "--window", "64")
    assert crops.exit_code == 0


def with_temperature(model: Path, folder: Path, temperature: float) -> Path:
    """Return a copy of a checkpoint that has a temperature."""
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "calibration": {"temperature": temperature}}))
    return folder


def test_a_temperature_changes_confidence_alone(survey: Path, tmp_path: Path, model: Path) -> None:
    cold = with_temperature(model, tmp_path / "cold", 0.2)
    for name, checkpoint in (("plain", model), ("cold", cold)):
        command = "segment", survey, "--out", tmp_path / name / "out", "--model", checkpoint, "--confidence"
        assert noseam(*command).exit_code == 0
    for name in ("ortho_{}.tif", "photo_{}.png"):
        labels, levels = (
            [pixels(tmp_path / run / "out" / name.format(kind)) for run in ("plain", "cold")]
            for kind in ("label", "confidence")
        )
        np.testing.assert_array_equal(labels[0], labels[1])
        margin = 2 * np.arctanh(np.minimum(levels[0], 253) / 254)
        expected = 254 * np.tanh(margin / 0.2 / 2)
        steep = 254 / 0.2 / 254 + 1  # a level of rounding before is so many after
        assert np.abs(levels[1] - expected).max() <= steep


def test_where_the_temperature_changes_confidence_is_made_again(survey: Path, tmp_path: Path, model: Path) -> None:
    out, mine = tmp_path / "out", with_temperature(model, tmp_path / "mine", 1.0)
    command = "segment", survey, "--out", out, "--model", mine, "--color"
    assert noseam(*command, "--confidence").exit_code == 0
    assert "0 done, 2 skipped" in noseam(*command, "--confidence").stderr
    first = {path.name: pixels(path) for path in out.glob("*_confidence.*") if path.suffix in {".png", ".tif"}}
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps({**config, "calibration": {"temperature": 0.2}}))
    planned = noseam("plan", *command[1:], "--confidence", "--no-calibrate")
    assert "made again, 2 of 2 images: the temperature of confidence changed" in planned.output
    result = noseam(*command, "--confidence", "--part-size", "0.01")
    assert "made again, 2 of 2 images: the temperature of confidence changed" in result.stderr
    assert all((pixels(out / name) != levels).any() for name, levels in first.items())
    assert "0 done, 2 skipped" in noseam(*command, "--confidence").stderr
    (mine / "config.json").write_text(json.dumps({**config, "calibration": {"temperature": 3}}))
    result = noseam(*command)
    assert "0 done, 2 skipped" in result.stderr
    assert (
        "goes with the labels that it was made of: confidence of 2 images; --confidence makes it again" in result.stderr
    )
    assert not list(out.glob("*_confidence.*"))


@pytest.mark.parametrize("entry", [3, {"temperature": 0}, {"temperature": "hot"}, {"temperature": float("nan")}])
def test_an_impossible_temperature_is_refused(survey: Path, tmp_path: Path, model: Path, entry: object) -> None:
    broken = shutil.copytree(model, tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "calibration": entry}))
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", broken)
    assert result.exit_code != 0
    assert str(broken) in result.stderr
    assert not (tmp_path / "out" / "photo_label.png").exists()


def test_both_engines_are_as_sure(survey: Path, tmp_path: Path, model: Path) -> None:
    cold = with_temperature(model, tmp_path / "cold", 0.2)
    found = {}
    for engine in ("openvino", "torch"):
        options = "--engine", engine, "--precision", "fp32", "--device", "cpu", "--confidence", "--no-report"
        assert noseam("segment", survey, "--out", tmp_path / engine, "--model", cold, *options).exit_code == 0
        found[engine] = pixels(tmp_path / engine / "photo_confidence.png").astype(int)
    assert np.abs(found["openvino"] - found["torch"]).max() <= 1
    assert len(np.unique(found["torch"])) > 20
