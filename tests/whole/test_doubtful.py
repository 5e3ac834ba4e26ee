"""What makes a result doubtful is said by `plan` and `segment`, in the records, and by the masks themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.photos import write_photo
from tests.runs import noseam
from tiler.doubt import JUDGED_GSD_KEY, Doubt, read_doubts
from tiler.grid.tiling import Tiling
from tiler.masks.png import read_text

TRAINED = (0.5, 2.0)
"""Metres per model pixel; at windows of 128 px and tiles of 64 px the images have 0.25 to 1 m per pixel."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiling = Tiling(window_px=128, input_px=64, overlap=0.25, trained_gsd_m=TRAINED)
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=tiling)


def write_map(path: Path, gsd_m: float) -> Path:
    transform = Affine(gsd_m, 0, 500_000, 0, -gsd_m, 5_000_000)
    return write_tif(path, noise(3, 100, 120), photometric="rgb", crs=UTM, transform=transform)


def record(out: Path) -> dict[str, list[str]]:
    """Return the warnings of each image in the manifest that are doubts."""
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return {line["image"]: [text for text in line["warnings"] if text.partition(":")[0] in line["doubts"]]
            for line in lines}  # fmt: skip


def test_an_image_far_from_the_models_scale_is_told_everywhere(model: Path, tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    write_map(survey / "far.tif", 300)
    write_map(survey / "near.tif", 0.6)
    Image.fromarray(noise(100, 120, 3)).save(survey / "nowhere.png")
    why = (
        "its pixels are 300 m, 300 times as large as those that the model was trained on, so labels are likely wrong; "
        "the image is too coarse for this model"
    )
    planned = noseam("plan", survey, "--out", out, "--model", model)
    assert f"{survey / 'far.tif'}: far from scale: {why}\n" in planned.output
    assert planned.output.count("far from scale") == 1
    result = noseam("segment", survey, "--out", out, "--model", model, "-q")
    assert result.exit_code == 0
    assert f"{survey / 'far.tif'}: far from scale: {why}" in result.stderr
    assert result.stderr.count("far from scale: ") == 1
    assert record(out) == {"far.tif": [f"far from scale: {why}"], "near.tif": [], "nowhere.png": []}
    with rasterio.open(out / "far_label.tif") as mask:
        assert read_doubts(mask.tags()) == (Doubt("far from scale", why),)


def test_what_the_warning_advises_brings_the_image_to_the_scale(model: Path, tmp_path: Path) -> None:
    fine = write_map(tmp_path / "fine.tif", 0.05)
    said = noseam("plan", fine, "--model", model).output
    assert "its pixels are 5 cm, 5 times as small as those that the model was trained on" in said
    assert "--gsd 0.5 brings it to the scale of the model" in said
    assert "far from scale" not in noseam("plan", fine, "--model", model, "--gsd", "0.5").output
    asked = noseam("plan", fine, "--model", model, "--gsd", "6").output
    assert "its pixels become 6 m, 3 times as large as those that the model was trained on" in asked
    assert "--gsd 0.5 brings" in asked


def test_a_photo_has_the_scale_of_its_pose(model: Path, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg", pose={"RelativeAltitude": "+400.00"})
    placed = noseam("plan", photo, "--model", model, "--georef", "photo").output
    assert "far from scale: its pixels are 10 m, 10 times as large" in placed


def test_a_photo_without_a_place_has_the_scale_of_its_height_and_focal_length(model: Path, tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    for name in ("far", "further", "near"):
        height = "+20.00" if name == "near" else "+400.00"
        write_photo(survey / f"{name}.jpg", pose={"RelativeAltitude": height, "GimbalYawDegree": None}, place=None)
    Image.fromarray(noise(40, 60, 3)).save(survey / "nowhere.jpg")
    command = survey, "--out", out, "--model", model
    why = (
        "far from scale: its pixels are 10 m by its EXIF (height by RelativeAltitude, focal length by sensor width), "
        "20 m as the network sees them, 10 times as large as those that the model was trained on, so labels are likely "
        "wrong; --window 13 brings it to the scale of the model"
    )
    planned = noseam("plan", *command).output
    assert f"2 images, such as {survey / 'far.jpg'}: {why}" in planned
    assert noseam("segment", *command).exit_code == 0
    assert record(out) == {"far.jpg": [why], "further.jpg": [why], "near.jpg": [], "nowhere.jpg": []}
    judged = {}
    for path in out.glob("*_label.png"):
        with Image.open(path) as mask:
            judged[path.stem.removesuffix("_label")] = mask.info.get(JUDGED_GSD_KEY)
    assert judged == {"far": "10", "further": "10", "near": "0.5", "nowhere": None}
    result = noseam("evaluate", out, "--shifted", out, "--json")
    files = {each["name"]: each["doubts"] for each in json.loads(result.stdout)["files"]}
    assert files == {"far": [why], "further": [why], "near": [], "nowhere": []}
    assert f"doubtful, 2 predicted masks, such as far: {why}" in noseam("evaluate", out, "--shifted", out).stdout


def test_what_is_advised_for_a_photo_brings_it_to_the_scale(model: Path, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg", pose={"RelativeAltitude": "+1.00"})
    said = noseam("plan", photo, "--model", model).output
    assert "its pixels are 2.5 cm by its EXIF" in said
    assert "--window 1300 brings it to the scale of the model" in said
    assert "far from scale" not in noseam("plan", photo, "--model", model, "--window", 1300).output


def test_an_image_of_one_colour_is_told_everywhere(model: Path, tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    Image.new("RGB", (300, 200), (90, 91, 92)).save(survey / "blank.png")
    write_tif(survey / "flat.tif", np.full((1, 150, 150), 7.5, np.float32))
    Image.fromarray(noise(100, 120, 3)).save(survey / "good.png")
    result = noseam("segment", survey, "--out", out, "--model", model, "-q")
    assert result.exit_code == 0
    why = "one value: the network saw one colour everywhere (red 90, green 91, blue 92), so labels say nothing; "
    assert f"{survey / 'blank.png'}: {why}is the image blank?" in result.stderr
    found = record(out)
    assert found["good.png"] == []
    assert found["blank.png"] == [f"{why}is the image blank?"]
    assert [doubt.partition(":")[0] for doubt in found["flat.tif"]] == ["one value"]
    assert [doubt.kind for doubt in read_doubts(read_text(out / "blank_label.png"))] == ["one value"]
