from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.transform import GCPTransformer

from tiler.photo.geometry import Attitude, View, fit_affine, fit_miss, to_utm

pyproj = pytest.importorskip("pyproj", reason="needs the extra photo")

HEIGHT, WIDTH, FOCAL, ABOVE = 4000, 6000, 3700.0, 100.0
LATITUDES = st.floats(-79, 83)
LONGITUDES = st.floats(-179.9, 179.9)
ANGLES = st.floats(-180, 180)


def view(yaw: float = 0, pitch: float = -90, roll: float = 0) -> View:
    return View(HEIGHT, WIDTH, Attitude(yaw, pitch, roll), FOCAL, ABOVE)


def control(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cols, rows = np.meshgrid(np.linspace(0, WIDTH, steps), np.linspace(0, HEIGHT, steps))
    return cols.ravel(), rows.ravel()


def ground(camera: View, steps: int = 2) -> NDArray[np.float64]:
    return np.stack(camera.ground(*control(steps)))


def affine(camera: View, latitude: float, longitude: float) -> tuple[int, Affine, float]:
    corners = control(2)
    epsg, x, y = to_utm(latitude, longitude, *camera.ground(*corners))
    return epsg, fit_affine(*corners, x, y), fit_miss(*corners, x, y, order=1)


@given(latitude=LATITUDES, longitude=LONGITUDES, yaw=ANGLES)
def test_straight_down_is_the_closed_form(latitude: float, longitude: float, yaw: float) -> None:
    epsg, transform, miss = affine(view(yaw), latitude, longitude)
    projection = pyproj.Proj(f"EPSG:{epsg}")
    factors = projection.get_factors(longitude, latitude)
    gsd = ABOVE / FOCAL * factors.meridional_scale
    expected = (
        Affine.translation(*projection(longitude, latitude))
        @ Affine.rotation(-(yaw - factors.meridian_convergence))
        @ Affine.scale(gsd, -gsd)
        @ Affine.translation(-WIDTH / 2, -HEIGHT / 2)
    )
    assert miss < 0.001
    for corner in ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)):
        np.testing.assert_allclose(transform @ corner, expected @ corner, rtol=0, atol=0.01)


@pytest.mark.parametrize("latitude", [-60.0, -1.0, 1.0, 60.0])
@pytest.mark.parametrize("longitude", [12.1, 15.0, 17.9, -179.95])
def test_the_top_of_the_image_points_to_its_yaw_on_the_ellipsoid(latitude: float, longitude: float) -> None:
    epsg, transform, _ = affine(view(yaw=70), latitude, longitude)
    back = pyproj.Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True)
    middle, top = (back.transform(*(transform @ (WIDTH / 2, row))) for row in (HEIGHT / 2, 0))
    azimuth, _, distance = pyproj.Geod(ellps="WGS84").inv(*middle, *top)
    assert azimuth == pytest.approx(70, abs=0.001)
    assert distance == pytest.approx(HEIGHT / 2 * ABOVE / FOCAL, rel=1e-5)
    assert epsg // 100 == (326 if latitude > 0 else 327)


@given(yaw=ANGLES, roll=st.floats(-180, 180))
def test_a_roll_at_straight_down_turns_the_image_about_its_middle(yaw: float, roll: float) -> None:
    np.testing.assert_allclose(ground(view(yaw, roll=roll)), ground(view(yaw + roll)), atol=1e-9)
    assert Attitude(yaw, -90, roll).tilt_deg == 0
    assert (Attitude(yaw, -90, roll).heading_deg - yaw - roll + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


@given(yaw=ANGLES, tilt=st.floats(0.01, 15))
def test_the_middle_of_a_tilted_image_lies_ahead(yaw: float, tilt: float) -> None:
    camera = view(yaw, pitch=tilt - 90)
    north, east = camera.ground(np.array([WIDTH / 2]), np.array([HEIGHT / 2]))
    ahead = ABOVE * np.tan(np.radians(tilt))
    np.testing.assert_allclose(
        (north[0], east[0]), ahead * np.array([np.cos(np.radians(yaw)), np.sin(np.radians(yaw))]), atol=1e-9
    )
    assert camera.attitude.tilt_deg == pytest.approx(tilt, abs=1e-6)


def test_a_tenth_of_a_degree_moves_corners_by_a_quarter_of_a_metre() -> None:
    apart = np.hypot(*(ground(view(pitch=-89.9)) - ground(view())))
    assert apart.max() == pytest.approx(0.238, abs=0.001)


def test_gdal_follows_nine_control_points_where_an_affine_misses_by_metres() -> None:
    camera = view(yaw=30, pitch=-80)
    assert 7 < affine(camera, 47, 15.4)[2] < 9
    cols, rows = control(3)
    points = [to_utm(47, 15.4, *camera.ground(*control(steps)))[1:] for steps in (3, 21)]
    gcps = [GroundControlPoint(*point) for point in zip(rows, cols, *points[0], strict=True)]
    with GCPTransformer(gcps) as transformer:
        found = np.array(transformer.xy(control(21)[1], control(21)[0], offset="ul"))
    assert np.hypot(*(found - np.stack(points[1]))).max() < 0.6
    assert fit_miss(cols, rows, *points[0], order=2) < 0.6


@given(terms=st.lists(st.floats(-2, 2), min_size=6, max_size=6))
def test_an_affine_is_found_again(terms: list[float]) -> None:
    a, b, c, d, e, f = terms
    c, f = c + 500_000, f + 9_000_000
    cols, rows = control(3)
    x, y = a * cols + b * rows + c, d * cols + e * rows + f
    np.testing.assert_allclose(fit_affine(cols, rows, x, y)[:6], (a, b, c, d, e, f), atol=1e-6)
    assert fit_miss(cols, rows, x, y, order=1) < 1e-6
    assert fit_miss(cols, rows, x, y, order=2) < 1e-6


def test_zones_can_be_looked_up_from_many_threads() -> None:
    def zone(longitude: int) -> int:
        return to_utm(10.5, longitude + 0.5, np.zeros(1), np.zeros(1))[0]

    longitudes = list(range(-180, 180, 7))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(zone, longitudes)) == [32601 + (longitude + 180) // 6 for longitude in longitudes]
