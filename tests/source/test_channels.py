from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.make import noise, write_tif
from tiler.errors import ChannelError
from tiler.source.channels import Channels, choose_channels
from tiler.source.georef import Georeference
from tiler.source.options import parse_channels
from tiler.source.raster import RasterInfo, read_info
from tiler.source.stretch import Stretch, percentile_stretch


def _info(*interpretations: str, masked: bool = False) -> RasterInfo:
    return RasterInfo(
        path=Path("a.tif"),
        driver="GTiff",
        height=4,
        width=4,
        dtype="uint8",
        bits=None,
        interpretations=interpretations,
        colour_space="",
        nodata=None,
        masked=masked,
        white_is_zero=False,
        orientation=1,
        pages=1,
        made_by_noseam=False,
        georeference=Georeference(),
    )


@pytest.mark.parametrize("masked", [False, True])
def test_named_colours_are_taken_wherever_they_stand(masked: bool) -> None:
    rgb = Channels((1, 2, 3), valid=None, palette=False, dataset_mask=masked)
    assert choose_channels(_info("red", "green", "blue", masked=masked)) == rgb
    bgra = _info("blue", "green", "red", "alpha", masked=masked)
    assert choose_channels(bgra) == replace(rgb, colour=(3, 2, 1))


def test_near_infrared_is_left_out_where_the_colours_are_named() -> None:
    chosen = choose_channels(_info("red", "green", "blue", "undefined"))
    assert chosen == Channels((1, 2, 3), valid=None, palette=False, dataset_mask=False)
    assert choose_channels(_info("undefined", "red", "green", "blue")).colour == (2, 3, 4)


@pytest.mark.parametrize("names", [("gray",), ("gray", "alpha")])
def test_grey_stands_for_all_three(names: tuple[str, ...]) -> None:
    assert choose_channels(_info(*names)) == Channels((1,), valid=None, palette=False, dataset_mask=False)


@pytest.mark.parametrize("names", [("palette",), ("palette", "alpha")])
def test_a_palette_is_expanded(names: tuple[str, ...]) -> None:
    assert choose_channels(_info(*names)) == Channels((1,), valid=None, palette=True, dataset_mask=False)


@pytest.mark.parametrize(
    "names", [("gray", "undefined", "undefined"), ("undefined",) * 3, ("red", "green", "undefined")]
)
def test_three_unnamed_channels_are_taken_in_order_with_a_note(names: tuple[str, ...]) -> None:
    chosen = choose_channels(_info(*names))
    assert chosen.colour == (1, 2, 3)
    assert chosen.note.startswith(f"channels are {', '.join(names)}; they are taken as red, green, blue")


@pytest.mark.parametrize("names", [("red", "green", "blue"), ("gray",), ("palette",)])
def test_named_channels_need_no_note(names: tuple[str, ...]) -> None:
    assert choose_channels(_info(*names)).note == ""


@pytest.mark.parametrize(
    "names",
    [
        ("gray", "undefined"),
        ("undefined",),
        ("gray", "undefined", "undefined", "undefined"),
        ("gray", "gray", "gray", "gray", "gray"),
        ("red", "green", "alpha"),
        ("gray", "undefined", "alpha"),
        ("red", "red", "green", "blue"),
        ("yellow", "red", "red", "nir"),
    ],
)
def test_channels_that_do_not_say_their_colours_are_refused(names: tuple[str, ...]) -> None:
    match = rf"^a\.tif: {len(names)} channels \({', '.join(names)}\) do not say .* --channels"
    with pytest.raises(ChannelError, match=match):
        choose_channels(_info(*names))


@pytest.mark.parametrize("asked", [(), (1,), (1, 2, 3)])
def test_complex_samples_are_refused(asked: tuple[int, ...]) -> None:
    with pytest.raises(ChannelError, match=r"^a\.tif: complex64 samples; expected real numbers"):
        choose_channels(replace(_info("red", "green", "blue"), dtype="complex64"), asked)


@pytest.mark.parametrize("space", ["CMYK", "CIELAB", "ICCLAB", "ITULAB"])
@pytest.mark.parametrize("asked", [(), (1, 2, 3)])
def test_colour_spaces_that_gdal_does_not_convert_are_refused(space: str, asked: tuple[int, ...]) -> None:
    info = replace(_info("red", "green", "blue", "alpha"), colour_space=space)
    with pytest.raises(ChannelError, match=rf"^a\.tif: colours are stored as {space}; expected RGB"):
        choose_channels(info, asked)


INKS = ("cyan", "magenta", "yellow", "black")


@pytest.mark.parametrize("asked", [(), (1, 2, 3), (4,)])
@pytest.mark.parametrize("names", [INKS, (*INKS, "alpha")])
def test_inks_are_refused_whatever_is_asked(names: tuple[str, ...], asked: tuple[int, ...]) -> None:
    with pytest.raises(ChannelError, match=r"^a\.tif: colours are stored as CMYK; expected RGB.* python -c "):
        choose_channels(_info(*names), asked)


@pytest.mark.parametrize("names", [INKS[:3], ("hue", "saturation", "lightness"), ("Y", "Cb", "Cr")])
@pytest.mark.parametrize("asked", [(), (3, 2, 1), (2,)])
def test_three_channels_that_say_other_colours_are_refused(names: tuple[str, ...], asked: tuple[int, ...]) -> None:
    found = "CMYK" if names == INKS[:3] else ", ".join(names)
    with pytest.raises(ChannelError, match=rf"^a\.tif: colours are stored as {found}; expected RGB, grey or a palette"):
        choose_channels(_info(*names), asked)


@pytest.mark.parametrize(("names", "asked"), [(("Y", "Cb", "Cr"), (1,)), (("hue", "saturation", "lightness"), (3,))])
def test_a_channel_of_brightness_alone_is_grey(names: tuple[str, ...], asked: tuple[int, ...]) -> None:
    assert choose_channels(_info(*names), asked).colour == asked


def test_yellow_light_of_a_satellite_is_no_ink() -> None:
    names = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir")
    assert choose_channels(_info(*names)).colour == (5, 3, 2)
    assert choose_channels(_info(*names), (7, 5, 4)).colour == (7, 5, 4)


def test_a_jpeg_in_cmyk_is_converted_and_accepted(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).convert("CMYK").save(tmp_path / "a.jpg")
    info = read_info(tmp_path / "a.jpg")
    assert info.colour_space == "CMYK"
    assert choose_channels(info).colour == (1, 2, 3)


def test_a_jpeg_in_ycck_is_refused_because_gdal_decodes_it_to_false_colours(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).convert("CMYK").save(tmp_path / "a.jpg")
    written = (tmp_path / "a.jpg").read_bytes()
    marker = written.index(b"Adobe")  # then version, flags and flags of two bytes each, and the transform
    (tmp_path / "a.jpg").write_bytes(written[: marker + 11] + b"\2" + written[marker + 12 :])
    info = read_info(tmp_path / "a.jpg")
    assert info.colour_space == "YCCK"
    with pytest.raises(ChannelError, match="colours are stored as YCCK; expected RGB"):
        choose_channels(info, (1, 2, 3))


@pytest.mark.parametrize("space", ["CMYK", "LAB"])
def test_a_tiff_in_cmyk_or_lab_is_refused(tmp_path: Path, space: str) -> None:
    path = tmp_path / "a.tif"
    (Image.new("CMYK", (4, 4)) if space == "CMYK" else Image.new("LAB", (4, 4))).save(path)
    with pytest.raises(ChannelError, match=f"colours are stored as .*{space}"):
        choose_channels(read_info(path))


def test_a_complex_tiff_is_refused(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(1, 4, 4, dtype="complex64"))
    with pytest.raises(ChannelError, match="complex64 samples"):
        choose_channels(read_info(path))


def test_a_tiff_of_blue_green_red_alpha_is_read_in_that_order(tmp_path: Path) -> None:
    names = ("blue", "green", "red", "alpha")
    path = write_tif(tmp_path / "a.tif", noise(4, 4, 4, dtype="uint16"), interpretations=names)
    assert choose_channels(read_info(path)) == Channels((3, 2, 1), valid=None, palette=False, dataset_mask=True)


def test_a_tiff_of_four_unnamed_channels_is_refused(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(4, 4, 4), photometric="minisblack")
    with pytest.raises(ChannelError, match=r"4 channels \(gray, undefined, undefined, undefined\)"):
        choose_channels(read_info(path))


def test_one_asked_channel_stands_for_all_three() -> None:
    info = _info("red", "green", "blue", masked=True)
    assert choose_channels(info, (2,)) == Channels((2,), valid=None, palette=False, dataset_mask=True)
    assert choose_channels(_info("palette"), (1,)).palette


def test_three_asked_channels_are_red_green_blue() -> None:
    asked = choose_channels(_info("gray", "undefined", "undefined", "undefined"), (4, 3, 2))
    assert asked == Channels((4, 3, 2), valid=None, palette=False, dataset_mask=False)


def test_the_fourth_asked_channel_marks_valid_pixels() -> None:
    asked = choose_channels(_info("gray", *["undefined"] * 4), (1, 2, 3, 5))
    assert asked == Channels((1, 2, 3), valid=5, palette=False, dataset_mask=False)


def test_alpha_counts_for_nothing_once_channels_are_asked_for() -> None:
    info = _info("red", "green", "blue", "alpha", masked=True)
    assert choose_channels(info).dataset_mask
    assert not choose_channels(info, (1, 2, 3)).dataset_mask
    assert choose_channels(info, (1, 2, 3, 4)).valid == 4


@pytest.mark.parametrize("asked", [(4,), (1, 2, 4), (1, 2, 3, 4)])
def test_an_asked_channel_that_the_file_lacks_is_refused(asked: tuple[int, ...]) -> None:
    with pytest.raises(ChannelError, match=r"^a\.tif: channel 4 was asked for, the file has 3"):
        choose_channels(_info("red", "green", "blue"), asked)


@pytest.mark.parametrize(
    ("text", "numbers"), [("1", (1,)), ("3,2,1", (3, 2, 1)), (" 1, 2 ,3,4 ", (1, 2, 3, 4)), ("12,1,1", (12, 1, 1))]
)
def test_channel_numbers_are_parsed(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_channels(text) == numbers


@pytest.mark.parametrize(
    "text",
    ["", "1,2", "1,2,3,4,5", "0", "1,2,0", "-1", "+1", "1.0", "1,,3", "1,2,", "r,g,b", "1 2 3", "1;2;3", "\u00b2"],
)
def test_other_channel_texts_are_refused(text: str) -> None:
    with pytest.raises(ChannelError, match=r"expected one \(grey\), three \(red,green,blue\) or four \(\+valid\)"):
        parse_channels(text)


def _apply(stretch: Stretch, *values: float) -> list[int]:
    levels = stretch.apply(np.array(values, np.float32))
    assert levels.dtype == np.uint8
    return [int(level) for level in levels]


def test_the_range_becomes_0_to_255_and_the_rest_is_cut() -> None:
    assert _apply(Stretch(100, 300), 100, 300, 200.5, 99, 0, 301, 65535) == [0, 255, 128, 0, 0, 255, 255]


def test_the_range_0_to_255_is_the_identity() -> None:
    assert _apply(Stretch(0, 255), *range(256)) == list(range(256))


def test_a_range_from_high_to_low_inverts() -> None:
    assert _apply(Stretch(255, 0), *range(256)) == list(range(255, -1, -1))
    assert _apply(Stretch(300, 100), 99, 100, 300, 301) == [255, 255, 0, 0]


@pytest.mark.parametrize("stretch", [Stretch(0, 255), Stretch(255, 0), Stretch(-5, 5), Stretch(3, 3)])
def test_nan_gives_0(stretch: Stretch) -> None:
    assert _apply(stretch, np.nan) == [0]


def test_a_flat_range_gives_0() -> None:
    assert _apply(Stretch(7, 7), 6, 7, 8, np.inf) == [0, 0, 0, 0]


def test_the_least_float_and_infinity_are_cut_without_overflow() -> None:
    assert _apply(Stretch(0, 1), -3.4e38, -np.inf, 3.4e38, np.inf) == [0, 0, 255, 255]


def test_a_range_down_to_the_least_float_does_not_overflow() -> None:
    assert _apply(Stretch(-3.4e38, 1000), -3.4e38, 1000, 0) == [0, 255, 255]


def test_a_range_over_all_floats_does_not_overflow() -> None:
    assert _apply(Stretch(-3.4e38, 3.4e38), -3.4e38, 3.4e38, 0) == [0, 255, 128]


def test_a_narrow_range_of_large_values_is_cut_to_255() -> None:
    assert _apply(Stretch(16_777_216, 16_777_219), 16_777_216, 16_777_219) == [0, 255]


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(-1e5, 1e5),
    st.floats(1, 1e5),
)
def test_the_stretch_is_the_formula(values: np.ndarray, low: float, span: float) -> None:
    exact = np.clip(255 * (values.astype(np.float64) - low) / span, 0, 255)
    levels = Stretch(low, low + span).apply(values).astype(np.float64)
    assert np.abs(levels - exact).max() <= 0.5 + 255 * 0.02 / span


def test_the_stretch_says_what_it_does() -> None:
    assert str(Stretch(0.25, 4000)) == "0.25 to 4000 became 0 to 255"


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e9, 1e9)).filter(lambda a: np.ptp(a) > 0))
def test_percentiles_are_those_of_numpy(values: np.ndarray) -> None:
    low, high = np.percentile(values, (2, 98))
    expected = (low, high) if low != high else (values.min(), values.max())
    stretch = percentile_stretch(values)
    assert (stretch.low, stretch.high) == expected


def test_the_2nd_to_98th_percentile_become_0_to_255() -> None:
    assert percentile_stretch(np.arange(101.0)) == Stretch(2, 98)


def test_values_that_are_not_finite_do_not_count() -> None:
    values = np.arange(1000.0)
    spoilt = np.concatenate((values, [np.nan, np.inf, -np.inf] * 100))
    assert percentile_stretch(spoilt) == percentile_stretch(values)


def test_a_mostly_constant_image_is_stretched_over_all_its_values() -> None:
    assert percentile_stretch(np.array([5.0] * 999 + [9.0])) == Stretch(5, 9)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_no_finite_value_gives_a_flat_range(values: list[float]) -> None:
    assert percentile_stretch(np.array(values, np.float64)) == Stretch(0, 0)
