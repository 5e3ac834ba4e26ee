"""The files of one crop: its image, read by the code that reads tiles for inference, and its labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from segment.errors import TrainError
from tiler.classes import NO_LABEL
from tiler.grid.tiles import plan_grid
from tiler.grid.window import Window
from tiler.source.image import open_image
from tiler.source.raster import open_raster, reading


def read_pixels(path: Path, input_px: int) -> NDArray[np.uint8]:
    """Return a square image as the network would see it in a survey, shape (3, input_px, input_px).

    Raises
    ------
    RasterReadError
        If the file cannot be decoded.
    TrainError
        If the crop is not square.
    """
    with open_image(path) as image:
        height, width = image.info.shape
        if height != width:
            raise TrainError(f"{path}: a square crop expected, {height} x {width} pixels found")
        grid = plan_grid(image.info.shape, scale=input_px / height, tile=(input_px, input_px), overlap=(0, 0))
        return image.model_rows(grid, 0, input_px)


def read_labels(path: Path, input_px: int, classes: int) -> NDArray[np.uint8]:
    """Return the nearest label of every model pixel, shape (input_px, input_px); 255 = no label.

    Raises
    ------
    RasterReadError
        If the mask cannot be decoded.
    TrainError
        If the mask is not 8-bit with one channel, or holds an id that is no class.
    """
    with _open_mask(path) as dataset, reading(path, "the labels"):
        labels: NDArray[np.uint8] = dataset.read(1, out_shape=(input_px, input_px), resampling=Resampling.nearest)
    return _refuse_foreign(path, labels, classes)


def read_window(image: Path, mask: Path, window: Window, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the pixels and labels of a window of a crop, shapes (3, height, width) and (height, width).

    Raises
    ------
    RasterReadError
        If a file cannot be decoded.
    TrainError
        See `read_labels`.
    """
    area = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
    with open_image(image) as opened:
        pixels = opened.pixels(window)
    with _open_mask(mask) as dataset, reading(mask, "the labels"):
        labels: NDArray[np.uint8] = dataset.read(1, window=area)
    return pixels, _refuse_foreign(mask, labels, classes)


@contextmanager
def _open_mask(path: Path) -> Iterator[Any]:
    with open_raster(path) as dataset:
        if dataset.count != 1 or dataset.dtypes[0] != "uint8":
            raise TrainError(f"{path}: one 8-bit channel expected, {dataset.count} of {dataset.dtypes[0]} found")
        if dataset.height != dataset.width:
            raise TrainError(f"{path}: a square mask expected, {dataset.height} x {dataset.width} pixels found")
        yield dataset


def _refuse_foreign(path: Path, labels: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    foreign = labels[(labels >= classes) & (labels != NO_LABEL)]
    if foreign.size:
        raise TrainError(f"{path}: class id {foreign[0]} found, expected 0 to {classes - 1}, or {NO_LABEL} = no label")
    return labels
