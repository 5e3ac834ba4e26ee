"""Ground that several images show is counted once, or no sum is given."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rasterio import Affine

from cli import main
from tests.make import UTM, noise, write_tif
from tests.models import checkpoint_folder
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=Tiling(64, 64, 0.25))


def noseam(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


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
    reason = "the outlines of 7 of 7 images overlap on the ground, such as IMG_0.tif's"
    assert {(row["m2"], row["note"]) for row in totals(out)} == {("", f"m2 left out: {reason}")}
    assert sum(int(row["pixels"]) for row in totals(out)) == 7 * 60 * 80
    assert result.stderr.count(reason) == 1
    again = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert again.stderr.count(reason) == 1


def test_sheets_side_by_side_have_their_sum(tmp_path: Path, model: Path) -> None:
    survey, out = flight(tmp_path / "survey", step_m=40), tmp_path / "out"
    result = noseam("-q", "segment", survey, "--out", out, "--model", model)
    assert {row["note"] for row in totals(out)} == {""}
    assert sum(float(row["m2"]) for row in totals(out)) == pytest.approx(7 * 40 * 30)
    assert "overlap" not in result.stderr
