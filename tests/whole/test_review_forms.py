"""Windows as a GeoPackage and as tasks for Label Studio: what nobody changes comes back pixel by pixel."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import Result
from numpy.typing import NDArray

from tests.review.surveys import placed_survey, survey
from tests.runs import noseam

SIDE = 32


def windows(export: Path) -> list[dict[str, str]]:
    with (export / "windows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def said(result: Result) -> str:
    return " ".join(result.output.split())


def expected(label: Path, row: dict[str, str]) -> NDArray[np.uint8]:
    top, left = int(row["row_off"]), int(row["col_off"])
    with rasterio.open(label) as dataset:
        labels: NDArray[np.uint8] = dataset.read(1)[top : top + SIDE, left : left + SIDE]
    return labels


def taken(crops: Path, row: dict[str, str]) -> NDArray[np.uint8]:
    with (crops / "crops.csv").open(newline="") as file:
        crop = next(each for each in csv.DictReader(file) if Path(each["mask"]).stem == row["name"])
    top, left = (int(row[name]) - int(crop[name]) for name in ("row_off", "col_off"))
    with rasterio.open(crops / crop["mask"]) as dataset:
        labels: NDArray[np.uint8] = dataset.read(1)[top : top + SIDE, left : left + SIDE]
    return labels


class TestGeoPackage:
    """A GeoPackage."""

    @pytest.fixture
    def masks(self, tmp_path: Path) -> Path:
        pytest.importorskip("pyogrio", reason="needs the extra vector")
        masks = placed_survey(tmp_path)
        result = noseam("review", masks, "--export", 2, "--format", "geopackage")
        assert result.exit_code == 0, result.output
        return masks

    def test_labels_come_back_the_same(self, masks: Path) -> None:
        package = masks / "review/export-1/windows.gpkg"
        result = noseam("review", masks, "--import", package, "--take-unchanged")
        assert result.exit_code == 0, result.output
        assert "people changed 0.0% of these labels" in said(result)
        rows = windows(package.parent)
        assert len(rows) == 2
        for row in rows:
            found = taken(masks / "review/crops", row)
            assert (found == expected(masks / "ortho_label.tif", row)).all()
            with rasterio.open(package.parent / f"images/{row['name']}.tif") as image:
                assert image.shape == (SIDE, SIDE)
        with rasterio.open(masks / f"review/crops/images/{rows[0]['name']}.tif") as crop:
            assert crop.crs.to_epsg() == 32633

    def test_it_opens_with_layers_and_styles(self, masks: Path) -> None:
        import pyogrio

        package = masks / "review/export-1/windows.gpkg"
        assert {str(name) for name, _ in pyogrio.list_layers(package)} == {"labels", "windows", "layer_styles"}
        about = pyogrio.read_info(package, layer="windows")
        assert (about["features"], list(about["fields"])) == (2, ["name", "image", "doubt", "mostly"])
        with closing(sqlite3.connect(package)) as database:
            styled = database.execute("SELECT f_table_name, useAsDefault FROM layer_styles ORDER BY id").fetchall()
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert styled == [("labels", 1), ("windows", 1)]

    def test_one_column_alone_says_the_class(self, masks: Path) -> None:
        import pyogrio

        about = pyogrio.read_info(masks / "review/export-1/windows.gpkg", layer="labels")
        assert list(about["fields"]) == ["class_name", "area_m2", "source", "model"]
        name = windows(masks / "review/export-1")[0]["name"]
        package = self.change(masks, f"UPDATE labels SET class_name = NULL WHERE source = '{name}'")
        result = noseam("review", masks, "--import", package, "--take-unchanged")
        assert result.exit_code == 3
        assert f"a polygon in {name} has no class_name; expected one of class 0" in said(result)

    def change(self, masks: Path, statement: str) -> Path:
        package = masks / "review/export-1/windows.gpkg"
        with closing(sqlite3.connect(package)) as database, database:
            triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (trigger,) in triggers:
                database.execute(f'DROP TRIGGER "{trigger}"')  # they call functions that only GDAL has
            database.execute(statement)
        return package

    def test_the_name_of_a_class_counts_and_a_polygon_that_is_deleted_leaves_no_label(self, masks: Path) -> None:
        package = self.change(masks, "UPDATE labels SET class_name = 'class 3' WHERE class_name = 'class 0'")
        package = self.change(masks, "DELETE FROM labels WHERE class_name = 'class 1'")
        assert noseam("review", masks, "--import", package, "--take-unchanged").exit_code == 0
        for row in windows(package.parent):
            before = expected(masks / "ortho_label.tif", row)
            wanted = np.where(before == 0, np.uint8(3), np.where(before == 1, np.uint8(255), before))
            assert (taken(masks / "review/crops", row) == wanted).all()

    def test_a_class_that_is_not_known_costs_its_window_alone(self, masks: Path) -> None:
        name = windows(masks / "review/export-1")[0]["name"]
        package = self.change(masks, f"UPDATE labels SET class_name = 'moss' WHERE source = '{name}'")
        result = noseam("review", masks, "--import", package, "--take-unchanged")
        assert result.exit_code == 3
        assert f"a polygon in {name} has the class 'moss'; expected one of class 0" in said(result)
        assert "1 window of 1 image taken" in said(result)

    def test_what_is_no_geopackage_of_a_review_is_refused(self, masks: Path, tmp_path: Path) -> None:
        (tmp_path / "no.gpkg").write_bytes(b"no")
        assert "no GeoPackage that can be read" in said(noseam("review", masks, "--import", tmp_path / "no.gpkg"))
        package = self.change(masks, "ALTER TABLE labels RENAME COLUMN source TO src")
        assert "labels.source is missing" in said(noseam("review", masks, "--import", package))

    def test_photos_without_a_place_are_refused_with_what_helps(self, tmp_path: Path) -> None:
        pytest.importorskip("pyogrio", reason="needs the extra vector")
        result = noseam("review", survey(tmp_path), "--export", 2, "--format", "geopackage")
        assert result.exit_code == 2
        assert "no georeference, which a GeoPackage needs" in said(result)


class TestLabelStudio:
    """Tasks for Label Studio."""

    @pytest.fixture
    def masks(self, tmp_path: Path) -> Path:
        masks = survey(tmp_path)
        result = noseam("review", masks, "--export", 3, "--format", "label-studio")
        assert result.exit_code == 0, result.output
        return masks

    def annotated(self, masks: Path) -> list[dict[str, Any]]:
        """Return the tasks as Label Studio exports them once people have taken over the predictions."""
        tasks: list[dict[str, Any]] = json.loads((masks / "review/export-1/tasks.json").read_text())
        for task in tasks:
            (prediction,) = task.pop("predictions")
            task["annotations"] = [{"id": 1, "was_cancelled": False, "result": prediction["result"]}]
        return tasks

    def back(self, masks: Path, tasks: Any) -> Result:
        (masks / "back.json").write_text(json.dumps(tasks))
        return noseam("review", masks, "--import", masks / "back.json", "--take-unchanged")

    def test_labels_come_back_the_same(self, masks: Path) -> None:
        result = self.back(masks, self.annotated(masks))
        assert result.exit_code == 0, result.output
        for row in windows(masks / "review/export-1"):
            label = masks / Path(row["image"]).with_name("IMG_1_label.png")
            assert (taken(masks / "review/crops", row) == expected(label, row)).all()

    def test_each_task_names_a_picture_that_is_there_and_the_interface_all_classes(self, masks: Path) -> None:
        export = masks / "review/export-1"
        for task in self.annotated(masks):
            place = task["data"]["image"].removeprefix("/data/local-files/?d=export-1/")
            assert (export / place).is_file()
        assert (export / "config.xml").read_text().count('<Label value="class ') == 4

    def test_tasks_that_nobody_annotated_are_left_alone(self, masks: Path) -> None:
        tasks = self.annotated(masks)
        tasks[0]["annotations"] = []
        tasks[1]["annotations"][0]["was_cancelled"] = True
        assert "1 window of 1 image taken" in said(self.back(masks, tasks))

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"original_width": 31}, "32 x 31 pixels found, expected 32 x 32"),
            ({"value": {"rle": [0], "brushlabels": ["class 0"]}}, "no run lengths of a brush mask"),
            ({"value": {"rle": [0], "brushlabels": ["moss"]}}, "a mask of ['moss']; expected one of class 0"),
            ({"value": {}}, "a brush mask expected, with size and rle"),
        ],
    )
    def test_a_bad_mask_costs_its_window_alone(self, masks: Path, change: dict[str, Any], reason: str) -> None:
        tasks = self.annotated(masks)
        tasks[0]["annotations"][0]["result"][0] |= change
        result = self.back(masks, tasks)
        assert result.exit_code == 3
        assert reason in said(result)
        assert "2 windows of" in said(result)

    @pytest.mark.parametrize("tasks", [{}, [1], [{"data": {}}], "text", [{"data": {"name": "x"}, "annotations": 3}]])
    def test_what_is_no_export_is_refused(self, masks: Path, tasks: Any) -> None:
        result = self.back(masks, tasks)
        assert result.exit_code == 2
        assert "no window that was exported" in said(result) or "a JSON export of Label Studio" in said(result)
