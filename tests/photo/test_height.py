from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine

from tests.make import write_tif
from tests.photos import POSE
from tiler.errors import PoseError, RasterReadError
from tiler.photo.height import Height, flying_height
from tiler.photo.options import PoseOptions
from tiler.photo.tags import PhotoTags

LASER: dict[str, Any] = {"LRFTargetDistance": "80.000", "LRFStatus": "Normal"}
DEGREES = {"crs": "EPSG:4326", "transform": Affine(0.01, 0, 15, 0, -0.01, 48)}
METRES = {"crs": "EPSG:32633", "transform": Affine(1000, 0, 500_000, 0, -1000, 5_300_000)}


def height(options: PoseOptions, latitude: float = 47.5, longitude: float = 15.5, **values: Any) -> Height | None:
    tags = PhotoTags(Path("a.jpg"), values)
    return flying_height(tags, options, latitude=latitude, longitude=longitude, tilt_deg=2.0)


def dem(path: Path, **options: Any) -> Path:
    return write_tif(path / "dem.tif", np.arange(10_000, dtype=np.float32).reshape(1, 100, 100) / 100, **options)


def test_the_best_that_is_known_counts(tmp_path: Path) -> None:
    ground, raster = PoseOptions(ground_elevation_m=363.0), PoseOptions(dem=dem(tmp_path, **DEGREES))
    for options, values, metres, source, error in (
        (PoseOptions(flying_height_m=70.0, ground_elevation_m=3.0), POSE | LASER, 70.0, "given", 0.02),
        (ground, POSE | LASER, 80.0 * math.cos(math.radians(2)), "LRFTargetDistance", 0.02),
        (raster, POSE, 453.0 - 50.5, "AbsoluteAltitude less DEM 50.5 m", 0.05),
        (ground, POSE, 90.0, "AbsoluteAltitude less ground 363.0 m", 0.05),
        (PoseOptions(), POSE, 100.0, "RelativeAltitude", 0.05),
    ):
        found = height(options, **values, latitude=47.499, longitude=15.501)
        assert found is not None
        assert (found.source, found.relative_error) == (source, error)
        assert found.metres == pytest.approx(metres)


def test_nothing_flies_above_10_km() -> None:
    found = height(PoseOptions(flying_height_m=10_000.0))
    assert found is not None
    assert found.metres == 10_000.0
    with pytest.raises(PoseError, match=r"a flying height of 10000\.1 m .*expected 0 to 10000"):
        height(PoseOptions(flying_height_m=10_000.1))


@pytest.mark.parametrize(
    "laser", [{"LRFTargetDistance": "0"}, {"LRFTargetDistance": "nan"}, LASER | {"LRFStatus": "TooFar"}]
)
def test_a_laser_that_measured_nothing_does_not_count(laser: dict[str, Any]) -> None:
    found = height(PoseOptions(), **POSE | laser)
    assert found is not None
    assert found.source == "RelativeAltitude"


def test_exifs_altitude_stands_in() -> None:
    found = height(PoseOptions(ground_elevation_m=300.0), GPSAltitude=420.5)
    assert found is not None
    assert found.metres == 120.5


def test_nothing_known_is_none() -> None:
    assert height(PoseOptions(ground_elevation_m=300.0), RelativeAltitude="nan") is None
    assert height(PoseOptions(), AbsoluteAltitude="+300") is None


def test_a_height_below_ground_is_refused() -> None:
    with pytest.raises(
        PoseError, match=r"a\.jpg: a flying height of -47\.0 m \(AbsoluteAltitude less ground 500\.0 m\)"
    ):
        height(PoseOptions(ground_elevation_m=500.0), **POSE)


@pytest.mark.parametrize(("placed", "cell"), [(DEGREES, 50.50), (METRES, 39.38)], ids=["degrees", "metres"])
def test_the_cell_under_the_camera_counts(tmp_path: Path, placed: dict[str, Any], cell: float) -> None:
    found = height(PoseOptions(dem=dem(tmp_path, **placed)), 47.4955, 15.5055, **POSE)
    assert found is not None
    assert found.metres == pytest.approx(453 - cell)


@pytest.mark.parametrize(
    ("latitude", "longitude", "nodata"), [(46.9, 15.5, None), (47.5, 16.1, None), (47.995, 15.005, 0)]
)
def test_a_dem_without_the_place_is_refused(tmp_path: Path, latitude: float, longitude: float, nodata: float) -> None:
    options = PoseOptions(dem=dem(tmp_path, nodata=nodata, **DEGREES))
    with pytest.raises(PoseError, match=rf"a\.jpg: .*dem\.tif holds no elevation at {latitude:.6f}, {longitude:.6f}"):
        height(options, latitude, longitude, **POSE)


def test_a_dem_must_be_a_georeferenced_raster(tmp_path: Path) -> None:
    with pytest.raises(PoseError, match=r"dem\.tif: no coordinate reference system"):
        height(PoseOptions(dem=dem(tmp_path)), **POSE)
    with pytest.raises(RasterReadError, match=r"none\.tif: no such file"):
        height(PoseOptions(dem=tmp_path / "none.tif"), **POSE)
