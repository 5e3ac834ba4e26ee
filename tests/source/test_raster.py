from __future__ import annotations

import os
import socket
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError

from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_tif
from tiler.errors import RasterReadError
from tiler.grid.tiles import plan_grid
from tiler.source.georef import Georeference
from tiler.source.image import open_image
from tiler.source.raster import read_info, sniff_driver

SQUARE = Affine(0.05, 0, 500_000, 0, -0.05, 5_000_000)
SOUTH_UP = Affine(0.05, 0, 500_000, 0, 0.05, 5_000_000)


def _photo(path: Path, format: str, **options: object) -> Path:
    Image.fromarray(noise(20, 30, 3)).save(path, format=format, **options)
    return path


@pytest.mark.parametrize(("format", "driver"), [("JPEG", "JPEG"), ("MPO", "JPEG"), ("PNG", "PNG"), ("TIFF", "GTiff")])
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.tif", "PHOTO.JPEG", "photo"])
def test_the_first_bytes_decide_whatever_the_name(tmp_path: Path, format: str, driver: str, name: str) -> None:
    path = _photo(tmp_path / name, format)
    assert sniff_driver(path) == driver
    assert (read_info(path).driver, read_info(path).shape) == (driver, (20, 30))


@pytest.mark.parametrize("bigtiff", ["no", "yes"])
@pytest.mark.parametrize("endianness", ["little", "big"])
def test_every_kind_of_tiff_is_read(tmp_path: Path, bigtiff: str, endianness: str) -> None:
    path = write_tif(tmp_path / "a.tif", noise(3, 20, 30), bigtiff=bigtiff, endianness=endianness)
    order, version = "<" if endianness == "little" else ">", 43 if bigtiff == "yes" else 42
    assert path.read_bytes()[:4] == (b"II" if order == "<" else b"MM") + struct.pack(order + "H", version)
    assert (read_info(path).driver, read_info(path).shape) == ("GTiff", (20, 30))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "version https"),
        (b"<!DOCTYPE html>", "DOCTYPE"),
        (b"GIF89a" + bytes(20), "GIF89a"),
        (b"BM" + bytes(30), "BM"),
        (b"\xff\xd8", r"\\xff\\xd8"),
        (b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>", "VRTDataset"),
        (b"<GDAL_WMS></GDAL_WMS>", "GDAL_WMS"),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_other_content_is_refused_with_what_was_found(tmp_path: Path, content: bytes, found: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(RasterReadError, match=rf"a\{suffix}: not an accepted image.*found .*{found}"):
        read_info(path)


def test_a_working_vrt_named_tif_is_refused(tmp_path: Path) -> None:
    source = write_tif(tmp_path / "secret.tif", noise(1, 20, 30))
    path = tmp_path / "a.tif"
    path.write_text(
        "<VRTDataset rasterXSize='30' rasterYSize='20'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>"
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(RasterReadError, match=r"a\.tif: not an accepted image"):
        read_info(path)
    with pytest.raises(RasterioIOError, match="not recognized"):  # GDAL started without the driver
        rasterio.open(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match=r"gone\.jpg: no such file"):
        read_info(tmp_path / "gone.jpg")


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("gone.jpg")
    with pytest.raises(RasterReadError, match=r"a\.jpg: no such file"):
        read_info(tmp_path / "a.jpg")


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    with pytest.raises(RasterReadError, match=r"a\.jpg: "):
        read_info(tmp_path / "a.jpg")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(RasterReadError, match=r"a\.jpg: not a regular file"):
        read_info(tmp_path / "a.jpg")


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(RasterReadError, match=r"a\.jpg: not a regular file"):
        read_info(tmp_path / "a.jpg")


@pytest.mark.timeout(20)
def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("/dev/zero")
    with pytest.raises(RasterReadError, match=r"a\.jpg: not a regular file"):
        read_info(tmp_path / "a.jpg")


@pytest.mark.timeout(20)
def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.jpg")
        with pytest.raises(RasterReadError, match=r"a\.jpg: not a regular file"):
            read_info(tmp_path / "a.jpg")


def test_a_name_of_255_bytes_is_read(tmp_path: Path) -> None:
    assert read_info(_photo(tmp_path / ("a" * 251 + ".png"), "PNG")).shape == (20, 30)


def test_a_name_too_long_for_the_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match="cannot be read: File name too long"):
        read_info(tmp_path / ("a" * 300 + ".jpg"))


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.tif")
    (write_tif(tmp_path / "a.tif", noise(1, 2, 2))).rename(path)
    with pytest.raises(RasterReadError, match="its name is not UTF-8, and GDAL reads no such files"):
        read_info(path)


@pytest.mark.parametrize("suffix", [".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"])
def test_a_raw_photo_is_refused_though_it_is_a_tiff(tmp_path: Path, suffix: str) -> None:
    path = write_tif(tmp_path / "a.tif", noise(3, 4, 4)).rename(tmp_path / f"a{suffix.upper()}")
    with pytest.raises(RasterReadError, match="a raw photo; expected JPEG, PNG or TIFF"):
        read_info(path)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_file_cut_inside_its_header_is_refused_by_name(tmp_path: Path, format: str) -> None:
    path = _photo(tmp_path / "a.img", format)
    path.write_bytes(path.read_bytes()[:12])
    with pytest.raises(RasterReadError, match=r"a\.img: the header cannot be read"):
        read_info(path)


@pytest.mark.parametrize("name", ["http:x.png", "s3:x.png", "zip:x.png", "GTIFF_DIR:1:x.png", "-x.png", "x.png!y.png"])
def test_a_relative_name_like_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _photo(tmp_path / name, "PNG")
    monkeypatch.chdir(tmp_path)
    assert read_info(Path(name)).shape == (20, 30)


@pytest.mark.parametrize("name", ["a\nb.png", "a'b\".png", "-a.png", "a\x1b[31m.png", "é%20#?.png"])
def test_odd_names_are_read(tmp_path: Path, name: str) -> None:
    assert read_info(_photo(tmp_path / name, "PNG")).path.name == name


@pytest.mark.parametrize("transform", [SQUARE, ROTATED, SOUTH_UP])
def test_all_six_numbers_of_the_transform_are_kept(tmp_path: Path, transform: Affine) -> None:
    info = read_info(write_tif(tmp_path / "a.tif", noise(1, 20, 30), crs=UTM, transform=transform))
    assert info.georeference.transform == transform
    assert info.georeference.crs == UTM
    assert info.georeference.present


def test_ground_control_points_are_kept(tmp_path: Path) -> None:
    georeference = read_info(write_tif(tmp_path / "a.tif", noise(1, 20, 30), gcps=list(GCPS), crs=UTM)).georeference
    found = [(p.row, p.col, p.x, p.y, p.z) for p in georeference.gcps]
    assert found == [(p.row, p.col, p.x, p.y, p.z) for p in GCPS]
    assert georeference.crs == UTM
    assert georeference.present


def test_rational_polynomials_are_kept(tmp_path: Path) -> None:
    georeference = read_info(write_tif(tmp_path / "a.tif", noise(1, 20, 30), rpcs=RPCS)).georeference
    assert georeference.rpcs is not None
    assert georeference.rpcs.to_dict() == RPCS.to_dict()
    assert georeference.present


def test_a_photo_has_no_georeference(tmp_path: Path) -> None:
    assert read_info(_photo(tmp_path / "a.jpg", "JPEG")).georeference == Georeference()
    assert not Georeference().present


def test_a_crs_without_a_transform_does_not_say_where_an_image_lies(tmp_path: Path) -> None:
    georeference = read_info(write_tif(tmp_path / "a.tif", noise(1, 4, 4), crs=UTM)).georeference
    assert georeference.crs == UTM
    assert not georeference.present


@pytest.mark.parametrize("nodata", [0.0, -9999.0, float("nan")])
def test_nodata_is_read_and_marks_pixels(tmp_path: Path, nodata: float) -> None:
    info = read_info(write_tif(tmp_path / "a.tif", noise(1, 4, 4, dtype="float32"), nodata=nodata))
    assert info.nodata == pytest.approx(nodata, nan_ok=True)
    assert info.masked


def test_alpha_and_an_internal_mask_mark_pixels_and_plain_files_do_not(tmp_path: Path) -> None:
    mask = np.ones((4, 4), np.bool_)
    assert read_info(write_tif(tmp_path / "m.tif", noise(3, 4, 4), mask=mask, photometric="rgb")).masked
    assert read_info(write_tif(tmp_path / "a.tif", noise(4, 4, 4), photometric="rgb", alpha="yes")).masked
    assert not read_info(write_tif(tmp_path / "p.tif", noise(3, 4, 4), photometric="rgb")).masked


def test_orientation_is_recorded_and_never_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    info = read_info(_photo(tmp_path / "a.jpg", "JPEG", exif=exif))
    assert (info.orientation, info.shape) == (6, (20, 30))
    assert read_info(_photo(tmp_path / "b.jpg", "JPEG")).orientation == 1


def test_an_orientation_that_does_not_exist_is_taken_as_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert read_info(_photo(tmp_path / "a.jpg", "JPEG", exif=exif)).orientation == 1


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_palette_is_named(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a.img"
    Image.fromarray(noise(20, 30, 3)).quantize(7).save(path, format=format)
    assert read_info(path).interpretations == ("palette",)


def test_significant_bits_are_read(tmp_path: Path) -> None:
    pixels = noise(1, 4, 4, high=4096, dtype="uint16")
    twelve = read_info(write_tif(tmp_path / "a.tif", pixels, nbits=12))
    assert (twelve.dtype, twelve.bits) == ("uint16", 12)
    assert read_info(write_tif(tmp_path / "b.tif", pixels)).bits is None


def test_white_is_zero_is_read(tmp_path: Path) -> None:
    pixels = noise(1, 4, 4)
    assert read_info(write_tif(tmp_path / "a.tif", pixels, photometric="miniswhite")).white_is_zero
    assert not read_info(write_tif(tmp_path / "b.tif", pixels, photometric="minisblack")).white_is_zero


@pytest.mark.parametrize("space", ["CMYK", "LAB"])
def test_the_stored_colour_space_is_read(tmp_path: Path, space: str) -> None:
    path = tmp_path / "a.tif"
    (Image.new("CMYK", (4, 4)) if space == "CMYK" else Image.new("LAB", (4, 4))).save(path)
    assert read_info(path).colour_space == {"CMYK": "CMYK", "LAB": "CIELAB"}[space]


def test_more_channels_than_any_camera_has_are_refused(tmp_path: Path) -> None:
    most = write_tif(tmp_path / "most.tif", noise(64, 2, 2))
    assert len(read_info(most).interpretations) == 64
    path = write_tif(tmp_path / "more.tif", noise(65, 2, 2))
    with pytest.raises(RasterReadError, match=r"more\.tif: 65 channels claimed, 64 is the most"):
        read_info(path)


def test_the_header_knows_its_ground_sample_distance(tmp_path: Path) -> None:
    info = read_info(write_tif(tmp_path / "a.tif", noise(1, 20, 30), crs=UTM, transform=SQUARE))
    assert info.gsd_m == pytest.approx(0.05 / 0.9996, rel=1e-5)


HOSTILE_PAM = """<PAMDataset><SRS>EPSG:32601</SRS><GeoTransform>1,2,3,4,5,6</GeoTransform>
<PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>"""


def _with_hostile_side_files(folder: Path) -> Path:
    """Write an image of 64 x 64 whose neighbours would change its place, its pixels and its mask."""
    path = write_tif(folder / "a.tif", np.full((3, 64, 64), 100, np.uint8), photometric="rgb")
    write_tif(folder / "over.tif", np.full((3, 16, 16), 200, np.uint8), photometric="rgb").rename(folder / "a.tif.ovr")
    (folder / "a.tif.aux.xml").write_text(HOSTILE_PAM)
    write_tif(folder / "mask.tif", np.zeros((1, 64, 64), np.uint8)).rename(folder / "a.tif.msk")
    with rasterio.open(folder / "a.tif.msk", "r+") as mask:
        mask.update_tags(INTERNAL_MASK_FLAGS_1=2, INTERNAL_MASK_FLAGS_2=2, INTERNAL_MASK_FLAGS_3=2)
    return path


def test_hostile_side_files_are_hostile(tmp_path: Path) -> None:
    with rasterio.open(_with_hostile_side_files(tmp_path)) as dataset:
        assert dataset.crs == CRS.from_epsg(32601)
        assert (dataset.read(out_shape=(3, 16, 16)) == 200).all()
        assert not dataset.dataset_mask().any()


def test_side_files_are_not_opened(tmp_path: Path) -> None:
    path = _with_hostile_side_files(tmp_path)
    alone = write_tif(tmp_path / "alone.tif", np.full((3, 64, 64), 100, np.uint8), photometric="rgb")
    assert replace(read_info(path), path=alone) == read_info(alone)
    with open_image(path) as image:
        assert (image.model_rows(plan_grid((64, 64), scale=0.25, tile=(64, 64), overlap=(0, 0)), 0, 16) == 100).all()
        assert image.valid_rows(0, 64).all()


def test_nothing_is_written_beside_the_source(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(1, 64, 64, high=4096, dtype="uint16"))
    before = path.stat().st_mtime_ns, path.read_bytes()
    with open_image(path) as image:
        image.model_rows(plan_grid((64, 64), scale=0.5, tile=(64, 64), overlap=(0, 0)), 0, 32)
        image.valid_rows(0, 64)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
