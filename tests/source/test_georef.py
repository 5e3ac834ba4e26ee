"""Where an image lies, how large its pixels are on the ground, and what is told where nobody knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine
from rasterio.crs import CRS

from segment.plan.request import Request
from segment.plan.survey import Refused, plan_image
from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_tif
from tiler.files.walk import Found
from tiler.grid.tiling import Tiling
from tiler.source.georef import Georeference
from tiler.source.raster import read_info

SQUARE = Affine(0.05, 0, 500_000, 0, -0.05, 5_000_000)
SOUTH_UP = Affine(0.05, 0, 500_000, 0, 0.05, 5_000_000)


def test_creation_options_carry_one_form_each() -> None:
    assert Georeference().creation_options() == {}
    assert Georeference(UTM, SQUARE).creation_options() == {"transform": SQUARE, "crs": UTM}
    assert Georeference(UTM).creation_options() == {"transform": Affine.identity(), "crs": UTM}
    assert Georeference(None, SQUARE).creation_options() == {"transform": SQUARE, "crs": None}
    assert Georeference(UTM, gcps=GCPS).creation_options() == {"gcps": list(GCPS), "crs": UTM}
    assert Georeference(rpcs=RPCS).creation_options() == {"rpcs": RPCS}


def test_the_ground_sample_distance_of_utm_is_the_pixel_less_the_scale_factor() -> None:
    assert Georeference(UTM, SQUARE).gsd_m(100, 200) == pytest.approx(0.05 / 0.9996, rel=1e-5)


@pytest.mark.parametrize("transform", [ROTATED, SOUTH_UP])
def test_rotation_and_direction_leave_the_ground_sample_distance_alone(transform: Affine) -> None:
    assert Georeference(UTM, transform).gsd_m(100, 200) == pytest.approx(0.05 / 0.9996, rel=1e-5)


def test_oblong_pixels_count_by_their_area() -> None:
    oblong = Affine(0.02, 0, 500_000, 0, -0.08, 5_000_000)
    assert Georeference(UTM, oblong).gsd_m(2, 2) == pytest.approx(0.04 / 0.9996, rel=1e-5)


def test_web_mercator_pixels_are_half_as_large_on_the_ground_at_60_degrees() -> None:
    y_of_60_degrees = 8_399_737.89
    georeference = Georeference(CRS.from_epsg(3857), Affine(1, 0, 1_000_000, 0, -1, y_of_60_degrees))
    assert georeference.gsd_m(2, 2) == pytest.approx(0.5, rel=0.002)


def test_degrees_are_measured_on_the_ellipsoid() -> None:
    metres_per_degree_north, metres_per_degree_east = 111_132, 78_847  # at 45 degrees, WGS 84
    georeference = Georeference(CRS.from_epsg(4326), Affine(1e-6, 0, 15, 0, -1e-6, 45))
    expected = 1e-6 * (metres_per_degree_north * metres_per_degree_east) ** 0.5
    assert georeference.gsd_m(2, 2) == pytest.approx(expected, rel=1e-5)


def test_us_feet_become_metres() -> None:
    new_york = Georeference(CRS.from_epsg(2263), Affine(1, 0, 1_000_000, 0, -1, 200_000))
    assert new_york.gsd_m(2, 2) == pytest.approx(0.3048006, rel=1e-4)


@pytest.mark.parametrize(
    "georeference",
    [
        Georeference(),
        Georeference(UTM),
        Georeference(None, SQUARE),
        Georeference(UTM, gcps=GCPS),
        Georeference(rpcs=RPCS),
    ],
)
def test_no_ground_sample_distance_without_crs_and_transform(georeference: Georeference) -> None:
    assert georeference.gsd_m(20, 30) is None


def test_no_ground_sample_distance_in_a_local_coordinate_system(tmp_path: Path) -> None:
    local = CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]')
    info = read_info(
        write_tif(tmp_path / "a.tif", noise(1, 4, 4), crs=local, transform=Affine(0.05, 0, 9, 0, -0.05, 9))
    )
    assert info.gsd_m is None


@pytest.mark.parametrize("far", [1e12, 1e30, 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(3857)])
def test_no_ground_sample_distance_off_the_earth(crs: CRS, far: float) -> None:
    assert Georeference(crs, Affine(0.05, 0, far, 0, -0.05, far)).gsd_m(2, 2) is None


def test_a_pixel_across_the_antimeridian_is_no_wider() -> None:
    mercator_180_degrees = 3_339_584.723798207  # of EPSG:3832, centred on 150 degrees east
    georeference = Georeference(CRS.from_epsg(3832), Affine(1, 0, mercator_180_degrees - 1.5, 0, -1, 1))
    assert georeference.gsd_m(2, 2) == pytest.approx(1, rel=0.01)


def test_area_is_planar_in_utm() -> None:
    found = Georeference(UTM, ROTATED).cumulative_area_m2(100, 200)
    assert found is not None
    np.testing.assert_allclose(found, 0.0025 * np.arange(101), rtol=1e-12)


def test_area_of_web_mercator_is_that_on_the_ground() -> None:
    y_of_60_degrees = 8_399_737.89
    found = Georeference(CRS.from_epsg(3857), Affine(1, 0, 1_000_000, 0, -1, y_of_60_degrees)).cumulative_area_m2(9, 9)
    assert found is not None
    np.testing.assert_allclose(found, 0.25 * np.arange(10), rtol=0.005)


def test_the_earth_in_degrees_has_the_area_of_the_ellipsoid() -> None:
    world = Georeference(CRS.from_epsg(4326), Affine(0.25, 0, -180, 0, -0.25, 90))
    found = world.cumulative_area_m2(720, 1440)
    assert found is not None
    assert 1440 * found[-1] == pytest.approx(510_065_621e6, rel=1e-5)  # of WGS 84
    assert found[360] == pytest.approx(found[-1] / 2)


def test_area_between_sampled_rows_is_interpolated() -> None:
    tall = Georeference(CRS.from_epsg(4326), Affine(0.001, 0, 10, 0, -0.001, 60))
    found, parts = tall.cumulative_area_m2(5000, 2), []
    for row in range(0, 5000, 500):
        part = Georeference(tall.crs, tall.transform @ Affine.translation(0, row)).cumulative_area_m2(500, 2)
        assert part is not None
        parts.append(part[-1])
    assert found is not None
    np.testing.assert_allclose(np.diff(found[::500]), parts, rtol=1e-7)


@pytest.mark.parametrize("georeference", [Georeference(), Georeference(UTM), Georeference(UTM, gcps=GCPS)])
def test_no_area_without_crs_and_transform(georeference: Georeference) -> None:
    assert georeference.cumulative_area_m2(20, 30) is None


@pytest.mark.parametrize(("easting", "apart"), [(1_155_000, 0.0097), (1_175_000, 0.0103)])
def test_area_is_planar_where_map_and_ground_agree_within_1_percent(easting: float, apart: float) -> None:
    """Far from its meridian a map in UTM is larger than the ground."""
    place = Georeference(UTM, Affine(1, 0, easting, 0, -1, 5_000_000))
    found, gsd_m = place.cumulative_area_m2(2, 2), place.gsd_m(2, 2)
    assert found is not None
    assert gsd_m is not None
    assert 1 - gsd_m**2 == pytest.approx(apart, abs=0.0002)
    assert found[1] == (1.0 if apart < 0.01 else pytest.approx(gsd_m**2))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gcps": GCPS, "crs": UTM}, "the image has ground control points, which give no single one; warp it to a map"),
        ({"rpcs": RPCS}, r"the image has rational polynomials \(RPCs\), which give no single one; warp it to a map"),
        ({"transform": SQUARE}, "the image has a transform but no CRS; give it one"),
        (
            {"transform": SQUARE, "crs": CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]')},
            "the image has a transform but no usable CRS; give it one",
        ),
        ({}, "the image has no georeference; give it one"),
    ],
    ids=["gcps", "rpcs", "transform", "local", "nothing"],
)
def test_a_plan_by_ground_sample_distance_tells_why_the_image_has_none(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    path = write_tif(tmp_path / "a.tif", noise(3, 20, 30), photometric="rgb", **options)
    plan = plan_image(
        Found(path, Path("a.tif")), Request(tiling=Tiling(window_px=None, gsd_m=0.1), out=tmp_path / "out")
    )
    assert isinstance(plan, Refused)
    asked = "a.tif: a ground sample distance of 0.1 m was asked for, but "
    assert re.search(f"{asked}{told}.*, or use --window and --input$", plan.reason)
