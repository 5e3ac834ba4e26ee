from __future__ import annotations

import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.make import noise
from tests.photos import DJI, PLACE, POSE, attributes, elements, gps_of, write_photo, xmp_of
from tiler.errors import PoseError, RasterReadError
from tiler.photo.tags import PhotoTags, read_tags

MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_every_format_says_the_same(tmp_path: Path, name: str) -> None:
    tags = read_tags(write_photo(tmp_path / name, orientation=6))
    assert tags.trouble == ()
    assert {key: tags.values[key] for key in POSE} == POSE
    assert tags.text("Model") == "FC6310"
    assert tags.number("Orientation") == 6
    assert tags.number("FocalLength") == pytest.approx(8.8)
    assert (tags.number("GPSLatitude"), tags.number("GPSLongitude")) == pytest.approx(PLACE, abs=1e-7)


@pytest.mark.parametrize(
    "xmp",
    [
        xmp_of(attributes(POSE)),
        xmp_of(elements(POSE)),
        xmp_of(*(attributes({name: text}) for name, text in POSE.items())),
        xmp_of(attributes(dict([*POSE.items()][:3])), elements(dict([*POSE.items()][3:]))),
        b'\xef\xbb\xbf<?xpacket begin=""?>' + xmp_of(elements(POSE)) + b'<?xpacket end="w"?>\0\0',
        xmp_of(attributes(POSE), attributes(dict.fromkeys(POSE, "-1"))),
    ],
    ids=["attributes", "elements", "one each", "both", "packet", "the first counts"],
)  # fmt: skip
def test_xmp_is_read_in_every_form(tmp_path: Path, xmp: bytes) -> None:
    tags = read_tags(write_photo(tmp_path / "a.jpg", xmp=xmp))
    assert tags.trouble == ()
    assert {key: tags.values[key] for key in POSE} == POSE


def test_names_count_in_djis_namespace_only(tmp_path: Path) -> None:
    other = attributes(POSE).replace("www.dji.com/drone-dji", "example.org/other")
    prefix = f"<rdf:Description {DJI} xmlns:other='http://example.org/' other:GimbalYawDegree='1'/>"
    tags = read_tags(write_photo(tmp_path / "a.jpg", xmp=xmp_of(other, prefix)))
    assert not tags.values.keys() & POSE.keys()


@pytest.mark.parametrize(
    ("xmp", "why"),
    [
        (b"<x", "unclosed token"),
        (b"\0\0 ", "no element found"),
        (xmp_of(attributes(POSE))[:-9], "no element found|unclosed"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + xmp_of(), "DTDForbidden"),
        (xmp_of(attributes(POSE)).replace(b"dji:Gimbal", b"nowhere:Gimbal"), "unbound prefix"),
    ],
)
def test_damaged_xmp_is_named_and_the_rest_still_counts(tmp_path: Path, xmp: bytes, why: str) -> None:
    tags = read_tags(write_photo(tmp_path / "a.jpg", xmp=xmp))
    (trouble,) = tags.trouble
    assert trouble.startswith("its XMP cannot be read (")
    assert tags.number("GPSLatitude") == pytest.approx(PLACE[0], abs=1e-7)
    with pytest.raises(PoseError, match=why):
        raise tags.refusal("a reason", "GimbalYawDegree", remedy="a remedy")


def test_xmp_beyond_all_measure_is_not_parsed(tmp_path: Path) -> None:
    xmp = xmp_of(attributes(POSE | {"Comment": "x" * 2**20}))
    tags = read_tags(write_photo(tmp_path / "a.png", xmp=xmp))
    assert tags.trouble == (f"its XMP cannot be read ({len(xmp)} bytes, 1048576 is the most that is read)",)


def test_a_header_longer_than_is_read_is_refused(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xe3\xff\xff" + bytes(0xFFFD)
    (tmp_path / "b.jpg").write_bytes(photo[:2] + segment * 100 + photo[2:])
    assert read_tags(tmp_path / "b.jpg").number("GimbalYawDegree") == 30
    (tmp_path / "c.jpg").write_bytes(photo[:2] + segment * 300 + photo[2:])
    with pytest.raises(PoseError, match=r"c\.jpg: its header cannot be read"):
        read_tags(tmp_path / "c.jpg")


@pytest.mark.parametrize(("latitude", "longitude"), [(1.5, 2.25), (-33.875, 151.2), (60.1, -110.55), (-0.5, -0.25)])
def test_hemispheres(tmp_path: Path, latitude: float, longitude: float) -> None:
    tags = read_tags(write_photo(tmp_path / "a.jpg", place=(latitude, longitude)))
    assert (tags.number("GPSLatitude"), tags.number("GPSLongitude")) == pytest.approx((latitude, longitude), abs=1e-7)


def test_a_depth_is_below_zero(tmp_path: Path) -> None:
    gps: dict[int, Any] = {ExifTags.GPS.GPSAltitudeRef: b"\1", ExifTags.GPS.GPSAltitude: 3.5}
    assert read_tags(write_photo(tmp_path / "a.jpg", gps=gps)).number("GPSAltitude") == -3.5


def test_a_latitude_without_its_hemisphere_is_none(tmp_path: Path) -> None:
    gps = {tag: value for tag, value in gps_of(*PLACE).items() if tag != ExifTags.GPS.GPSLatitudeRef}
    tags = read_tags(write_photo(tmp_path / "a.jpg", gps=gps))
    assert tags.number("GPSLatitude") is None
    assert tags.number("GPSLongitude") == pytest.approx(PLACE[1], abs=1e-7)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1e999", "12 m", "--3", "0x10"])
def test_what_is_no_finite_number_is_none_and_the_next_name_counts(text: str) -> None:
    tags = PhotoTags(Path("a.jpg"), {"a": text, "b": "+2.50"})
    assert tags.number("a") is None
    assert tags.number("a", "b") == 2.5


def test_a_refusal_names_file_reason_finding_and_remedy() -> None:
    tags = PhotoTags(Path("a.jpg"), {"a": "x" * 400, "c": 2.0}, ("its GPS cannot be read (why)",))
    text = str(tags.refusal("no pose", "a", "b", "c", remedy="give one"))
    assert text.startswith("a.jpg: no pose: found a 'xxx")
    assert text.endswith("xx, c 2.0; its GPS cannot be read (why); give one")
    assert len(text) < 130
    assert "no pose in its EXIF or XMP; its GPS" in str(tags.refusal("no pose", "b", remedy="give one"))


def test_other_files_are_no_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("nothing")
    with pytest.raises(RasterReadError, match=r"a\.jpg: not an accepted image"):
        read_tags(tmp_path / "a.jpg")


def test_a_photo_without_any_metadata_says_nothing(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.tif"):
        Image.fromarray(noise(8, 8, 3)).save(tmp_path / name)
        assert read_tags(tmp_path / name).values == {}
        assert read_tags(tmp_path / name).trouble == ()


def test_no_warning_gets_out(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHLL", 1, 0x8825, 4, 1, 9999)
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.jpg", exif=exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_tags(tmp_path / "a.jpg")
    assert caught == []


@MANY
@given(xmp=st.binary(max_size=300))
def test_random_xmp_is_trouble_at_most(tmp_path: Path, xmp: bytes) -> None:
    assert read_tags(write_photo(tmp_path / "a.jpg", xmp=xmp)).number("FocalLength") == pytest.approx(8.8)


@MANY
@given(exif=st.binary(max_size=300), head=st.sampled_from((b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08")))
def test_random_exif_is_trouble_at_most(tmp_path: Path, exif: bytes, head: bytes) -> None:
    Image.fromarray(noise(8, 8, 3)).save(
        tmp_path / "a.jpg", exif=b"Exif\0\0" + head + exif, xmp=xmp_of(attributes(POSE))
    )
    assert read_tags(tmp_path / "a.jpg").number("GimbalYawDegree") == 30


@MANY
@given(data=st.data(), name=st.sampled_from(("a.jpg", "a.png", "a.tif")))
def test_a_photo_with_random_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, name: str) -> None:
    content = bytearray(write_photo(tmp_path / name).read_bytes()[: data.draw(st.integers(9, 4000))])
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    with suppress(PoseError):
        assert read_tags(tmp_path / name).path == tmp_path / name
