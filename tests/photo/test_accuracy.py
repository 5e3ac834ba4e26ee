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
