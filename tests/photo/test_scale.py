"""The ground sample distance of a photo is that of its projection, and none is made up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.photos import CAMERA, SHAPE, write_photo
from tiler.photo.geometry import Attitude, View
from tiler.photo.options import PoseOptions
from tiler.photo.pose import place_photo
from tiler.photo.scale import photo_scale

FOCAL_PX = 40.0


def found(path: Path, **known: float) -> float | None:
    scale = photo_scale(path, *SHAPE, PoseOptions(**known))  # type: ignore[arg-type]
    return None if scale is None else scale.gsd_m


def test_straight_down_it_is_height_by_focal_length(tmp_path: Path) -> None:
    scale = photo_scale(write_photo(tmp_path / "a.jpg", place=None), *SHAPE)
    assert scale is not None
    assert scale.gsd_m == pytest.approx(100 / FOCAL_PX)
    assert str(scale) == "height by RelativeAltitude, focal length by sensor width"


def test_it_is_that_of_the_place_where_there_is_one(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg")
    placed = place_photo(path, *SHAPE, PoseOptions()).georeference.gsd_m(*SHAPE)
    assert found(path) == pytest.approx(placed, rel=1e-3)


@pytest.mark.parametrize("tilt", [0.0, 5.0, 20.0, 29.0])
def test_tilted_it_is_the_root_of_the_ground_of_the_middle_pixel(tmp_path: Path, tilt: float) -> None:
    """By the corners of that pixel, projected onto flat ground."""
    view = View(*SHAPE, Attitude(0.0, -90 + tilt, 0.0), FOCAL_PX, 100.0)
    rows, cols = SHAPE[0] / 2 + np.array([-0.01, 0.01, -0.01]), SHAPE[1] / 2 + np.array([-0.01, -0.01, 0.01])
    east, north = view.ground(cols, rows)
    down, across = (np.array([east[k] - east[0], north[k] - north[0]]) for k in (1, 2))
    expected = math.sqrt(abs(down[0] * across[1] - down[1] * across[0])) / 0.02
    path = write_photo(tmp_path / "a.jpg", pose={"GimbalPitchDegree": f"{-90 + tilt}"})
    assert found(path) == pytest.approx(expected, rel=1e-3)


def test_what_the_user_knows_counts(tmp_path: Path) -> None:
    assert found(write_photo(tmp_path / "a.jpg"), flying_height_m=50, focal_px=25) == pytest.approx(2)


@pytest.mark.parametrize(
    "changed",
    [
        {"pose": {"RelativeAltitude": None}}, {"pose": {"RelativeAltitude": "-3"}}, {"pose": {"RelativeAltitude": "0"}},
        {"pose": {"GimbalPitchDegree": "-30"}}, {"camera": {}}, {"xmp": b"<broken"},
        {"camera": {**CAMERA, 40962: 40, 40963: 60}},
    ],
)  # fmt: skip
def test_where_a_photo_does_not_say_it_there_is_none(tmp_path: Path, changed: dict[str, object]) -> None:
    assert found(write_photo(tmp_path / "a.jpg", **changed)) is None  # type: ignore[arg-type]


def test_a_file_that_is_no_photo_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"none")
    assert found(tmp_path / "a.jpg") is None
    assert found(tmp_path / "b.jpg") is None
