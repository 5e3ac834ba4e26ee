"""The whole job on a made-up survey: make it, and draw what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from segment.errors import DemoError
from tiler.classes import DRONE_CLASSES
from tiler.grid import plan_grid
from tiler.reader import open_image
from tiler.scenes.survey import CLASSES, IMAGES, TRUTH, SurveyRequest, make_survey

DEMO_SURVEY = SurveyRequest(photos=3, orthomosaics=1, seed=2026)
"""What the demo is about; the bundled model never saw a scene of this seed."""
_MARKER = ".noseam-demo"
_PICTURE_PX = 640
_GAP_PX = 8


def make_demo_survey(folder: Path, request: SurveyRequest, *, advance: Callable[[int, int], None]) -> bool:
    """Write the demo's survey; return whether that was needed.

    Parameters
    ----------
    folder : Path
        Where `images/`, `truth/` and `classes.csv` go; made if it is not there.
    request : SurveyRequest
        What the survey holds.
    advance : callable
        Told (images written, images in all).

    Raises
    ------
    DemoError
        If the folder holds files that no earlier demo made.
    """
    marker = folder / _MARKER
    complete = marker.exists() and marker.read_text() == repr(request)
    if complete and all((folder / part).exists() for part in (IMAGES, TRUTH, CLASSES)):
        return False
    if folder.exists() and not marker.exists() and any(folder.iterdir()):
        raise DemoError(f"{folder} exists and is not of an earlier demo; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text("unfinished")
    make_survey(folder, request, advance=advance)
    marker.write_text(repr(request))
    return True


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
        grid = plan_grid(reader.info.shape, scale=scale, tile_px=64, overlap_px=0)
        photo = Image.fromarray(reader.model_rows(grid, 0, grid.model_shape[0]).transpose(1, 2, 0))
    with Image.open(mask) as labels:
        ids = np.asarray(labels.resize(photo.size, Image.Resampling.NEAREST))
    colours = Image.fromarray(DRONE_CLASSES.palette()[ids, :3])
    width, height = photo.size
    board = Image.new("RGB", (3 * width + 2 * _GAP_PX, height), "white")
    for place, part in enumerate((photo, colours, Image.blend(photo, colours, 0.5))):
        board.paste(part, (place * (width + _GAP_PX), 0))
    board.save(picture)
