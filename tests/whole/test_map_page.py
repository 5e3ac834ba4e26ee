"""Every command of `docs/map.md` runs as it stands there, in one folder."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest
import rasterio
from click.testing import CliRunner

from cli import main
from tests import ROOT

pyogrio = pytest.importorskip("pyogrio", reason="needs the extra vector")

PAGE = ROOT / "docs" / "map.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the commands were run."""
    folder = tmp_path_factory.mktemp("map")
    commands = re.findall(r"^    (noseam .*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 7
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            result = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
            assert result.exit_code == 0, f"{command}\n{result.output}"
    return folder


def test_photos_have_become_masks_on_the_map(folder: Path) -> None:
    masks = sorted((folder / "masks").glob("*_label.tif"))
    assert [mask.name for mask in masks] == [f"IMG_000{n}_label.tif" for n in range(1, 5)] + ["ortho_1_label.tif"]
    for mask in masks:
        with rasterio.open(mask) as dataset:
            assert dataset.crs.is_projected
            assert dataset.tags().get("GEOREF") == ("approximate-exif" if mask.name.startswith("IMG") else None)


def test_every_file_of_the_table_is_there(folder: Path) -> None:
    named = re.findall(r"^\| `(IMG_0001_label\.[\w.]+)`", PAGE.read_text(), re.MULTILINE)
    assert len(named) == 4
    assert [name for name in named if not (folder / "masks" / name).exists()] == []


def test_the_areas_have_a_row_per_image_and_class(folder: Path) -> None:
    with (folder / "masks" / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {*(f"IMG_000{n}.jpg" for n in range(1, 5)), "ortho_1.tif", "(all images)"}
    assert all(float(row["m2"]) > 0 for row in rows if row["class_id"] != "255")


@pytest.mark.parametrize("name", ["survey.gpkg", "roofs.shp", "other/ortho_1_polygons.gpkg"])
def test_polygons_are_there(folder: Path, name: str) -> None:
    found = pyogrio.read_info(folder / name, layer=0, force_feature_count=True)
    assert found["features"] > 3
    assert set(found["fields"]) == {"class_id", "class_name", "area_m2", "source", "model"}
    assert found["geometry_type"] == "Polygon"


def test_pngs_have_their_place_beside_them(folder: Path) -> None:
    with (
        rasterio.open(folder / "png/IMG_0001_label.png") as png,
        rasterio.open(folder / "masks/IMG_0001_label.tif") as tif,
    ):
        assert png.crs == tif.crs
        assert png.transform.almost_equals(tif.transform, 1e-6)
        assert (png.read() == tif.read()).all()
