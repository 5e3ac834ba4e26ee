"""A small made-up survey and an untrained model, to see the whole job run without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.errors import DemoError
from segment.untrained import write_untrained
from tiler.classes import ClassTable, distinct_colours
from tiler.tiling import Tiling

_NAMES = ("ground", "grass", "road", "roof", "water", "tree")
_SHAPE = (1500, 2250)


def make_demo(folder: Path) -> tuple[Path, Path]:
    """Write two photos and an untrained checkpoint.

    Returns
    -------
    photos, model : Path
        Folders below `folder`.

    Raises
    ------
    DemoError
        If either folder is there already and an earlier demo did not make it.
    """
    photos, model = folder / "photos", folder / "untrained-model"
    marker = folder / ".noseam-demo"
    for taken in (photos, model):
        if taken.exists() and not marker.exists():
            raise DemoError(f"{taken} exists and is not of an earlier demo; choose another --out")
    photos.mkdir(parents=True, exist_ok=True)
    marker.touch()
    for index in range(2):
        Image.fromarray(_fields(seed=index)).save(photos / f"IMG_{index + 1}.jpg", quality=92)
    classes = ClassTable(_NAMES, distinct_colours(len(_NAMES)))
    write_untrained(model, classes, Tiling(window_px=1000, input_px=512), size="b0")
    return photos, model


def _fields(seed: int) -> NDArray[np.uint8]:
    """Return a picture like fields from above, (height, width, 3): the nearest of random sites gives the colour."""
    height, width = _SHAPE
    generator = np.random.default_rng(seed)
    sites = generator.uniform((0, 0), _SHAPE, (40, 2))
    colours = generator.uniform(60, 200, (len(sites), 3))
    rows, cols = np.arange(height)[:, np.newaxis], np.arange(width)
    distances = np.stack([(rows - row) ** 2 + (cols - col) ** 2 for row, col in sites])
    noise = generator.normal(0, 12, (height, width, 1))
    picture: NDArray[np.uint8] = np.clip(colours[distances.argmin(axis=0)] + noise, 0, 255).astype(np.uint8)
    return picture
