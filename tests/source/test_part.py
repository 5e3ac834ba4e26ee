"""A part of an image reads as the same pixels of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.make import noise, write_tif
from tiler.grid.tiles import plan_grid
from tiler.grid.window import Window
from tiler.source.image import open_image

WITHIN = Window(100, 40, 64, 96)


@pytest.mark.parametrize("kind", ["rgb", "alpha", "palette", "nodata"])
def test_a_part_holds_the_pixels_and_the_valid_mask_of_its_window(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    if kind == "palette":
        picture = Image.fromarray(noise(300, 200)).convert("P")
        picture.save(tmp_path / "a.png")
        path = tmp_path / "a.png"
    elif kind == "alpha":
        write_tif(path, noise(4, 300, 200) // 128 * 255, photometric="rgb", alpha="yes")
    else:
        write_tif(path, noise(3, 300, 200, high=3), photometric="rgb", nodata=0 if kind == "nodata" else None)
    with open_image(path) as whole, open_image(path, within=WITHIN) as part:
        assert part.info.shape == (64, 96)
        inner = Window(3, 5, 50, 60)
        outer = Window(103, 45, 50, 60)
        assert np.array_equal(part.pixels(inner), whole.pixels(outer))
        assert np.array_equal(part.valid(inner), whole.valid(outer))
        grid = plan_grid((64, 96), scale=1, tile=(64, 64), overlap=(0, 0))
        assert np.array_equal(part.model_rows(grid, 10, 20), whole.pixels(Window(110, 40, 10, 96)))


def test_a_part_is_stretched_by_its_own_values(tmp_path: Path) -> None:
    pixels = np.zeros((3, 300, 200), np.uint16)
    pixels[:, 100:164, 40:136] = np.linspace(1000, 3000, 96)
    write_tif(tmp_path / "a.tif", pixels, photometric="rgb")
    with open_image(tmp_path / "a.tif", within=WITHIN) as part:
        assert part.stretch is not None
        assert (part.stretch.low, part.stretch.high) == pytest.approx((1000, 3000), rel=0.05)
