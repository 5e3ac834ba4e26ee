from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tiler.errors import PoseError
from tiler.photo.focal import Focal, focal_length
from tiler.photo.tags import PhotoTags

SENSOR: dict[str, Any] = {"Model": "FC6310", "FocalLength": 8.8}
EQUIVALENT: dict[str, Any] = {"FocalLengthIn35mmFilm": 24.0}
PLANE = {"FocalLength": 8.8, "FocalPlaneXResolution": 414.5, "FocalPlaneResolutionUnit": 4.0}
CALIBRATED = {"CalibratedFocalLength": "3666.666504", "CalibratedOpticalCenterX": "2736.0"}
DEWARP = {"DewarpData": "2018-09-04;3678.87,3672.81,10.1,27.29,-0.268,0.112,0.0008,-0.0003,-0.03"}


def tags(**values: str | float) -> PhotoTags:
    return PhotoTags(Path("a.jpg"), values)


@pytest.mark.parametrize(
    ("values", "px", "source"),
    [
        (EQUIVALENT, 24 * math.hypot(5472, 3648) / math.hypot(36, 24), "FocalLengthIn35mmFilm"),
        (EQUIVALENT | SENSOR, 8.8 / 13.2 * 5472, "sensor width"),
        (EQUIVALENT | SENSOR | PLANE, 8.8 * 414.5, "FocalPlaneXResolution"),
        (EQUIVALENT | SENSOR | PLANE | CALIBRATED, 3666.666504, "CalibratedFocalLength"),
        (EQUIVALENT | SENSOR | PLANE | CALIBRATED | DEWARP, 3678.87, "DewarpData"),
    ],
)
def test_the_best_that_is_known_counts(values: dict[str, str | float], px: float, source: str) -> None:
    found = focal_length(tags(**values), 3648, 5472)
    assert found is not None
    assert found.source == source
    assert found.px == pytest.approx(px)


def test_what_the_user_gives_counts_before_all() -> None:
    found = focal_length(tags(**SENSOR, **CALIBRATED, DigitalZoomRatio=2.0), 3648, 5472, 3500.0)
    assert found is not None
    assert found.px == 3500
    assert found.source == "given"


def test_the_ways_agree_on_real_cameras() -> None:
    """A Phantom 4 Pro by its calibration, sensor and 35 mm equivalent; a Phantom 3 by sensor and equivalent."""
    ways = [focal_length(tags(**values), 3648, 5472) for values in (EQUIVALENT, SENSOR, CALIBRATED, DEWARP)]
    assert [way.px for way in ways if way] == pytest.approx([3672] * 4, rel=0.01)
    model: dict[str, Any] = {"Model": "FC300S", "FocalLength": 3.61}
    for height in (2250, 3000):
        ways = [focal_length(tags(**values), height, 4000) for values in (model, {"FocalLengthIn35mmFilm": 20.0})]
        assert [way.px for way in ways if way] == pytest.approx([2325, 2325], rel=0.01)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("values", [EQUIVALENT, SENSOR, PLANE | {"ExifImageWidth": 5472}, CALIBRATED])
def test_a_photo_at_half_its_size_has_half_the_focal_length(values: dict[str, str | float], size: int) -> None:
    whole = focal_length(tags(**values), 3648, 5472)
    part = focal_length(tags(**values), 3648 // size, 5472 // size)
    assert whole is not None
    assert part is not None
    assert part.px == pytest.approx(whole.px / size)


def test_an_optical_centre_beside_the_middle_resizes_nothing() -> None:
    found = focal_length(tags(**CALIBRATED | {"CalibratedOpticalCenterX": "2701.5"}), 3648, 5472)
    assert found is not None
    assert found.px == 3666.666504


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"FocalLength": 8.8},
        SENSOR | {"DigitalZoomRatio": 2.0},
        SENSOR | {"FocalLength": math.nan},
        EQUIVALENT | {"FocalLengthIn35mmFilm": 0.0},
        EQUIVALENT | {"FocalLengthIn35mmFilm": -24.0},
        {"CalibratedFocalLength": "8.8", "DewarpData": "2018"},
        {"DewarpData": "2018-09-04;nan,nan"},
        PLANE | {"FocalPlaneResolutionUnit": 9.0},
        PLANE | {"FocalPlaneXResolution": 1e30},
    ],
)
def test_nothing_plausible_is_none(values: dict[str, str | float]) -> None:
    assert focal_length(tags(**values), 3648, 5472) is None


def test_an_implausible_value_leaves_the_next() -> None:
    found = focal_length(tags(CalibratedFocalLength="8.8", **SENSOR), 3648, 5472)
    assert found is not None
    assert found.source == "sensor width"


@pytest.mark.parametrize(
    ("values", "height", "error"),
    [
        (EQUIVALENT, 3648, 0.5 / 24),
        (EQUIVALENT, 3078, 0.5 / 24 + 0.04),
        (SENSOR, 3648, 0.01),
        (PLANE, 3648, 0.01),
        (CALIBRATED, 3648, 0.005),
        (DEWARP, 3648, 0.005),
    ],
)
def test_how_far_off_each_way_may_be(values: dict[str, str | float], height: int, error: float) -> None:
    found = focal_length(tags(**values), height, 5472)
    assert found is not None
    assert found.relative_error == pytest.approx(error)


def test_what_the_user_gives_may_be_half_a_percent_off() -> None:
    assert focal_length(tags(), 3648, 5472, 3500.0) == Focal(3500.0, "given", 0.005)


@pytest.mark.parametrize(("centre", "factor"), [(2608.0, 1.0), (2603.0, 1.0511), (2879.5, 1.0), (2881.0, 0.9497)])
def test_an_optical_centre_5_percent_off_the_middle_tells_another_size(centre: float, factor: float) -> None:
    found = focal_length(tags(**CALIBRATED | {"CalibratedOpticalCenterX": str(centre)}), 3648, 5472)
    assert found is not None
    assert found.px == pytest.approx(3666.666504 * factor, rel=1e-4)


@pytest.mark.parametrize(("height", "diagonal_of"), [(3420, 3420), (3419, 4104)])
def test_an_image_wider_than_8_to_5_is_a_crop(height: int, diagonal_of: int) -> None:
    found = focal_length(tags(**EQUIVALENT), height, 5472)
    assert found is not None
    assert found.px == pytest.approx(24 * math.hypot(5472, diagonal_of) / math.hypot(36, 24))


@pytest.mark.parametrize("diagonals", [0.25, 100.0])
def test_a_focal_length_of_a_quarter_to_100_diagonals_can_be(diagonals: float) -> None:
    most = diagonals * math.hypot(3648, 5472)
    inside, outside = (most * (1.001 if (diagonals < 1) == kept else 0.999) for kept in (True, False))
    found = focal_length(tags(CalibratedFocalLength=inside), 3648, 5472)
    assert found is not None
    assert found.px == inside
    assert focal_length(tags(CalibratedFocalLength=outside), 3648, 5472) is None
    with pytest.raises(PoseError, match="expected 1644 to 657653"):
        focal_length(tags(), 3648, 5472, outside)
