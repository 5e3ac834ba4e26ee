from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from rasterio import Affine
from rasterio.crs import CRS

from tests.make import noise, write_tif
from tests.photos import CAMERA, PLACE, POSE, SHAPE, attributes, gps_of, write_photo, xmp_of
from tests.whole.test_samples import SAMPLES
from tiler.errors import MissingExtraError, PoseError, RasterReadError, TilerError
from tiler.photo.geometry import Attitude, View, to_utm
from tiler.photo.options import PoseOptions
from tiler.photo.pose import Placement, place_photo
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey
from tiler.source.raster import read_info

UTM = CRS.from_epsg(32633)
NO_XMP = b"<x/>"


def place(path: Path, options: PoseOptions = PoseOptions(), **photo: Any) -> Placement:  # noqa: B008
    return place_photo(write_photo(path / "a.jpg", **photo), *SHAPE, options)


def middle(placement: Placement) -> tuple[float, float]:
    x, y = placement.georeference.transform @ (SHAPE[1] / 2, SHAPE[0] / 2)
    return x, y


def heading(transform: Affine) -> float:
    """Return the direction of the image's top by the grid, degrees from north to the east."""
    return float(np.degrees(np.arctan2(-transform.b, -transform.e))) % 360


def test_a_photo_lies_under_its_camera_and_turned_by_its_yaw(tmp_path: Path) -> None:
    placement = place(tmp_path)
    epsg, x, y = to_utm(*PLACE, np.zeros(1), np.zeros(1))
    assert (placement.georeference.crs, epsg) == (UTM, 32633)
    assert middle(placement) == pytest.approx((x[0], y[0]), abs=0.01)
    assert heading(placement.georeference.transform) == pytest.approx(30 - 0.3219, abs=0.001)
    assert placement.georeference.gsd_m(*SHAPE) == pytest.approx(100 / 40, rel=1e-3)


def test_what_the_mask_says_of_it(tmp_path: Path) -> None:
    placement = place(tmp_path)
    assert placement.tags == {
        "GEOREF": "approximate-exif",
        "GEOREF_EST_ERROR_M": f"{placement.error_m:.1f}",
        "GEOREF_HEIGHT_M": "100.00",
        "GEOREF_HEIGHT_SOURCE": "RelativeAltitude",
        "GEOREF_FOCAL_PX": "40.0",
        "GEOREF_FOCAL_SOURCE": "sensor width",
        "GEOREF_HEADING_DEG": "30.00",
        "GEOREF_YAW_SOURCE": "GimbalYawDegree",
    }
    assert (placement.height.source, placement.notes) == ("RelativeAltitude", ())


def test_the_made_up_survey_is_placed_where_it_was_made(tmp_path: Path) -> None:
    make_survey(tmp_path, SceneOptions(photos=2, photo_shape=(240, 360), orthomosaics=0, gsd_m=0.05), jobs=1)
    paths = sorted((tmp_path / "images").iterdir())
    first, second = (place_photo(path, 240, 360, PoseOptions()).georeference for path in paths)
    assert first.gsd_m(240, 360) == pytest.approx(0.05, rel=0.001)
    apart = np.subtract(second.transform @ (180, 120), first.transform @ (180, 120))
    assert np.hypot(*apart) == pytest.approx(1.05 * 360 * 0.05, rel=0.01)


@pytest.mark.parametrize("values", [{"GimbalRollDegree": "+180.00"}, {"GimbalYawDegree": "-150.00"}])
def test_a_roll_by_half_a_turn_is_a_yaw_by_half_a_turn(tmp_path: Path, values: dict[str, str]) -> None:
    turned, straight = place(tmp_path, pose=values), place(tmp_path)
    assert (heading(turned.georeference.transform) - heading(straight.georeference.transform)) % 360 == pytest.approx(
        180
    )
    assert turned.notes == straight.notes


@pytest.mark.parametrize("roll", ["+0.00", "+180.00"])
def test_the_yaw_of_the_aircraft_is_the_heading_whatever_the_roll(tmp_path: Path, roll: str) -> None:
    placement = place(tmp_path, PoseOptions(yaw_source="flight"), pose={"GimbalRollDegree": roll})
    assert placement.tags["GEOREF_HEADING_DEG"] == "31.50"
    assert placement.tags["GEOREF_YAW_SOURCE"] == "FlightYawDegree"


@pytest.mark.parametrize("pitch", ["-89.9", "-90.1", "-87.00", "-93.00"])
def test_a_small_tilt_gives_an_affine(tmp_path: Path, pitch: str) -> None:
    georeference = place(tmp_path, pose={"GimbalPitchDegree": pitch}).georeference
    assert not georeference.gcps
    assert georeference.transform != Affine.identity()


@pytest.mark.parametrize("pitch", ["-86.9", "-80.00", "-75.00", "-100"])
def test_a_larger_tilt_gives_control_points_and_no_affine(tmp_path: Path, pitch: str) -> None:
    placement = place(tmp_path, pose={"GimbalPitchDegree": pitch})
    assert placement.georeference.transform == Affine.identity()
    assert len(placement.georeference.gcps) == 9
    height, width = SHAPE
    corners = {(point.row, point.col) for point in placement.georeference.gcps}
    assert {(0, 0), (0, width), (height, 0), (height, width)} < corners
    assert {"gcps", "crs"} == placement.georeference.creation_options().keys()
    assert placement.error_m > place(tmp_path).error_m


def test_what_the_affine_misses_is_part_of_the_error(tmp_path: Path) -> None:
    placement = place(tmp_path, pose={"GimbalPitchDegree": "-87.00"})
    cols, rows = (axis.ravel() for axis in np.meshgrid([0, SHAPE[1] / 2, SHAPE[1]], [0, SHAPE[0] / 2, SHAPE[0]]))
    north, east = View(*SHAPE, Attitude(30, -87, 0), focal_px=40, height_m=100).ground(cols, rows)
    _, *true = to_utm(*PLACE, north, east)
    miss_m = np.hypot(*np.subtract(placement.georeference.transform @ (cols, rows), true)).max()
    radius_m = np.hypot(north, east).max()
    yaw_m, tilt_m = radius_m * np.pi / 180, (100 + radius_m**2 / 100) * np.pi / 180
    rest_m = np.linalg.norm((3, yaw_m, tilt_m, 0.05 * radius_m, 0.01 * radius_m))
    assert miss_m > 1
    assert placement.error_m == pytest.approx(np.hypot(rest_m, miss_m), rel=1e-6)


def test_a_mask_carries_its_control_points(tmp_path: Path) -> None:
    georeference = place(tmp_path, pose={"GimbalPitchDegree": "-80"}).georeference
    mask = write_tif(tmp_path / "m.tif", np.zeros((1, *SHAPE), np.uint8), **georeference.creation_options())
    found = read_info(mask).georeference
    assert found.crs == UTM
    assert [(p.row, p.col, p.x, p.y) for p in found.gcps] == [(p.row, p.col, p.x, p.y) for p in georeference.gcps]


SOUTH = {**gps_of(*PLACE), ExifTags.GPS.GPSLatitude: (91.0, 0.0, 0.0)}


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        ({"place": None}, r"no GPS position in its EXIF or XMP; expected the place"),
        ({"place": (0.0, 0.0)}, r"a GPS position of 0, 0, .*found GPSLatitude 0\.0, GPSLongitude 0\.0"),
        ({"gps": SOUTH}, r"no place between 80 south and 84 north: found GPSLatitude 91\.0"),
        ({"place": None, "pose": {"GpsLatitude": "nan", "GpsLongitude": "15"}}, r"no GPS position: found GpsL"),
        ({"place": None, "pose": {"GpsLatitude": "84", "GpsLongitude": "15"}}, "no place between"),
        ({"place": None, "pose": {"GpsLatitude": "50", "GpsLongitude": "181"}}, "no place between"),
        ({"xmp": NO_XMP}, r"no attitude of the camera in its EXIF or XMP; expected DJI's XMP"),
        ({"xmp": b"<x"}, r"no attitude .*; its XMP cannot be read \(unclosed token"),
        ({"pose": {"GimbalYawDegree": None}}, r"no attitude .*found GimbalPitchDegree '-90\.00'"),
        ({"pose": {"GimbalPitchDegree": "nan"}}, r"no attitude .*GimbalPitchDegree 'nan'"),
        ({"pose": {"GimbalYawDegree": "1e9"}}, r"angles beyond a full turn: found GimbalYawDegree '1e9'"),
        ({"pose": {"RelativeAltitude": None}}, r"no height above ground: found AbsoluteAltitude '\+453\.00'; give"),
        ({"pose": {"RelativeAltitude": "+0.00"}}, r"a flying height of 0\.0 m \(RelativeAltitude\).*expected 0 to"),
        ({"pose": {"RelativeAltitude": "-4.00"}}, r"a flying height of -4\.0 m"),
        ({"pose": {"RelativeAltitude": "1e300"}}, r"a flying height of 1000"),
        ({"model": "?", "camera": {}}, r"no focal length in its EXIF or XMP; give the focal"),
        ({"pose": {"GimbalPitchDegree": "-74.90"}}, r"an oblique photo, 15\.1 degrees from .*Degree '-74\.90'"),
        ({"pose": {"GimbalPitchDegree": "+0.00"}}, r"an oblique photo, 90\.0 degrees"),
        ({"pose": {"GimbalPitchDegree": "+90.00"}}, r"an oblique photo, 180\.0 degrees"),
        (
            {"camera": {**CAMERA, ExifTags.Base.ExifImageWidth: 40, ExifTags.Base.ExifImageHeight: 60}},
            r"pixels turned after the photo was taken, 60 x 40: found ExifImageWidth 40\.0",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused_with_the_reason(tmp_path: Path, photo: Mapping[str, Any], why: str) -> None:
    with pytest.raises(PoseError, match=rf"a\.jpg: {why}"):
        place(tmp_path, **photo)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pose=st.dictionaries(
        st.sampled_from((*POSE, "GpsLatitude", "GpsLongitude", "LRFTargetDistance", "CalibratedFocalLength")),
        st.floats().map(str) | st.floats(-100, 100).map(str) | st.text("0123456789.-+eE naif_", max_size=8),
    )
)
def test_whatever_is_claimed_a_photo_lies_on_the_earth_or_is_refused(tmp_path: Path, pose: dict[str, str]) -> None:
    with suppress(PoseError):
        placement = place(tmp_path, pose=pose)
        assert 0 < placement.error_m < 1e6
        points = [(point.x, point.y) for point in placement.georeference.gcps] or [middle(placement)]
        assert np.isfinite(placement.georeference.transform).all()
        assert (np.abs(points) < 2e7).all()


@pytest.mark.parametrize(
    "names", [("GpsLatitude", "GpsLongitude"), ("GpsLatitude", "GpsLongtitude"), ("Latitude", "Longitude")]
)
def test_the_place_in_xmp_comes_before_exifs(tmp_path: Path, names: tuple[str, str]) -> None:
    placement = place(tmp_path, pose=dict(zip(names, ("-33.5", "+151.25"), strict=True)))
    _, x, y = to_utm(-33.5, 151.25, np.zeros(1), np.zeros(1))
    assert placement.georeference.crs == CRS.from_epsg(32756)
    assert middle(placement) == pytest.approx((x[0], y[0]), abs=0.01)


@pytest.mark.parametrize(("longitude", "epsg"), [(180.0, 32601), (-180.0, 32601), (179.999, 32660), (6.0, 32632)])
def test_the_edges_of_zones(tmp_path: Path, longitude: float, epsg: int) -> None:
    placement = place(tmp_path, pose={"GpsLatitude": "10", "GpsLongitude": str(longitude)})
    assert placement.georeference.crs == CRS.from_epsg(epsg)


def test_yaws_that_disagree_are_noted(tmp_path: Path) -> None:
    for flight, noted in (("49.9", 0), ("50.1", 1), ("-150", 0), ("120", 1), ("nan", 0)):
        notes = place(tmp_path, pose={"FlightYawDegree": flight}).notes
        assert sum("gimbal yaw 30 and flight yaw" in note for note in notes) == noted


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    turned, straight = place(tmp_path, orientation=6), place(tmp_path)
    assert turned.georeference == straight.georeference


def test_exif_that_is_not_needed_may_be_damaged(tmp_path: Path) -> None:
    pose = POSE | {"GpsLatitude": "47.0707", "GpsLongitude": "15.4395", "CalibratedFocalLength": "40"}
    picture = Image.fromarray(noise(*SHAPE, 3))
    picture.save(tmp_path / "b.jpg", exif=b"Exif\0\0nothing", xmp=xmp_of(attributes(pose)))
    placement = place_photo(tmp_path / "b.jpg", *SHAPE, PoseOptions())
    np.testing.assert_allclose(placement.georeference.transform, place(tmp_path).georeference.transform, atol=0.01)
    assert [note for note in placement.notes if note.startswith("its EXIF cannot be read")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"flying_height_m": 0.0},
        {"flying_height_m": -3.0},
        {"focal_px": float("nan")},
        {"ground_elevation_m": float("inf")},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PoseError, match=f"{next(iter(wrong))}: a finite number.* expected"):
        PoseOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(PoseError, match="both --ground-elevation and --dem"):
        PoseOptions(ground_elevation_m=3.0, dem=Path("dem.tif"))


def test_a_focal_length_that_cannot_be_is_refused(tmp_path: Path) -> None:
    assert place(tmp_path, PoseOptions(focal_px=50.0)).tags["GEOREF_FOCAL_SOURCE"] == "given"
    with pytest.raises(PoseError, match=r"a\.jpg: a focal length of 3 px given for 60 x 40: .*; expected 18 to 7211"):
        place(tmp_path, PoseOptions(focal_px=3.0))


def test_the_extra_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    monkeypatch.setitem(sys.modules, "pyproj", None)
    with pytest.raises(MissingExtraError, match=r"pyproj cannot be imported .*pip install 'noseam\[photo\]'"):
        place(tmp_path)


def test_the_extra_is_imported_only_when_photos_are_placed() -> None:
    code = "import sys, tiler.photo.pose; assert not {'pyproj', 'defusedxml'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample folder is not here")
class TestSamples:
    @pytest.mark.parametrize("number", ["18", "19", "20", "24"])
    def test_a_survey_is_placed(self, number: str) -> None:
        path = SAMPLES / "drone" / f"drone_dataset_brighton_beach__DJI_00{number}.JPG"
        placement = place_photo(path, 2250, 4000, PoseOptions())
        assert placement.georeference.crs == CRS.from_epsg(32615)
        assert placement.georeference.gsd_m(2250, 4000) == pytest.approx(0.0171, rel=0.01)
        assert placement.tags["GEOREF_FOCAL_SOURCE"] == "sensor width"
        assert 3 < placement.error_m < 5

    def test_every_other_file_is_refused_with_a_reason(self) -> None:
        others = [path for path in SAMPLES.rglob("*.*") if path.is_file() and "brighton" not in path.name]
        assert len(others) > 80
        for path in others:
            with pytest.raises(TilerError) as caught:
                place_photo(path, 512, 640, PoseOptions())
            assert path.name in str(caught.value)
            assert isinstance(caught.value, PoseError | RasterReadError)
