"""Names of masks and polygons: made from the name of an image, and read back.

The masks of `day1/IMG_7.JPG` are called `day1/IMG_7_label.png`, `IMG_7_color.png`, `IMG_7_confidence.png` and
`IMG_7_disagreement.png`, or `.tif` instead of `.png`. Its polygons are called `IMG_7_polygons.gpkg`, or as another
vector format ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from tiler.files.vector import Format as PolygonFormat
from tiler.files.vector import OneFile, suffix_of

Kind = Literal["label", "color", "confidence", "disagreement", "overlay"]
"""What a mask holds: class ids; the same as colours; how far the best class is ahead of the second; how far the tiles
that overlap disagree; colours over the photo."""
PICTURES: frozenset[Kind] = frozenset({"color", "overlay"})
"""Masks that are drawn from others when these are written."""
Product = Kind | Literal["polygons"]
"""What noseam makes of an image."""
PNG, TIFF, JPEG = ".png", ".tif", ".jpg"
"""Suffixes of the masks that noseam writes."""
LEGEND, CLASS_TABLE = "legend.png", "classes.csv"
"""Picture and table of the classes, in the folder of a run's masks."""
LEGEND_KEY = "NOSEAM_LEGEND"
"""Text of a legend that noseam drew: a digest of the table beside it. No walk takes such a file for an image."""
_Ending = Kind | Literal["mask"]
_LABEL_SUFFIXES = frozenset({PNG, TIFF, ".tiff"})
_STEM = re.compile(r"(.+)_(label|mask|color|confidence|disagreement|overlay)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class MaskName:
    """What the name of a file says of it."""

    image: str
    """Stem of the image's name; the file's own stem where `kind` is None."""
    kind: _Ending | None
    """What the mask holds. `mask` is what other programs call a mask of any kind. None: the name does not say."""


def mask_name(image: str, kind: Kind, suffix: str) -> str:
    """Return the name of a mask.

    Parameters
    ----------
    image : str
        Stem of the image's name.
    kind : str
        What the mask holds.
    suffix : str
        `PNG` or `TIFF`; `JPEG` for an overlay.
    """
    return f"{image}_{kind}{suffix}"


def polygons_name(image: str, format: PolygonFormat) -> str:
    """Return the name of the polygons of an image, given by the stem of its name."""
    return f"{image}_polygons{suffix_of(format)}"


def read_name(stem: str) -> MaskName:
    """Return what the stem of a file's name says; upper and lower case are the same."""
    found = _STEM.fullmatch(stem)
    return MaskName(found[1], cast(_Ending, found[2].lower())) if found else MaskName(stem, None)


def is_label_name(path: Path) -> bool:
    """Return whether a file is called as label masks are: `NAME_label` with the suffix of a PNG or TIFF."""
    return path.suffix.lower() in _LABEL_SUFFIXES and read_name(path.stem).kind == "label"


def read_product(name: str) -> tuple[str, Product] | None:
    """Return the stem of the image and the product that a file of this name is; None where noseam gives no such name.

    It is the inverse of `mask_name` and `polygons_name`. Upper and lower case differ.
    """
    path = Path(name)
    image, _, ending = path.stem.rpartition("_")
    kinds: dict[str, Product] = {kind: kind for kind in get_args(Kind)} if path.suffix in {PNG, TIFF} else {}
    kinds.pop("overlay", None)
    if path.suffix == JPEG:
        kinds["overlay"] = "overlay"
    if path.suffix in {suffix_of(format) for format in get_args(OneFile)}:
        kinds["polygons"] = "polygons"
    return (image, kinds[ending]) if image and ending in kinds else None


def product_kind(path: Path) -> Product | None:
    """Return which product of an image a file is, by its name; None where it is none."""
    found = read_product(path.name)
    return None if found is None else found[1]
