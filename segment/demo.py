"""The whole job on a made-up survey: make it, and draw what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segment.errors import DemoError
from tiler.classes import DRONE_CLASSES
from tiler.grid.tiles import plan_grid
from tiler.scenes.survey import SurveyRequest
from tiler.source.image import open_image

DEMO_SURVEY = SurveyRequest(photos=3, orthomosaics=1, seed=2026)
"""What the demo is about; the bundled model never saw a scene of this seed."""
_MARKER = ".noseam-demo"
_PICTURE_PX = 640
_GAP_PX = 8


@dataclass(frozen=True, slots=True)
class DemoFolders:
    """Where the demo puts things."""

    out: Path
    """The folder that the user gave."""

    @property
    def survey(self) -> Path:
        """The made-up survey."""
        return self.out / "survey"

    @property
    def masks(self) -> Path:
        """What the bundled model says of it."""
        return self.out / "masks"

    @property
    def evaluation(self) -> Path:
        """How right it is."""
        return self.out / "evaluation"

    @property
    def picture(self) -> Path:
        """Photo, mask and both on top of each other."""
        return self.out / "comparison.png"


def claim(folders: DemoFolders) -> None:
    """Make the demo's folder, or raise.

    Raises
    ------
    DemoError
        If it holds files that no earlier demo made.
    """
    marker = folders.out / _MARKER
    if folders.out.exists() and not marker.exists() and any(folders.out.iterdir()):
        raise DemoError(f"{folders.out} holds files that are not of an earlier demo; choose another --out")
    folders.out.mkdir(parents=True, exist_ok=True)
    marker.touch()


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
