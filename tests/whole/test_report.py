"""Reports of real runs: what they say of the images, when they are made, what they leave alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noseam as api
from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import NORTH_UP, contents, make_survey, noseam
from tiler.files.walk import walk_survey
from tiler.masks.labels import open_labels
from tiler.previews.write import previews_of

PHOTO = "images/a%20%23%3F/IMG_1.jpg"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(128, 64))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A photo whose folder has an odd name, an orthomosaic, and a file that is no image."""
    folder = tmp_path / "survey"
    (folder / "a #?").mkdir(parents=True)
    Image.fromarray(noise(150, 260, 3)).save(folder / "a #?" / "IMG_1.jpg")
    write_tif(folder / "ortho.tif", noise(3, 200, 300), crs=UTM, transform=NORTH_UP)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


def said(out: Path) -> dict[str, Any]:
    """Return what the pages of a report are given."""
    text = (out / "report" / "data.js").read_text("utf-8")
    found: dict[str, Any] = json.loads(text.partition("=")[2].rstrip().rstrip(";"))
    return found


def image(out: Path, name: str) -> dict[str, Any]:
    (found,) = (each for each in said(out)["images"] if each["name"] == name)
    return dict(found)


def segment(survey: Path, out: Path, model: Path, *more: object) -> str:
    return noseam("segment", survey, "--out", out, "--model", model, "--threads", 1, *more).stdout


def test_a_run_ends_with_a_report_and_names_it_first(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    lines = segment(survey, out, model, "--confidence").splitlines()
    assert lines[1].split() == ["report:", str(out / "report" / "index.html")]
    assert (out / "report" / "index.html").exists()
    found = said(out)
    assert {each["id"]: each["level"] for each in found["lights"]}["failed"] == "red"
    (place,) = (each for each in found["lights"] if each["id"] == "not placed")
    assert (place["level"], place["says"][:30]) == ("unknown", "Without a place: 1 of 3 images")
    assert [each["name"] for each in found["images"]] == ["a #?/IMG_1.jpg", "bad.jpg", "ortho.tif"]
    run = dict(found["run"])
    assert run["model"] == str(model)
    assert "second" in run["took"]
    assert "--confidence" in run["command"]
    assert run["device"].endswith(", 1 core")


def test_an_image_has_its_previews_its_masks_its_classes_and_its_place(
    survey: Path, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "out"
    segment(survey, out, model, "--confidence", "--overlay")
    photo, ortho, bad = (image(out, name) for name in ("a #?/IMG_1.jpg", "ortho.tif", "bad.jpg"))
    assert [photo[kind] for kind in ("photo", "thumb", "layers")] == [
        f"{PHOTO}_photo.jpg", f"{PHOTO}_thumb.jpg", f"{PHOTO}_layers.js",
    ]  # fmt: skip
    assert {kind for kind, _ in photo["masks"]} == {"label", "color", "confidence", "overlay"}
    assert dict(photo["masks"])["label"] == "../a%20%23%3F/IMG_1_label.png"
    assert photo["size"] == [260, 150]
    assert photo["preview"] == [260, 150]
    assert 0 < photo["confidence"] < 1
    assert sum(share for _, share, _, _ in photo["classes"]) == pytest.approx(1)
    means = sum(share * mean for _, share, mean, _ in photo["classes"])
    assert means == pytest.approx(photo["confidence"], abs=1e-3)
    assert sum(share * low for _, share, _, low in photo["classes"]) == pytest.approx(photo["low"], abs=1e-3)
    assert "footprint" not in photo
    assert len(ortho["footprint"]) == 4
    assert ortho["footprint"][0] == pytest.approx([45.154, 15], abs=0.01)
    assert (bad["state"], "thumb" in bad) == ("failed", False)
    assert "not an accepted image" in bad["reason"]
    assert bad["advice"]


def test_the_previews_of_a_run_are_those_that_the_report_makes(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    segment(survey, out, model, "--confidence")
    before = {name: data for name, data in contents(out).items() if name.startswith("report/images")}
    assert len(before) == 6
    shutil.rmtree(out / "report")
    assert noseam("report", out).stdout.startswith(f"report: {out / 'report' / 'index.html'}")
    assert {name: data for name, data in contents(out).items() if name.startswith("report/images")} == before


def test_a_report_shows_masks_that_were_made_again(survey: Path, tmp_path: Path, model: Path) -> None:
    out, files = tmp_path / "out", tmp_path / "out" / "report" / "images"
    segment(survey, out, model)
    old = (files / "ortho.tif_layers.js").read_bytes()
    segment(survey, out, model, "--no-report", "--window", 200)
    assert (files / "ortho.tif_layers.js").read_bytes() == old
    assert noseam("report", out).exit_code == 0
    assert (files / "ortho.tif_layers.js").read_bytes() != old


def test_no_report_is_made_where_none_is_wanted_and_none_of_a_shard(survey: Path, tmp_path: Path, model: Path) -> None:
    assert "report:" not in segment(survey, tmp_path / "out", model, "--no-report")
    assert not (tmp_path / "out" / "report").exists()
    assert "report:" not in segment(survey, tmp_path / "parts", model, "--shard", "1/2")
    assert not (tmp_path / "parts" / "report" / "index.html").exists()
    api.report(tmp_path / "parts")
    found = said(tmp_path / "parts")
    assert len(found["images"]) == 3
    assert {each["state"] for each in found["images"]} > {"left"}
    assert found["notes"] == ["1 of 2 shards has not run into this folder yet."]
    assert "--shard" not in dict(found["run"])["command"]
    segment(survey, tmp_path / "parts", model, "--shard", "2/2")
    assert api.report(tmp_path / "parts") == tmp_path / "parts" / "report" / "index.html"
    assert [each["state"] for each in said(tmp_path / "parts")["images"]] == ["done", "failed", "done"]


def test_areas_are_those_of_the_summary(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    segment(survey / "ortho.tif", out, model)
    found = said(out)
    assert sum(each.get("m2", 0) for each in found["classes"]) == pytest.approx(200 * 300 * 0.25, rel=0.01)
    assert sum(each.get("percent", 0) for each in found["classes"]) == pytest.approx(100)
    segment(survey, tmp_path / "both", model)
    found = said(tmp_path / "both")
    assert not any("m2" in each for each in found["classes"])
    assert "1 of 2 images does not say how much ground it covers" in found["area_note"]


def test_an_evaluation_beside_the_masks_is_shown(tmp_path: Path, model: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=2, rasters=0, height=120, width=160)
    truth = tmp_path / "truth"
    truth.mkdir()
    for at in range(2):
        Image.fromarray(np.full((120, 160), at, np.uint8)).save(truth / f"photo_{at}.png")
    segment(survey, tmp_path / "out", model, "--confidence")
    assert "confusion" not in said(tmp_path / "out")
    assert noseam("evaluate", tmp_path / "out", truth, "--out", tmp_path / "evaluation").exit_code == 0
    noseam("report", tmp_path / "out")
    found = said(tmp_path / "out")["confusion"]
    assert sum(map(sum, found["pixels"])) == 2 * 120 * 160
    assert sum(each["pixels"] for each in said(tmp_path / "out")["reliability"]) == 2 * 120 * 160
    shutil.move(tmp_path / "evaluation", tmp_path / "elsewhere")
    noseam("report", tmp_path / "out")
    assert "confusion" not in said(tmp_path / "out")
    noseam("report", tmp_path / "out", "--evaluation", tmp_path / "elsewhere")
    assert said(tmp_path / "out")["confusion"] == found


def test_how_a_model_learned_is_shown_where_no_evaluation_is_beside(tmp_path: Path, model: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=1, rasters=0, height=120, width=160)
    learned, out = tmp_path / "learned", tmp_path / "out"
    shutil.copytree(model, learned)
    (learned / "learning_curve.csv").write_text("epoch,step,train_loss,miou,iou_a\n1.0,2,0.9,0.25,0.5\n2.0,4,,0.75,1\n")
    (learned / "confusion.csv").write_text("truth / predicted,a,b,no label\na,6,2,0\nb,0,4,0\n")
    segment(survey, out, learned)
    found = said(out)
    assert found["learning_curve"] == [
        ["epoch", [1.0, 2.0]], ["step", [2.0, 4.0]], ["train_loss", [0.9, None]], ["miou", [0.25, 0.75]],
    ]  # fmt: skip
    confusion = found["confusion"]
    assert (confusion["classes"], confusion["pixels"], confusion["of"]) == (["a", "b"], [[6, 2], [0, 4]], "crops")
    assert confusion["iou"] == pytest.approx([6 / 8, 4 / 6])
    assert confusion["miou"] == pytest.approx((6 / 8 + 4 / 6) / 2)
    truth = tmp_path / "truth"
    truth.mkdir()
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(truth / "photo_0.png")
    assert noseam("evaluate", out, truth, "--out", tmp_path / "evaluation").exit_code == 0
    noseam("report", out)
    assert said(out)["confusion"]["of"] == "images"
    shutil.rmtree(tmp_path / "evaluation")
    (learned / "confusion.csv").write_text("truth / predicted,a,b,no label\na,6,2\n")
    noseam("report", out)
    assert "confusion" not in said(out)


def test_previews_of_photos_that_are_gone_go_too(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    segment(survey, out, model)
    assert (out / "report" / "images" / "ortho.tif_photo.jpg").exists()
    (survey / "ortho.tif").unlink()
    segment(survey, out, model)
    assert [each["name"] for each in said(out)["images"]] == ["a #?/IMG_1.jpg", "bad.jpg"]
    assert "photos that left the survey are not counted here: 1, such as ortho.tif" in said(out)["notes"][0]
    segment(survey, out, model, "--prune")
    assert "notes" not in said(out)
    assert not (out / "report" / "images" / "ortho.tif_photo.jpg").exists()
    assert [each["name"] for each in said(out)["images"]] == ["a #?/IMG_1.jpg", "bad.jpg"]


def test_no_preview_is_taken_for_a_photo(survey: Path, tmp_path: Path, model: Path) -> None:
    segment(survey, survey, model, "--overlay")
    assert (survey / "ortho_overlay.jpg").exists()
    before = [found.relative.as_posix() for found in walk_survey([survey], out=survey).images]
    assert not [name for name in before if name.startswith("report/")]
    again = json.loads(segment(survey, survey, model, "--overlay", "--json"))
    assert (again["inputs"], again["done"], again["skipped"]) == (3, 0, 2)
    assert [each["name"] for each in said(survey)["images"]] == ["a #?/IMG_1.jpg", "bad.jpg", "ortho.tif"]


def test_a_folder_that_no_run_wrote_to_has_no_report(tmp_path: Path) -> None:
    result = noseam("report", tmp_path)
    assert result.exit_code == 4
    assert "no mask and no record of a run found" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_costs_a_warning(
    survey: Path, tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report").write_text("a file of somebody else")
    result = noseam("segment", survey / "ortho.tif", "--out", out, "--model", model, "--threads", 1)
    assert result.exit_code == 0
    assert "no report" in result.stderr + caplog.text
    assert (out / "ortho_label.tif").exists()


def test_an_overlay_is_the_photo_with_the_colours_of_its_labels(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    smooth = Image.fromarray(noise(4, 6, 3)).resize((300, 200), Image.Resampling.BICUBIC)
    smooth.save(survey / "smooth.png")
    segment(survey / "smooth.png", out, model, "--overlay", "--no-report")
    with Image.open(out / "smooth_overlay.jpg") as file:
        found = np.asarray(file).astype(int)
    with Image.open(out / "smooth_color.png") as file:
        colours = np.asarray(file.convert("RGBA"))[..., :3].astype(int)
    expected = (np.asarray(smooth).astype(int) + colours) // 2
    with open_labels(out / "smooth_label.png", None) as labels:
        assert labels.shape == found.shape[:2]
    assert np.abs(found - expected).mean() < 6
    assert segment(survey / "smooth.png", out, model, "--overlay", "--no-report").startswith("1 image: 1 skipped")
    (out / "smooth_overlay.jpg").unlink()
    assert segment(survey / "smooth.png", out, model, "--overlay", "--no-report").startswith("1 image: 1 done")


def test_an_overlay_goes_with_the_labels_that_it_shows(survey: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    segment(survey / "ortho.tif", out, model, "--overlay", "--no-report")
    assert (out / "ortho_overlay.jgw").exists()
    segment(survey / "ortho.tif", out, model, "--no-report")
    assert (out / "ortho_overlay.jpg").exists()
    segment(survey / "ortho.tif", out, model, "--no-report", "--window", 200)
    assert not (out / "ortho_overlay.jpg").exists()
    assert not (out / "ortho_overlay.jgw").exists()


def test_previews_say_of_which_masks_they_are(survey: Path, tmp_path: Path, model: Path) -> None:
    from tiler.files.previews import preview_files
    from tiler.masks.provenance import read_tags

    out = tmp_path / "out"
    segment(survey / "ortho.tif", out, model)
    known = previews_of(preview_files(out, Path("ortho.tif")))
    assert known is not None
    assert known[0] == read_tags(out / "ortho_label.tif")["NOSEAM_FINGERPRINT"]


def test_images_of_one_name_and_another_suffix_have_previews_of_their_own(
    survey: Path, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "out"
    Image.fromarray(noise(90, 120, 3, seed=5)).save(survey / "ortho.jpg")
    segment(survey, out, model)
    one, other = image(out, "ortho.jpg"), image(out, "ortho.tif")
    assert (one["preview"], other["preview"]) == ([120, 90], [300, 200])
    assert one["photo"] != other["photo"]
