"""Ground that several images show is counted once, or no sum is given."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from rasterio import Affine
from rasterio.crs import CRS

from noseam import polygons, segment
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tests.photos import write_photo
from tests.runs import noseam
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=Tiling(64, 64, 0.25))


def flight(folder: Path, *, step_m: float, photos: int = 7) -> Path:
    """Write images of 40 x 30 m along a line, each so far from the one before."""
    folder.mkdir()
    for index in range(photos):
        place = Affine(0.5, 0, 500_000 + index * step_m, 0, -0.5, 5_000_000)
        write_tif(folder / f"IMG_{index}.tif", noise(3, 60, 80, seed=index), crs=UTM, transform=place)
    return folder


def totals(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["image"] == "(all images)"]


def test_photos_that_overlap_have_no_square_metres_in_all(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=15), tmp_path / "out"
    result = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert result.exit_code == 0
    reason = "the outlines of 7 of the 7 images overlap on the ground, such as IMG_0.tif's"
    assert {row["m2"] for row in totals(out)} == {""}
    assert [row["note"] for row in totals(out)] == [f"m2 left out: {reason}", "", ""]
    assert sum(int(row["pixels"]) for row in totals(out)) == 7 * 60 * 80
    assert result.stderr.count(reason) == 1
    again = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert again.stderr.count(reason) == 1


def test_an_image_on_a_map_of_the_globe_is_found_to_overlap(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40, photos=1), tmp_path / "out"
    globe = Affine(358 / 80, 0, -179, 0, -178 / 60, 89)
    write_tif(survey / "globe.tif", noise(3, 60, 80), crs=CRS.from_epsg(4326), transform=globe)
    result = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert {row["m2"] for row in totals(out)} == {""}
    assert "the outlines of 2 of the 2 images overlap on the ground, such as IMG_0.tif's" in result.stderr


def test_a_night_of_photos_without_a_place_is_quiet_and_the_table_says_what_helps(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40, photos=1), tmp_path / "out"
    for index in range(2):
        write_photo(survey / f"DJI_{index}.jpg")
    result = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert (result.exit_code, result.output) == (0, "")
    first, *others = totals(out)
    assert first["note"] == (
        "m2 left out: 2 of 3 images do not say how much ground they cover (photos may say it by their pose: "
        "--georef photo)"
    )
    assert {row["note"] for row in others} == {""}


def test_sheets_side_by_side_have_their_sum(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40), tmp_path / "out"
    result = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert {row["note"] for row in totals(out)} == {""}
    assert sum(float(row["m2"]) for row in totals(out)) == pytest.approx(7 * 40 * 30)
    assert "overlap" not in result.stderr


def test_polygons_of_photos_that_overlap_warn_and_those_of_one_photo_do_not(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=15, photos=3), tmp_path / "out"
    result = noseam("-q", "segment", survey, "--out", out, "--model", model, "--polygons", "--smooth")
    assert result.exit_code == 0
    assert "masks overlap" not in result.stderr
    assert len(list(out.glob("*_polygons.gpkg"))) == 3
    result = noseam("-q", "polygons", out, "--out", tmp_path / "all.gpkg")
    assert result.exit_code == 0
    assert "the outlines of 3 of the 3 masks overlap on the ground, such as IMG_0_label.tif's" in result.stderr


def test_the_sums_of_polygons_and_of_the_table_differ_by_what_is_told(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40, photos=3), tmp_path / "out"
    noseam("segment", survey, "--out", out, "--model", model)
    (written,) = polygons(out, tmp_path / "all.gpkg", simplify_px=1)
    assert written.report is not None
    table = {row["class_name"]: float(row["m2"]) for row in totals(out)}
    assert {area.name: area.before for area in written.report.areas} == pytest.approx(table)
    kept = {area.name: area.after for area in written.report.areas if area.after}
    assert kept == pytest.approx(written.report.area_m2)
    assert sum(kept.values()) == pytest.approx(sum(table.values()))


def test_polygons_of_a_run_are_made_again_with_another_least_area_only(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40, photos=1), tmp_path / "out"
    command = "segment", survey, "--out", out, "--model", model, "--polygons"
    states = [
        [outcome.state for outcome in segment(survey, out, model=str(model), polygons=True, min_area_m2=area)]
        for area in (None, None, 0.0, 0.0)
    ]
    assert states == [["done"], ["skipped"], ["done"], ["skipped"]]
    assert " 1 done" in noseam(*command, "--smooth").stderr
