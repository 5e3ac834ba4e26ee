from __future__ import annotations

import math
from pathlib import Path

import pytest

from tiler.photo.accuracy import estimate_error_m, position_error_m
from tiler.photo.tags import PhotoTags


def test_a_survey_at_a_hundred_metres_is_good_to_five_to_ten_at_the_corners() -> None:
    budget = {"position_m": 3.0, "height_m": 100.0, "radius_m": 97.0, "focal_error": 0.01, "miss_m": 0.0}
    error = estimate_error_m(height_error=0.05, **budget)
    assert error == pytest.approx(math.hypot(3, 1.69, 3.39, 4.85, 0.97), abs=0.02)
    assert 5 < error < 10
    assert estimate_error_m(height_error=0.02, **budget) < error


BUDGET = {
    "position_m": 3.0, "height_m": 100.0, "radius_m": 100.0, "height_error": 0.05, "focal_error": 0.01, "miss_m": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "terms"),
    [
        ({}, (3, 1.7453, 3.4907, 5, 1)),
        ({"position_m": 0.03}, (0.03, 1.7453, 3.4907, 5, 1)),
        ({"height_m": 200.0}, (3, 1.7453, 4.3633, 5, 1)),
        ({"radius_m": 50.0}, (3, 0.8727, 2.1817, 2.5, 0.5)),
        ({"height_error": 0.02}, (3, 1.7453, 3.4907, 2, 1)),
        ({"focal_error": 0.045}, (3, 1.7453, 3.4907, 5, 4.5)),
        ({"miss_m": 8.0}, (3, 1.7453, 3.4907, 5, 1, 8)),
    ],
)
def test_the_error_is_the_root_of_the_sum_of_squares_of_every_term(
    change: dict[str, float], terms: tuple[float, ...]
) -> None:
    assert estimate_error_m(**(BUDGET | change)) == pytest.approx(math.hypot(*terms), abs=0.001)


@pytest.mark.parametrize(
    ("values", "metres"),
    [
        ({}, 3.0),
        ({"RtkFlag": "0", "RtkStdLat": "0.01", "RtkStdLon": "0.01"}, 3.0),
        ({"RtkFlag": "16"}, 3.0),
        ({"RtkFlag": "50", "RtkStdLat": "0.03", "RtkStdLon": "0.04"}, 0.05),
        ({"RtkFlag": "50", "RtkStdLat": "0.00", "RtkStdLon": "nan"}, 0.03),
        ({"RtkFlag": "34", "RtkStdLat": "0.1", "RtkStdLon": "0.1"}, 0.5),
        ({"RtkFlag": "34", "RtkStdLat": "3", "RtkStdLon": "4"}, 5.0),
    ],
)
def test_the_position_is_as_good_as_its_receiver_says(values: dict[str, str], metres: float) -> None:
    assert position_error_m(PhotoTags(Path("a.jpg"), values)) == pytest.approx(metres)
