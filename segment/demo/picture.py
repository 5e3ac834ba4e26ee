"""Draw what came of the demo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tiler.classes import DRONE_CLASSES
from tiler.grid.tiles import plan_grid
from tiler.source.image import open_image

_PICTURE_PX = 640
_GAP_PX = 8


def draw_comparison(image: Path, mask: Path, picture: Path) -> None:
    """Write a PNG with a photo, its mask in the drone classes' colours, and both on top of each other.

    Parameters
    ----------
    image : Path
        The photo.
    mask : Path
        Its label mask.
    picture : Path
        Where the PNG goes.
    """
    with open_image(image) as reader:
        scale = _PICTURE_PX / reader.info.width
        grid = plan_grid(reader.info.shape, scale=scale, tile=(64, 64), overlap=(0, 0))
        photo = Image.fromarray(reader.model_rows(grid, 0, grid.model_shape[0]).transpose(1, 2, 0))
    with Image.open(mask) as labels:
        ids = np.asarray(labels.resize(photo.size, Image.Resampling.NEAREST))
    colours = Image.fromarray(DRONE_CLASSES.palette()[ids, :3])
    width, height = photo.size
    board = Image.new("RGB", (3 * width + 2 * _GAP_PX, height), "white")
    for place, part in enumerate((photo, colours, Image.blend(photo, colours, 0.5))):
        board.paste(part, (place * (width + _GAP_PX), 0))
    board.save(picture)
