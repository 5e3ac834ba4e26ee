"""Real drone photos, aerial GeoTIFFs, odd and broken files; skipped where the sample folder is absent."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import Result

from tests import ROOT
from tests.models import checkpoint_folder
from tests.runs import LOCK, MEMORY, RUN, noseam
from tests.whole.gdalinfo import Report, attribute_table, program_report, wheel_report
from tiler.grid.tiling import Tiling
from tiler.source.raster import gdal_environment

SAMPLES = ROOT.parent / "shared" / "samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample folder is not here")

# The headers of these files are intact. They lack pixels that the header promises, or channels that a network needs.
UNREADABLE = {"thermal_parser__XTS_DJI_0001_R.jpg"}


@pytest.fixture(params=[wheel_report, program_report], ids=["wheel", "gdalinfo"])
def report(request: pytest.FixtureRequest) -> Report:
    chosen: Report = request.param
    return chosen


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), tiling=Tiling(512, 512, 0.25))


def files_of(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((SAMPLES / folder).iterdir())]


def digests(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def good(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("good")
    return noseam("segment", SAMPLES / "drone", SAMPLES / "aerial", "--out", out, "--model", model), out


def readable() -> list[Path]:
    paths = files_of("drone", "aerial") if SAMPLES.is_dir() else []
    return [path for path in paths if path.name not in UNREADABLE and path.suffix != ".msk"]


def test_every_readable_photo_and_raster_is_done(good: tuple[Result, Path]) -> None:
    result, _ = good
    assert result.exit_code == 3
    assert f"{len(readable())} done, 0 skipped, {len(UNREADABLE)} failed" in result.stderr
    assert all(f"{name}: truncated: its end marker is missing" in result.stderr for name in UNREADABLE)


@pytest.mark.parametrize("source", readable(), ids=lambda path: path.name)
def test_masks_have_the_sources_size_and_georeference(good: tuple[Result, Path], source: Path) -> None:
    masks = [path for path in good[1].glob("*_*.*") if path.name.startswith(f"{source.stem}_")]
    masks = [path for path in masks if path.suffix in {".png", ".tif"}]
    with gdal_environment(), rasterio.open(source) as image:
        for path in masks:
            with rasterio.open(path) as mask:
                assert mask.shape == image.shape
                assert (mask.crs, mask.transform) == (image.crs, image.transform)
                assert path.suffix == (".png" if image.crs is None else ".tif")
                valid = image.dataset_mask() > 0
                np.testing.assert_array_equal(mask.read(1) != 255, valid)
    assert len(masks) == (2 if masks[0].suffix == ".png" else 1)


@pytest.fixture(scope="module")
def odd(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("odd")
    window = ("--window", 2048, "--input", 512)
    return noseam("segment", *files_of("odd", "broken"), "--out", out, "--model", model, *window), out


def test_each_odd_and_broken_file_is_done_or_failed_with_a_reason(odd: tuple[Result, Path]) -> None:
    result, out = odd
    inputs = files_of("odd", "broken")
    lines = [line for line in result.stderr.splitlines() if f"/{len(inputs)}] " in line]
    assert result.exit_code == 3
    assert len(lines) == len(inputs)
    for path in inputs:
        (line,) = (line for line in lines if f"{path}: " in line)
        done = f" done: {path}: " in line
        assert done or f" failed: {path}: " in line
        masks = [mask.name for mask in out.glob("*.[pt][ni][gf]") if mask.name.startswith(f"{path.stem}_label")]
        assert len(masks) == done, line
    assert not [path.name for path in out.glob(".*") if path.name not in {LOCK, MEMORY, RUN}]


def test_masks_of_odd_files_carry_their_control_points_and_rotations(odd: tuple[Result, Path]) -> None:
    checked = 0
    for mask_path in odd[1].glob("*_label.tif"):
        (source,) = (path for path in files_of("odd", "broken") if path.stem == mask_path.stem.removesuffix("_label"))
        with gdal_environment(), rasterio.open(source) as image, rasterio.open(mask_path) as mask:
            assert (mask.shape, mask.crs, mask.transform) == (image.shape, image.crs, image.transform), source.name
            assert [gcp.asdict() | {"id": ""} for gcp in mask.gcps[0]] == [
                gcp.asdict() | {"id": ""} for gcp in image.gcps[0]
            ], source.name
            assert mask.gcps[1] == image.gcps[1]
            assert mask.rpcs == image.rpcs
            checked += 1
    assert checked > 10


@pytest.fixture(scope="module")
def georeferenced(good: tuple[Result, Path], odd: tuple[Result, Path]) -> list[Path]:
    masks = [mask for _, out in (good, odd) for mask in sorted(out.glob("*_label.tif"))]
    assert len(masks) > 25
    return masks


def test_every_georeferenced_mask_is_a_valid_cog(georeferenced: list[Path]) -> None:
    cogeo = pytest.importorskip("rio_cogeo.cogeo", reason="needs rio-cogeo")
    for mask in georeferenced:
        assert cogeo.cog_validate(mask, strict=True, quiet=True) == (True, [], []), mask.name


def test_overviews_hold_only_classes_that_exist(georeferenced: list[Path]) -> None:
    checked = 0
    for mask in georeferenced:
        with rasterio.open(mask) as dataset:
            factors, classes = dataset.overviews(1), np.unique(dataset.read(1))
        for level in range(len(factors)):
            with rasterio.open(mask, overview_level=level) as overview:
                assert np.isin(overview.read(1), classes).all(), mask.name
                checked += 1
    assert checked > 3


def test_gdal_shows_names_and_counts_of_every_mask(georeferenced: list[Path], report: Report) -> None:
    for mask in georeferenced:
        found = report(mask)
        with rasterio.open(mask) as dataset:
            names = json.loads(dataset.tags()["CLASS_NAMES"])
            counts = np.bincount(dataset.read(1).ravel(), minlength=256)[:255]
        assert all(f"\n    {value:3d}: {name}\n" in found for value, name in enumerate(names)), mask.name
        assert [row[:3] for row in attribute_table(found)] == [
            [str(value), str(counts[value]), names[value]] for value in np.flatnonzero(counts)
        ], mask.name


def test_the_samples_are_left_as_they_were(model: Path, tmp_path: Path) -> None:
    before = digests(SAMPLES)
    noseam("segment", *files_of("odd", "broken"), "--out", tmp_path, "--model", model, "--window", 4096, "--input", 64)
    assert digests(SAMPLES) == before


def test_plan_of_all_samples_names_every_file_it_cannot_read(model: Path) -> None:
    report = json.loads(noseam("plan", *files_of("odd", "broken"), "--json").stdout)
    with (SAMPLES / "INDEX.csv").open() as table:
        refused_by_gdal = {Path(row["file"]).name for row in csv.DictReader(table) if row["rio_open"].startswith("ERR")}
    refused = {Path(entry["path"]).name: entry["reason"] for entry in report["refused"]}
    assert report["images"] + report["unreadable"] == len(files_of("odd", "broken"))
    assert {path.name for path in files_of("odd", "broken")} & refused_by_gdal <= refused.keys()
    assert all(name in reason for name, reason in refused.items())


def test_plan_refuses_exactly_the_broken_files_that_segment_fails_on(model: Path, tmp_path: Path) -> None:
    planned = json.loads(noseam("plan", SAMPLES / "broken", "--json").stdout)
    noseam("segment", SAMPLES / "broken", "--out", tmp_path, "--model", model)
    records = map(json.loads, (tmp_path / "manifest.jsonl").read_text().splitlines())
    failed = {record["path"] for record in records if record.get("state") == "failed"}
    assert {entry["path"] for entry in planned["refused"]} == failed
    assert len(failed) > 10
