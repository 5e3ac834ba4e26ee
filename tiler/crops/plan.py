"""Plan training crops: which windows an image is cut into."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tiler.errors import CropRequestError
from tiler.grid.tiles import axis_positions, overlap_pixels
from tiler.grid.window import Window
from tiler.option import check, option
from tiler.source.options import ReadingOptions

CropFormat = Literal["png", "jpeg"]


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How a survey becomes training crops."""

    window_px: int = option(2000, "A crop has this side, in source pixels.", unit="PX", least=1)
    overlap: float = option(
        0.0, "Neighbouring crops share at least this fraction of the window.", unit="FRACTION", least=0, below=1
    )
    split: float = option(
        0.875,
        "This share of the images trains, or of the crops where --split-by keeps images together; the others validate. "
        "The crops of one image stay together.",
        unit="FRACTION",
        least=0,
        most=1,
    )
    seed: int = option(0, "Another seed draws other images to train.", unit="N", least=0)
    min_labelled: float = option(
        0.0,
        "Crops are left out of which a smaller fraction carries a label; padding does not count.",
        unit="FRACTION",
        least=0,
        most=1,
    )
    skip_empty: bool = option(False, "Crops without any label are left out.")
    balance: bool = option(False, "Training shows crops with rare classes more often.")
    format: CropFormat = option(
        "png",
        "Crops are stored in this format: png is lossless, jpeg has quality 95. GeoTIFFs stay GeoTIFFs, compressed "
        "likewise.",
    )
    scale_masks: bool = option(
        False,
        "Masks of another size than their image are sampled at its size, by the nearest pixel, where width and height "
        "have one ratio.",
    )
    reading: ReadingOptions = ReadingOptions()
    """How images become 8-bit colours."""

    def __post_init__(self) -> None:
        check(self, CropRequestError)
        if self.overlap_px >= self.window_px:
            raise CropRequestError(
                f"the overlap must leave a stride of 1 px, got {self.overlap} of {self.window_px} px"
            )

    @property
    def overlap_px(self) -> int:
        """The overlap in source pixels, rounded up."""
        return overlap_pixels(self.overlap, self.window_px)


def plan_crops(shape: tuple[int, int], request: CropOptions) -> tuple[Window, ...]:
    """Return the windows that an image is cut into, in row-major order.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the image, source pixels.
    request : CropOptions
        The window and the overlap.

    Returns
    -------
    tuple of Window
        Windows that cover the image and lie within it. A window has `window_px` on a side, or the length of the
        image where that is smaller.
    """
    row_offs, col_offs = (axis_positions(length, request.window_px, request.overlap_px) for length in shape)
    height, width = (min(length, request.window_px) for length in shape)
    return tuple(Window(row_off, col_off, height, width) for row_off in row_offs for col_off in col_offs)


def window_that_fits(shape: tuple[int, int]) -> int:
    """Return a window that cuts an image of (height, width) without padding.

    It is the side of squares that fill the image, unless these are less than a quarter of its shorter side; else that
    side.
    """
    square, shorter = math.gcd(*shape), min(shape)
    return square if square >= shorter / 4 else shorter
