"""All that noseam makes of an image is of one making, or gone; and a run says why it makes masks again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import MANIFEST, NORTH_UP, contents, noseam

pytest.importorskip("pyogrio")


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


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if "_" in path.name}


def masks(out: Path, kind: str) -> Iterator[Path]:
    yield from sorted(out.glob(f"*_{kind}.*"))


def test_the_closing_lines_say_where_polygons_are(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert "polygons:" not in noseam(*command).stdout
    assert f"polygons: {out}  (such as {out / 'ortho_polygons.gpkg'})" in noseam(*command, "--polygons").stdout


def test_products_that_would_contradict_new_labels_go_and_the_run_says_how_to_make_them(
    survey: Path, out: Path, model: Path
) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command, "--polygons", "--confidence", "--color").exit_code == 0
    before = names(out)
    assert {"ortho_polygons.gpkg", "ortho_confidence.tif", "ortho_color.tif", "photo_confidence.png"} <= before
    result = noseam(*command, "--window", "64")
    assert result.exit_code == 0
    assert "made again, 2 of 2 images: settings changed: window 128 to 64" in result.stderr
    for kind in ("polygons", "confidence"):
        assert f"goes with the labels that it was made of: {kind} of 2 images; --{kind} makes" in result.stderr
    assert "goes with the labels that it was made of: color of 1 image; --color makes" in result.stderr
    assert not {name for name in names(out) if "polygons" in name or "confidence" in name or "ortho_color" in name}
    assert {"ortho_label.tif", "photo_label.png", "photo_color.png"} <= names(out)
    assert noseam(*command, "--window", "64").stderr.count("skipped") >= 2


def test_products_of_the_same_labels_stay(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command, "--polygons", "--confidence").exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if "_" in path.name}
    result = noseam(*command)
    assert "0 done, 2 skipped" in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir() if "_" in path.name} == before
    assert "0 done, 2 skipped" in noseam(*command, "--polygons", "--confidence").stderr


def test_a_product_that_is_wanted_later_is_made_and_the_others_stay(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command, "--polygons").exit_code == 0
    result = noseam(*command, "--confidence")
    assert "made again, 2 of 2 images: missing: confidence" in result.stderr
    assert {"ortho_polygons.gpkg", "ortho_confidence.tif"} <= names(out)
    assert "0 done, 2 skipped" in noseam(*command, "--confidence", "--polygons").stderr
    (out / "photo_polygons.gpkg").unlink()
    assert "made again, 1 of 2 images: missing: polygons" in noseam(*command, "--polygons").stderr


def test_masks_in_another_format_take_the_place_of_the_old(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command, "--polygons").exit_code == 0
    result = noseam(*command, "--format", "png", "--polygons", "--polygons-format", "fgb")
    assert "replaced by another format: label of 1 image" in result.stderr
    assert sorted(path.name for path in masks(out, "label") if path.suffix in {".png", ".tif"}) == [
        "ortho_label.png", "photo_label.png",
    ]  # fmt: skip
    assert sorted(path.suffix for path in masks(out, "polygons")) == [".fgb", ".fgb"]
    assert {"ortho_label.qml", "ortho_label.pgw", "ortho_label.prj"} <= names(out)
    assert "ortho_label.tif.aux.xml" not in names(out)
    crops = noseam("crop", survey, out, "--out", out.parent / "crops", "--window", "64")
    assert crops.exit_code == 0
    assert noseam("polygons", out, "--out", out.parent / "all.gpkg").exit_code != 0  # two places, pixels and UTM
    assert "0 done, 2 skipped" in noseam(*command, "--format", "png").stderr


def test_a_strangers_file_stays(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command).exit_code == 0
    foreign = {"photo_confidence.png": b"mine", "photo_polygons.gpkg": b"mine", "photo_label.tif": b"mine"}
    for name, data in foreign.items():
        (out / name).write_bytes(data)
    assert noseam(*command, "--overlap", "0").exit_code == 0
    assert {name: (out / name).read_bytes() for name in foreign} == foreign


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--overlap", "0"), "settings changed: overlap 0.25 to 0"),
        (("--strict",), "settings changed: strict off to on"),
        (("--channels", "3,2,1"), "settings changed: channels none to 3,2,1"),
        (("--value-range", "0", "9"), "settings changed: value range none to 0,9"),
        (("--precision", "fp32", "--engine", "torch"), "the engine changed: openvino cpu"),
        (("--overwrite",), "--overwrite"),
    ],
)
def test_the_run_says_which_setting_makes_masks_again(
    survey: Path, out: Path, model: Path, option: tuple[str, ...], why: str
) -> None:
    command = "segment", survey, "--out", out, "--model", model
    noseam(*command)
    assert f"2 of 2 images: {why}" in noseam(*command, *option).stderr


def test_the_run_says_which_sources_and_models_changed(survey: Path, out: Path, model: Path, tmp_path: Path) -> None:
    command = "segment", survey, "--out", out
    noseam(*command, "--model", model)
    os.utime(survey / "photo.jpg", (1, 1))
    assert "made again, 1 of 2 images: the source changed" in noseam(*command, "--model", model).stderr
    other = checkpoint_folder(tmp_path / "other", classes=4, tiling=squares(128, 64))
    result = noseam(*command, "--model", other)
    assert "2 of 2 images: the model changed; names or colours of classes changed" in result.stderr
    assert np.asarray(Image.open(out / "photo_label.png")).max() <= 3


def test_images_of_one_name_leave_the_masks_of_each_other_alone(survey: Path, out: Path, model: Path) -> None:
    write_tif(survey / "photo.tif", noise(3, 60, 90), crs=UTM, transform=NORTH_UP)
    command = "segment", survey, "--out", out, "--model", model
    assert noseam(*command, "--confidence").exit_code == 0
    before = names(out)
    assert {"photo_label.png", "photo_label.tif"} <= before
    assert "0 done, 3 skipped" in noseam(*command).stderr
    assert noseam("segment", survey / "photo.jpg", "--out", out, "--model", model, "--overlap", "0").exit_code == 0
    assert names(out) == before - {"photo_confidence.png"}


def test_masks_that_are_damaged_or_of_another_image_are_made_again(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    noseam(*command)
    whole = (out / "photo_label.png").read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        (out / "photo_label.png").write_bytes(damaged)
        result = noseam(*command)
        assert result.exit_code == 0
        assert "made again, 1 of 2 images: masks are damaged" in result.stderr
        assert "photo.jpg: 0.0 megapixels in " in result.stderr
        assert "; made again: masks are damaged" in result.stderr
        assert (out / "photo_label.png").read_bytes() == whole
    shutil.copy(survey / "photo.jpg", survey / "other.jpg")
    noseam(*command)
    shutil.copy(out / "other_color.png", out / "photo_color.png")
    assert "made again, 1 of 3 images: a mask of another image stands there" in noseam(*command).stderr


def test_another_format_says_so_and_what_else_changed(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey / "photo.jpg", "--out", out, "--model", model
    noseam(*command, "--polygons")
    result = noseam(*command, "--format", "geotiff", "--window", "64")
    assert "made again, 1 of 1 image: settings changed: window 128 to 64; settings changed: format" in result.stderr
    assert "goes with the labels that it was made of: polygons of 1 image" in result.stderr
    noseam(*command, "--format", "geotiff", "--window", "64", "--polygons")
    result = noseam(*command, "--window", "64")
    assert "made again, 1 of 1 image: settings changed: format" in result.stderr
    assert "photo_polygons.gpkg" in names(out)


def test_the_manifest_says_which_image_was_made_again_and_why(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    noseam(*command)
    os.utime(survey / "photo.jpg", (1, 1))
    noseam(*command)
    last = {line["image"]: line["reason"] for line in map(json.loads, (out / MANIFEST).read_text().splitlines()[-2:])}
    assert last["photo.jpg"] == "made again: the source changed (its size or time)"


def test_an_option_that_fits_no_image_is_refused_and_the_records_stay(survey: Path, out: Path, model: Path) -> None:
    command = "segment", survey, "--out", out, "--model", model
    noseam(*command)
    before = contents(out)
    result = noseam(*command, "--window", "5")
    assert result.exit_code == 2
    assert "the image would be enlarged 12.8 times, 8 is the most" in result.stderr
    assert contents(out) == before
