from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import WktVersion

from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_tif
from tiler.source.georef import Georeference
from tiler.source.image import open_image
from tiler.source.raster import read_info
from tiler.source.world import prj_text, read_world, world_text

SQUARE = Affine(0.05, 0, 500_000, 0, -0.05, 5_000_000)
SOUTH_UP = Affine(0.05, 0, 500_000, 0, 0.05, 5_000_000)
SKEWED = Affine(1 / 3, 0.1, 412_345.678901, -0.2, -1 / 7, 5_987_654.321012)
GRIDS = [4326, 3857, 32633, 25832, 2263, 2056, 27700, 31467, 2393]
"""Degrees, web maps, UTM, feet, and national grids, two of them with north first."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def _transform(path: Path, text: str | bytes) -> tuple[Affine | None, tuple[str, ...]]:
    """Read back what stands in the world file of an image that has a CRS of its own."""
    path.with_suffix(".jgw").write_bytes(text if isinstance(text, bytes) else text.encode())
    transform, _, notes = read_world(path, UTM)
    return transform, notes


@pytest.mark.parametrize("transform", [SQUARE, ROTATED, SOUTH_UP, SKEWED])
def test_all_six_numbers_come_back_to_the_last_bit(photo: Path, transform: Affine) -> None:
    assert _transform(photo, world_text(transform)) == (transform, ())
    found, _ = _transform(photo, world_text(transform))
    assert found is not None
    assert tuple(found) == tuple(transform)


def test_any_transform_of_a_map_comes_back_to_the_last_bit(photo: Path) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        turned = Affine.rotation(random.uniform(0, 360)) @ Affine.scale(random.uniform(0.001, 3), -0.05)
        transform = Affine.translation(*random.uniform(1e5, 1e7, 2)) @ turned
        found, _ = _transform(photo, world_text(transform))
        assert found is not None
        assert tuple(found) == tuple(transform)


@given(st.tuples(*[st.floats(-1e9, 1e9)] * 6))
def test_any_offset_comes_back_within_the_rounding_of_the_centre(numbers: tuple[float, ...]) -> None:
    transform = Affine(*numbers)
    a, d, b, e, x, y = map(float, world_text(transform).split())
    assert (a, b, d, e) == (transform.a, transform.b, transform.d, transform.e)
    half_x, half_y = a * 0.5 + b * 0.5, d * 0.5 + e * 0.5
    assert abs(x - half_x - transform.c) <= np.spacing(abs(x)) + np.spacing(abs(transform.c))
    assert abs(y - half_y - transform.f) <= np.spacing(abs(y)) + np.spacing(abs(transform.f))


def test_a_world_file_names_the_centre_of_the_first_pixel() -> None:
    assert [float(line) for line in world_text(SQUARE).splitlines()] == [0.05, 0, 0, -0.05, 500_000.025, 4_999_999.975]


@pytest.mark.parametrize("transform", [SQUARE, ROTATED, SOUTH_UP])
def test_gdal_reads_our_world_files_as_we_do(photo: Path, transform: Affine) -> None:
    _transform(photo, world_text(transform))
    with rasterio.open(photo) as dataset:
        np.testing.assert_allclose(tuple(dataset.transform), tuple(transform), rtol=1e-15, atol=0)


@pytest.mark.parametrize("epsg", GRIDS)
def test_our_prj_means_the_same_place(photo: Path, epsg: int) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    photo.with_suffix(".prj").write_text(prj_text(CRS.from_epsg(epsg)))
    _, crs, notes = read_world(photo)
    assert notes == ()
    assert crs is not None
    assert crs.to_epsg() == epsg


@pytest.mark.parametrize("epsg", GRIDS)
@pytest.mark.parametrize("version", [WktVersion.WKT1_GDAL, WktVersion.WKT2_2019, WktVersion.WKT2_2015])
def test_every_dialect_of_wkt_is_read(photo: Path, epsg: int, version: WktVersion) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    photo.with_suffix(".prj").write_text(CRS.from_epsg(epsg).to_wkt(version=version))
    assert read_world(photo) == (SQUARE, CRS.from_epsg(epsg), ())


@pytest.mark.parametrize(
    ("image", "world"),
    [
        *((f"a.{suffix}", f"a.{world}") for suffix in ("jpg", "JPG") for world in ("jgw", "jpgw", "wld", "JGW", "WLD")),
        ("a.jpeg", "a.jgw"), ("a.jpeg", "a.jpegw"), ("a.JPEG", "a.JPEGW"),
        ("a.tif", "a.tfw"), ("a.tif", "a.tifw"), ("a.tiff", "a.tfw"), ("a.tiff", "a.tiffw"), ("a.TIF", "a.TFW"),
        ("a.png", "a.pgw"), ("a.png", "a.pngw"), ("a.b.png", "a.b.pgw"), ("a", "a.wld"), ("a.j", "a.jjw"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prj", ["prj", "PRJ"])
def test_every_custom_of_naming_is_known(tmp_path: Path, image: str, world: str, prj: str) -> None:
    path = tmp_path / image
    (tmp_path / world).write_text(world_text(ROTATED))
    path.with_suffix(f".{prj}").write_text(prj_text(UTM))
    assert read_world(path) == (ROTATED, UTM, ())


@pytest.mark.parametrize("name", ["b.jgw", "a.pgw", "a.tfw", "a.jpg.wld", "a.jpg.jgw", "a.prj", "a.jpg.aux.xml"])
def test_other_files_are_left_alone(photo: Path, name: str) -> None:
    photo.with_name(name).write_text(world_text(SQUARE))
    assert read_world(photo) == (None, None, ())


def test_the_first_world_file_by_name_counts(photo: Path) -> None:
    photo.with_suffix(".wld").write_text(world_text(ROTATED))
    assert _transform(photo, world_text(SQUARE)) == (SQUARE, ())


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff0.05\r\n0\r\n0\r\n-0.05\r\n500000.025\r\n4999999.975\r\n",
        "0.05 0 0 -0.05 500000.025 4999999.975",
        "  5e-2\n\n+0.\n.0\n\n-0.05\n5.00000025E+05\n4999999.975\n\n",
        "0.05\r0\r0\r-0.05\r500000.025\r4999999.975",
    ],
)
def test_layout_does_not_matter(photo: Path, text: str) -> None:
    assert _transform(photo, text) == (SQUARE, ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "6 numbers expected, 0 found"),
        ("1\n0\n0\n-1\n5", "6 numbers expected, 5 found"),
        ("1\n0\n0\n-1\n5\n5\n7", "6 numbers expected, 7 found"),
        ("0,05\n0\n0\n-0,05\n500000\n5000000", "decimal point expected, '0,05' found"),
        ("1,0,0,-1,5,5", "decimal point expected, '1,0,0,-1,5,5' found"),
        ("1\n0\n0\n-1\nnan\n5", "number expected, 'nan' found"),
        ("1\n0\n0\n-1\ninf\n5", "number expected, 'inf' found"),
        ("1\n0\n0\n-1\n1e999\n5", "number expected, '1e999' found"),
        ("1\n0\n0\n-1\n1_0\n5", "number expected, '1_0' found"),
        ("1\n0\n0\n-1\n0x10\n5", "number expected, '0x10' found"),
        ("1\n0\n0\n-1\n٣\n5", "number expected, '٣' found"),
        ("1\n0\n0\n-1\n\x1b[31m\n5", r"number expected, '\x1b[31m' found"),
        ("1\n0\n0\n-1\n" + "x" * 99 + "\n5", f"number expected, '{'x' * 40}' found"),
        ("0\n0\n0\n0\n5\n5", "pixels without area: 0, 0, 0, 0, 5, 5"),
        ("1\n2\n2\n4\n5\n5", "pixels without area: 1, 2, 2, 4, 5, 5"),
        ("1e308\n0\n1e308\n-1\n-1e308\n5", "pixels without area: 1e308, 0, 1e308, -1, -1e308, 5"),
        (b"\xff\xfe1\x000\x00", "not UTF-8 text"),
        (b"1" * (64 * 1024 + 1), "longer than 64 KiB"),
    ],
)
def test_a_bad_world_file_is_named_with_what_was_found(photo: Path, text: str | bytes, reason: str) -> None:
    assert _transform(photo, text) == (None, (f"a.jgw is not read: {reason}",))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["1" * 65_000 + "x", "1." * 32_000, "1e" * 32_000, "0 " * 32_000, "," * 65_000])
def test_a_large_bad_world_file_takes_no_time(photo: Path, text: str) -> None:
    assert _transform(photo, text)[0] is None


def test_a_world_file_without_prj_gives_a_place_on_no_map(photo: Path) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    assert read_world(photo) == (SQUARE, None, ("world file without .prj: no CRS",))


GRID_FILE = "+proj=merc +a=6378137 +b=6378137 +units=m +nadgrids={} +no_defs"
MERCATOR = (
    'PROJCS["x",GEOGCS["g",DATUM["d",SPHEROID["s",6378137,298]],PRIMEM["G",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Mercator_1SP"],PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],EXTENSION["PROJ4","{}"]]'
)
BOUND = (
    f"BOUNDCRS[SOURCECRS[{CRS.from_epsg(4277).to_wkt(version=WktVersion.WKT2_2019)}],"
    f"TARGETCRS[{CRS.from_epsg(4326).to_wkt(version=WktVersion.WKT2_2019)}],"
    'ABRIDGEDTRANSFORMATION["x",METHOD["NTv2"],PARAMETERFILE["Latitude and longitude difference file","GRID"]]]'
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no CRS in WKT"),
        ("EPSG:32633", "no CRS in WKT"),
        ("+proj=utm +zone=33", "no CRS in WKT"),
        ("Projection UTM\nZone 33\n", "no CRS in WKT"),
        ("http://127.0.0.1:9/crs", "no CRS in WKT"),
        ("/etc/hostname", "no CRS in WKT"),
        ("GEOGCS[", "no CRS in WKT"),
        ("PROJCS[" * 9000, "no CRS in WKT"),
        ("(" * 65_000, "no CRS in WKT"),
        ("\0", "no CRS in WKT"),
        (b"\xff", "not UTF-8 text"),
        (b" " * (64 * 1024 + 1), "longer than 64 KiB"),
        ('VERT_CS["x",VERT_DATUM["x",2005],UNIT["m",1],AXIS["Up",UP]]', "no CRS of a map"),
        ('LOCAL_CS["site grid",UNIT["metre",1]]', "no CRS of a map"),
        (CRS.from_epsg(4978).to_wkt(), "no CRS of a map"),
        (MERCATOR.format(GRID_FILE.format("/etc/hostname")), "it names other files"),
        (MERCATOR.format(GRID_FILE.format("@null,/etc/hostname")), "it names other files"),
        (MERCATOR.format("+INIT=/etc/hostname:1"), "it names other files"),
        (BOUND, "it names other files"),
        (BOUND.replace("PARAMETERFILE", "ParameterFile"), "it names other files"),
    ],
)  # fmt: skip
def test_a_bad_prj_is_named_and_the_place_kept(photo: Path, text: str | bytes, reason: str) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    photo.with_suffix(".prj").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_world(photo) == (SQUARE, None, (f"a.prj is not read: {reason}",))


def test_the_web_mercator_of_older_programs_names_no_file(photo: Path) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    photo.with_suffix(".prj").write_text(MERCATOR.format(GRID_FILE.format("@null")))
    assert read_world(photo)[2] == ()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", [".jgw", ".prj"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, *(partial(os.symlink, to) for to in ("/dev/zero", "gone"))])
def test_pipes_folders_devices_and_loose_links_are_no_side_files(
    photo: Path, suffix: str, make: Callable[[Path], None]
) -> None:
    photo.with_suffix(".jgw").write_text(world_text(SQUARE))
    photo.with_suffix(suffix).unlink(missing_ok=True)
    make(photo.with_suffix(suffix))
    without_prj = SQUARE, None, ("world file without .prj: no CRS",)
    assert read_world(photo) == ((None, None, ()) if suffix == ".jgw" else without_prj)


def test_a_name_as_long_as_can_be_has_no_room_for_side_files(tmp_path: Path) -> None:
    assert read_world(tmp_path / ("a" * 251 + ".jpg")) == (None, None, ())


@pytest.mark.parametrize(("suffix", "format"), [("jpg", "JPEG"), ("png", "PNG"), ("tif", "TIFF")])
def test_an_image_lies_where_its_world_file_says(tmp_path: Path, suffix: str, format: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise(20, 30, 3)).save(path, format=format)
    path.with_suffix(".wld").write_text(world_text(ROTATED))
    path.with_suffix(".prj").write_text(prj_text(UTM))
    info = read_info(path)
    assert info.georeference == Georeference(UTM, ROTATED)
    assert info.georeference.present
    assert info.gsd_m == pytest.approx(0.05 / 0.9996, rel=1e-5)
    assert info.notes == ()


def test_a_crs_in_the_file_wins_over_the_prj(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(1, 20, 30), crs=UTM)
    path.with_suffix(".tfw").write_text(world_text(SQUARE))
    assert (read_info(path).georeference, read_info(path).notes) == (Georeference(UTM, SQUARE), ())
    path.with_suffix(".prj").write_text(prj_text(CRS.from_epsg(3857)))
    assert (read_info(path).georeference, read_info(path).notes) == (Georeference(UTM, SQUARE), ())


@pytest.mark.parametrize("own", [{"transform": SQUARE}, {"gcps": list(GCPS), "crs": UTM}, {"rpcs": RPCS}])
def test_a_place_in_the_file_wins_over_the_world_file(tmp_path: Path, own: dict[str, Any]) -> None:
    path = write_tif(tmp_path / "a.tif", noise(1, 20, 30), **own)
    before = read_info(path).georeference
    path.with_suffix(".tfw").write_text("nonsense")
    path.with_suffix(".prj").write_text("nonsense")
    after = read_info(path)
    assert after.notes == ()
    assert (after.georeference.crs, after.georeference.transform) == (before.crs, before.transform)
    assert len(after.georeference.gcps) == len(before.gcps)
    assert (after.georeference.rpcs is None) == (before.rpcs is None)


def test_the_user_hears_of_a_bad_world_file(photo: Path) -> None:
    _transform(photo, "0,05")
    with open_image(photo) as image:
        assert image.notes == ("a.jgw is not read: decimal point expected, '0,05' found",)
        assert image.info.georeference == Georeference()
