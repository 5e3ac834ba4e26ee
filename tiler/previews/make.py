"""Make the previews of an image that stands on the disk, from the image and its masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiler.classes import ClassTable
from tiler.errors import LabelError
from tiler.files.previews import PreviewFiles
from tiler.grid.tiles import plan_grid
from tiler.grid.window import Window
from tiler.masks.labels import LabelReader, open_labels
from tiler.previews.canvas import MaskCanvas, preview_shape
from tiler.previews.write import Preview, write_previews
from tiler.source.image import open_image

_BAND_PIXELS = 2**24


def make_previews(
    image: Path,
    masks: Mapping[str, Path],
    files: PreviewFiles,
    classes: ClassTable,
    of: str,
    *,
    channels: tuple[int, ...] = (),
    value_range: tuple[float, float] | None = None,
) -> None:
    """Write the previews of an image.

    GDAL reads the image from overviews or JPEG's own reduced sizes where they serve. Masks are read whole, some rows
    at a time.

    Parameters
    ----------
    image : Path
        The image.
    masks : mapping of str to Path
        Its masks by kind; `label` is needed.
    files : PreviewFiles
        Where the previews go.
    classes : ClassTable
        Colours of the classes.
    of : str
        Fingerprint of the label mask.
    channels, value_range
        See `open_image`.

    Raises
    ------
    TilerError
        If the image or a mask cannot be read, or they differ in size.
    OSError
        If a preview cannot be written.
    """
    canvases = {kind: _sampled(path) for kind, path in masks.items()}
    labels = canvases.pop("label")
    with open_image(image, channels=channels, value_range=value_range) as reader:
        shape = reader.info.shape
        if (preview := preview_shape(shape)) != labels.shape:
            raise LabelError(f"{masks['label']}: the size of {image} expected, which is {shape[1]} x {shape[0]} pixels")
        grid = plan_grid(shape, scale=preview[1] / shape[1], tile=(64, 64), overlap=(0, 0))
        rows = reader.model_rows(grid, 0, grid.model_shape[0])
    photo = _fitted(np.moveaxis(rows, 0, -1), preview)
    write_previews(files, Preview(photo, labels, canvases), classes, of)


def _fitted(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return pixels of shape (height, width, 3) in a size that differs by rounding alone."""
    rows, cols = (np.minimum(np.arange(size), length - 1) for size, length in zip(shape, pixels.shape, strict=False))
    return np.ascontiguousarray(pixels[np.ix_(rows, cols)])


def _sampled(path: Path) -> NDArray[np.uint8]:
    with open_labels(path, None) as mask:
        canvas = MaskCanvas(mask.shape, preview_shape(mask.shape))
        for band in _bands(mask):
            canvas.add(mask.read(band))
    return canvas.pixels


def _bands(mask: LabelReader) -> list[Window]:
    height, width = mask.shape
    step = max(_BAND_PIXELS // width, 1)
    return [Window(row, 0, min(step, height - row), width) for row in range(0, height, step)]
