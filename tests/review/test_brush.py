"""Label Studio's brush masks."""

from __future__ import annotations

import numpy as np
import pytest

from segment.review.brush import decode, encode
from tiler.errors import LabelError

# What label_studio_sdk.converter.brush.mask2rle of version 2.0 makes of [[255, 0, 0], [255, 255, 255]], and its head.
OFFICIAL = [0, 0, 0, 24, 57, 27, 252, 127, 243, 128, 91, 255]


def test_a_mask_is_what_label_studios_own_converter_makes() -> None:
    assert encode(np.array([[1, 0, 0], [1, 1, 1]], bool)) == OFFICIAL
    assert decode("x", [*OFFICIAL, 0], (2, 3)).tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (300, 400)])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
def test_masks_come_back_the_same(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(0).random(shape) < share
    assert (decode("x", encode(mask), shape) == mask).all()


def test_values_that_stand_each_for_itself_are_read_too() -> None:
    bits = f"{4:032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    bits += "0" + "00" + f"{3:03b}" + "".join(f"{value:08b}" for value in (1, 2, 3, 200))
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert decode("x", data, (1, 1)).tolist() == [[True]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "the end is missing"),
        (OFFICIAL[:9], "the end is missing"),
        ([0, 0, 1, *OFFICIAL[3:]], "280 values of 8 bits found"),
        ([255] * 400, "4294967295 values"),
        (["a"], "no run lengths"),
        (None, "no run lengths"),
        ([300], "no run lengths"),
    ],
)
def test_what_is_no_mask_is_refused(data: list[int], reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        decode("here", data, (2, 3))
