"""Small pictures that fill row by row, against the same made of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.make import noise
from tiler.previews.canvas import LONGEST_PX, MaskCanvas, PhotoCanvas, preview_shape, shown_grid

SHAPES = [(40, 60), (1500, 700), (1501, 90), (64, 3201), (3300, 70)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [1, 7, 512])
def test_a_photo_is_the_same_however_its_rows_come(shape: tuple[int, int], step: int) -> None:
    pixels = noise(*shape, 3, seed=1)
    canvas = PhotoCanvas(shape)
    for row in range(0, shape[0], step):
        canvas.add(row, np.moveaxis(pixels[row : row + step], -1, 0))
    whole = Image.fromarray(pixels).reduce(max(max(shape) // LONGEST_PX, 1))
    expected = whole.resize(preview_shape(shape)[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(canvas.pixels, np.asarray(expected))


def test_rows_that_are_missing_are_black_and_the_rest_is_right() -> None:
    shape = (3100, 50)
    pixels = np.full((3, *shape), 200, np.uint8)
    canvas = PhotoCanvas(shape)
    canvas.add(0, pixels[:, :1000])
    canvas.add(2001, pixels[:, 2001:])
    found = canvas.pixels[:, 10, 0]
    assert len(found) == LONGEST_PX
    scale = LONGEST_PX / 3100
    assert (found[: int(1000 * scale) - 2] == 200).all()
    assert (found[int(1000 * scale) + 2 : int(2001 * scale) - 2] == 0).all()
    assert (found[int(2001 * scale) + 4 :] == 200).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [1, 7, 512])
def test_a_mask_is_sampled_in_the_middle_of_each_piece(shape: tuple[int, int], step: int) -> None:
    values = noise(*shape, 1, seed=2)[..., 0]
    small = preview_shape(shape)
    canvas = MaskCanvas(shape, small)
    for row in range(0, shape[0], step):
        canvas.add(values[row : row + step])
    rows, cols = (
        [int((2 * at + 1) * length / (2 * size)) for at in range(size)]
        for length, size in zip(shape, small, strict=True)
    )
    np.testing.assert_array_equal(canvas.pixels, values[rows][:, cols])


def test_a_preview_is_of_the_model_grid_unless_that_is_coarse() -> None:
    assert preview_shape((4000, 6000)) == (1000, 1500)
    assert preview_shape((100, 120)) == (100, 120)
    assert preview_shape((2, 90_000)) == (1, 1500)
    assert shown_grid((1024, 1536), (4000, 6000)) == (1024, 1536)
    assert shown_grid((100, 150), (4000, 6000)) == (1000, 1500)
    assert shown_grid((300, 400), (300, 400)) == (300, 400)
