"""Names of the previews of an image, and of the folder of the report that shows them.

The previews of `day1/IMG_7.JPG` lie in the output folder: `report/images/day1/IMG_7.JPG_photo.jpg`,
`IMG_7.JPG_thumb.jpg` and `IMG_7.JPG_layers.js`. The suffix tells `IMG_7.JPG` and `IMG_7.tif` apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPORT = "report"
"""Name of the folder of a report, in the output folder."""
_IMAGES = "images"


@dataclass(frozen=True, slots=True)
class PreviewFiles:
    """Where the previews of one image lie."""

    photo: Path
    """The photo, a JPEG."""
    thumb: Path
    """Photo and mask on top of each other, a small JPEG."""
    layers: Path
    """The masks, as a script that hands them to the page; pages from a disk may not read pictures, but run scripts."""


def images_folder(out: Path) -> Path:
    """Return the folder of all previews of an output folder."""
    return out / REPORT / _IMAGES


def preview_files(out: Path, image: Path) -> PreviewFiles:
    """Return where the previews of an image lie.

    Parameters
    ----------
    out : Path
        The output folder.
    image : Path
        Place of the image below its source, as its masks tell it.
    """
    folder = images_folder(out) / image.parent
    photo, thumb, layers = (folder / f"{image.name}_{what}" for what in ("photo.jpg", "thumb.jpg", "layers.js"))
    return PreviewFiles(photo, thumb, layers)
