"""Plan training crops: which windows an image is cut into, and which sources train."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from tiler.errors import CropRequestError
from tiler.grid.tiles import axis_positions, overlap_pixels
from tiler.grid.window import Window

CropFormat = Literal["png", "jpeg"]
Split = Literal["train", "val"]


@dataclass(frozen=True, slots=True)
class CropRequest:
    """How a survey becomes training crops."""

    window_px: int = 2000
    """Side of a crop, source pixels."""
    overlap: float = 0.0
    """Least total overlap of neighbouring crops, as a fraction of the window."""
    split: float = 0.875
    """Fraction of the sources that train; the others validate."""
    seed: int = 0
    """Which sources do."""
    min_labelled: float = 0.0
    """Crops are left out where a smaller fraction of their pixels, padding aside, carries a label."""
    skip_empty: bool = False
    """Whether to leave out crops without any labelled pixel."""
    balance: bool = False
    """Whether training crops with rare classes are to be shown more often."""
    channels: tuple[int, ...] = ()
    """Channels of the images to read; empty: by their colour interpretation."""
    value_range: tuple[float, float] | None = None
    """Values that become 0 and 255 in images that are not 8-bit; None: each image's own percentiles."""
    format: CropFormat = "png"
    """`png` is lossless; `jpeg` is of quality 95 without chroma subsampling. GeoTIFFs are compressed likewise."""

    def __post_init__(self) -> None:
        if self.window_px < 1:
            raise CropRequestError(f"the window must be at least 1 px, got {self.window_px}")
        if not 0 <= self.overlap < 1 or self.overlap_px >= self.window_px:
            raise CropRequestError(
                f"the overlap must be at least 0 and leave a stride of 1 px, got {self.overlap} of {self.window_px} px"
            )
        for name, fraction in (("split", self.split), ("least labelled fraction", self.min_labelled)):
            if not 0 <= fraction <= 1:
                raise CropRequestError(f"the {name} must be 0 to 1, got {fraction}")
        if self.format not in get_args(CropFormat):
            raise CropRequestError(f"the format must be one of {', '.join(get_args(CropFormat))}, got {self.format!r}")

    @property
    def overlap_px(self) -> int:
        """The overlap in source pixels, rounded up."""
        return overlap_pixels(self.overlap, self.window_px)


def plan_crops(shape: tuple[int, int], request: CropRequest) -> tuple[Window, ...]:
    """Return the windows that an image is cut into, in row-major order.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the image, source pixels.
    request : CropRequest
        The window and the overlap.

    Returns
    -------
    tuple of Window
        Windows that cover the image and lie within it, `window_px` on a side; where the image is
        smaller than that, as long as the image.
    """
    row_offs, col_offs = (axis_positions(length, request.window_px, request.overlap_px) for length in shape)
    height, width = (min(length, request.window_px) for length in shape)
    return tuple(Window(row_off, col_off, height, width) for row_off in row_offs for col_off in col_offs)


def split_sources(names: Iterable[str], *, split: float, seed: int) -> dict[str, Split]:
    """Return the side of each source, so that no source's crops stand on both.

    Parameters
    ----------
    names : iterable of str
        The sources; their order does not matter.
    split : float
        Fraction that trains. Of two sources or more each side gets one at least, unless this is 0 or 1.
    seed : int
        Which sources train.
    """
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    train = round(len(shuffled) * split)
    if len(shuffled) > 1 and 0 < split < 1:
        train = min(max(train, 1), len(shuffled) - 1)
    return {name: "train" if place < train else "val" for place, name in enumerate(shuffled)}
