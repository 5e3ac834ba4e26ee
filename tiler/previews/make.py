"""Make the previews of an image that stands on the disk, from the image and its masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiler.classes import ClassTable
from tiler.errors import LabelError
from tiler.files.previews import PreviewFiles
from tiler.grid.tiles import Grid
from tiler.grid.window import Window
from tiler.masks.labels import LabelReader, open_labels
from tiler.previews.canvas import MaskCanvas, PhotoCanvas, preview_shape, shown_grid
from tiler.previews.write import Preview, write_previews
from tiler.source.image import ImageReader, open_image
from tiler.source.options import ReadingOptions
from tiler.source.raster import gdal_environment

_BAND_PIXELS, _BAND_ROWS = 2**24, 512


def make_previews(
    image: Path,
    masks: Mapping[str, Path],
    files: PreviewFiles,
    classes: ClassTable,
    of: str,
    model_shape: tuple[int, int],
    reading: ReadingOptions,
) -> None:
    """Write the previews of an image: the very bytes that a run writes which makes them beside the masks.

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
    model_shape : tuple of int
        (height, width) of the model grid.
    reading : ReadingOptions
        How the image was read.

    Raises
    ------
    TilerError
        If the image or a mask cannot be read, or they differ in size.
    OSError
        If a preview cannot be written.
    """
    opened = open_image(image, channels=reading.channels, value_range=reading.value_range)
    with gdal_environment(), opened as reader:
        model_shape = shown_grid(model_shape, reader.info.shape)
        photo = _photo(reader, model_shape)
        planes = {kind: _sampled(path, reader.info.shape, preview_shape(model_shape)) for kind, path in masks.items()}
    labels = planes.pop("label")
    write_previews(files, Preview(photo, labels, planes), classes, of)


def _photo(reader: ImageReader, model_shape: tuple[int, int]) -> NDArray[np.uint8]:
    grid = Grid(reader.info.shape, model_shape, model_shape, (0,), (0,))
    canvas = PhotoCanvas(model_shape)
    for row in range(0, model_shape[0], _BAND_ROWS):
        canvas.add(row, reader.model_rows(grid, row, min(row + _BAND_ROWS, model_shape[0])))
    return canvas.pixels


def _sampled(path: Path, shape: tuple[int, int], small: tuple[int, int]) -> NDArray[np.uint8]:
    with open_labels(path, None) as mask:
        if mask.shape != shape:
            expected, found = (f"{width} x {height}" for height, width in (shape, mask.shape))
            raise LabelError(f"{path}: {expected} pixels expected, as its image has, {found} found")
        canvas = MaskCanvas(shape, small)
        for band in _bands(mask):
            canvas.add(mask.read(band))
    return canvas.pixels


def _bands(mask: LabelReader) -> list[Window]:
    height, width = mask.shape
    step = max(_BAND_PIXELS // width, 1)
    return [Window(row, 0, min(step, height - row), width) for row in range(0, height, step)]
