"""A whole run gives masks their place and the files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from segment.plan.report import place_note, plan_as_dict, plan_as_lines
from segment.plan.request import Request
from segment.plan.survey import SurveyPlan, plan_survey
from segment.record.outcome import Outcome
from tests.make import UTM, noise, write_tif
from tests.models import MeanEngine, runner_of
from tests.photos import write_photo
from tiler.files.walk import walk_survey
from tiler.grid.tiling import Tiling
from tiler.photo.options import PoseOptions
from tiler.polygons.make import write_polygons
from tiler.polygons.request import PolygonOptions

pyogrio = pytest.importorskip("pyogrio", reason="needs the extra vector")

SQUARE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
SOUTH_UP_ROTATED = Affine(0.3, 0.1, 500_000, -0.1, 0.3, 5_000_000)
WORLD = "0.5\n0\n0\n-0.5\n500000.25\n4999999.75\n"


def plan(folder: Path, request: Request) -> SurveyPlan:
    return plan_survey(walk_survey([folder], out=request.out), request)


def run(folder: Path, request: Request, *, overwrite: bool = False) -> dict[str, Outcome]:
    outcomes = runner_of(MeanEngine()).run(plan(folder, request), request, overwrite=overwrite)
    return {outcome.path.name: outcome for outcome in outcomes}


def request_for(folder: Path, **changes: Any) -> Request:
    return Request(tiling=Tiling(64, 64, 0.25), out=folder / "out", **changes)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "out").iterdir()} - {"summary.csv", "manifest.jsonl", "report"}


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    return folder


def test_a_photo_is_placed_by_its_pose_when_that_is_asked_for(survey: Path, tmp_path: Path) -> None:
    write_photo(survey / "a.jpg")
    assert run(survey, request_for(tmp_path))["a.jpg"].state == "done"
    assert names(tmp_path) == {"a_label.png", "a_color.png"}
    run(survey, request_for(tmp_path / "2", georef="photo"))
    with rasterio.open(tmp_path / "2/out/a_label.tif") as mask:
        assert mask.crs.to_epsg() == 32633
        assert mask.tags()["GEOREF"] == "approximate-exif"
        assert float(mask.tags()["GEOREF_EST_ERROR_M"]) > 1


def test_a_photo_without_a_pose_is_segmented_all_the_same_and_said_why(survey: Path, tmp_path: Path) -> None:
    write_photo(survey / "a.jpg", place=None)
    outcome = run(survey, request_for(tmp_path, georef="photo"))["a.jpg"]
    assert outcome.state == "done"
    assert [doubt for doubt in outcome.doubts if str(doubt).startswith("not placed: no GPS position")]
    assert names(tmp_path) == {"a_label.png", "a_color.png"}


def test_a_tilted_photo_gives_a_mask_with_control_points(survey: Path, tmp_path: Path) -> None:
    write_photo(survey / "a.jpg", pose={"GimbalPitchDegree": "-80.00"})
    run(survey, request_for(tmp_path, georef="photo"))
    with rasterio.open(tmp_path / "out/a_label.tif") as mask:
        points, crs = mask.gcps
        assert (len(points), crs.to_epsg()) == (9, 32633)


def test_a_file_that_says_where_it_lies_needs_no_pose(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=SQUARE)
    planned = plan(survey, request_for(tmp_path, georef="photo"))
    assert planned.images[0].info.georeference.transform == SQUARE
    assert place_note(planned) == ""


def test_georef_none_takes_the_place_away(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=SQUARE)
    run(survey, request_for(tmp_path, georef="none"))
    assert names(tmp_path) == {"a_label.png", "a_color.png"}


def test_the_plan_says_how_many_photos_are_placed(survey: Path, tmp_path: Path) -> None:
    write_photo(survey / "a.jpg")
    write_photo(survey / "b.jpg", place=None)
    planned = plan(survey, request_for(tmp_path, georef="photo"))
    lines = plan_as_lines(planned, tmp_path / "out")
    assert any(line.startswith("1 photo placed by its pose, 1 could not be; corners may be off by") for line in lines)
    assert any(line.startswith(f"{survey / 'b.jpg'}: not placed: no GPS position") for line in lines)
    assert any("take-off" in line for line in lines)
    found = plan_as_dict(planned)
    assert (found["placed"], found["unplaced"]) == (1, 1)
    given = plan(survey, request_for(tmp_path, georef="photo", pose=PoseOptions(flying_height_m=90)))
    assert "take-off" not in place_note(given)


def test_a_height_that_changes_moves_the_mask(survey: Path, tmp_path: Path) -> None:
    write_photo(survey / "a.jpg")
    states = [
        run(survey, request_for(tmp_path, georef="photo", pose=PoseOptions(flying_height_m=height)))["a.jpg"].state
        for height in (80, 80, 90)
    ]
    assert states == ["done", "skipped", "done"]


def test_a_world_file_places_a_jpeg_and_a_changed_one_moves_it(survey: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 50, 3)).save(survey / "a.jpg")
    (survey / "a.jgw").write_text(WORLD)
    (survey / "a.prj").write_text(UTM.to_wkt())
    assert run(survey, request_for(tmp_path))["a.jpg"].state == "done"
    with rasterio.open(tmp_path / "out/a_label.tif") as mask:
        assert (mask.crs, mask.transform) == (UTM, SQUARE)
    assert run(survey, request_for(tmp_path))["a.jpg"].state == "skipped"
    (survey / "a.jgw").write_text(WORLD.replace("500000.25", "600000.25"))
    assert run(survey, request_for(tmp_path))["a.jpg"].state == "done"
    with rasterio.open(tmp_path / "out/a_label.tif") as mask:
        assert mask.transform.c == 600_000


@pytest.mark.parametrize("transform", [SQUARE, SOUTH_UP_ROTATED])
def test_a_png_mask_has_its_place_beside_it(survey: Path, tmp_path: Path, transform: Affine) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=transform)
    run(survey, request_for(tmp_path, format="png"))
    assert names(tmp_path) == {
        "a_label.png", "a_label.png.aux.xml", "a_label.pgw", "a_label.prj", "a_label.qml",
        "a_color.png", "a_color.png.aux.xml", "a_color.pgw", "a_color.prj",
    }  # fmt: skip
    for kind in ("label", "color"):
        with rasterio.open(tmp_path / f"out/a_{kind}.png") as mask:
            assert mask.crs == UTM
            np.testing.assert_allclose(mask.transform, transform, rtol=1e-15)


def test_side_files_can_be_left_out_and_are_made_when_they_are_asked_for_again(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=SQUARE)
    run(survey, request_for(tmp_path, sidecars=frozenset()))
    assert names(tmp_path) == {"a_label.tif"}
    run(survey, request_for(tmp_path, sidecars=frozenset({"qml", "aux"})))
    assert names(tmp_path) == {"a_label.tif", "a_label.qml", "a_label.tif.aux.xml"}
    run(survey, request_for(tmp_path, sidecars=frozenset({"vat"})))
    assert names(tmp_path) == {"a_label.tif", "a_label.qml", "a_label.tif.vat.dbf", "a_label.tif.vat.cpg"}


def test_a_lost_side_file_is_made_again(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=SQUARE)
    request = request_for(tmp_path)
    run(survey, request)
    before = (tmp_path / "out/a_label.tif.aux.xml").read_bytes()
    (tmp_path / "out/a_label.tif.aux.xml").unlink()
    assert run(survey, request)["a.tif"].state == "done"
    assert (tmp_path / "out/a_label.tif.aux.xml").read_bytes() == before
    assert run(survey, request)["a.tif"].state == "skipped"


@pytest.mark.parametrize("format", ["cog", "geotiff", "png"])
def test_polygons_of_a_run_are_those_of_its_mask(survey: Path, tmp_path: Path, format: str) -> None:
    write_tif(survey / "a.tif", noise(3, 90, 120), crs=UTM, transform=SQUARE)
    request = request_for(tmp_path, format=format, polygons=True, polygon_options=PolygonOptions(min_area_m2=2))
    assert run(survey, request)["a.tif"].state == "done"
    mask = tmp_path / ("out/a_label.png" if format == "png" else "out/a_label.tif")
    write_polygons(mask, tmp_path / "again" / "a_polygons.gpkg", PolygonOptions(min_area_m2=2))
    ours = pyogrio.raw.read(tmp_path / "out/a_polygons.gpkg", layer=0)
    again = pyogrio.raw.read(tmp_path / "again/a_polygons.gpkg", layer=0)
    assert ours[0]["crs"] == again[0]["crs"] == "EPSG:32633"
    assert ours[2].tolist() == again[2].tolist()
    assert all((one == other).all() for one, other in zip(ours[3], again[3], strict=True))
    assert pyogrio.list_layers(tmp_path / "out/a_polygons.gpkg").tolist() == [
        ["a", "Polygon"],
        ["layer_styles", None],
    ]


def test_polygons_are_the_same_bytes_on_every_run(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50), crs=UTM, transform=SQUARE)
    request = request_for(tmp_path, polygons=True)
    run(survey, request)
    before = (tmp_path / "out/a_polygons.gpkg").read_bytes()
    assert run(survey, request)["a.tif"].state == "skipped"
    assert run(survey, request, overwrite=True)["a.tif"].state == "done"
    assert (tmp_path / "out/a_polygons.gpkg").read_bytes() == before


def test_an_image_that_cannot_have_such_polygons_gets_its_mask_and_the_reason(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "a.tif", noise(3, 40, 50))
    request = request_for(tmp_path, polygons=True, polygon_options=PolygonOptions(min_area_m2=1))
    outcome = run(survey, request)["a.tif"]
    assert outcome.state == "done"
    assert [note for note in outcome.notes if note.startswith("no polygons: a least area")]
    assert names(tmp_path) == {"a_label.png", "a_color.png"}


def test_a_photo_without_a_place_gets_polygons_in_pixels(survey: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 50, 3)).save(survey / "a.png")
    run(survey, request_for(tmp_path, polygons=True, polygons_format="fgb"))
    assert names(tmp_path) == {"a_label.png", "a_color.png", "a_polygons.fgb"}
    assert pyogrio.read_info(tmp_path / "out/a_polygons.fgb")["total_bounds"] == (0, -40, 50, 0)
