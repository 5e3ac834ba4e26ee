"""A window of an open image, read as if it were an image of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rasterio.windows import Window as RasterioWindow

from tiler.grid.window import Window
from tiler.source.raster import RasterInfo


def part_of(dataset: Any, info: RasterInfo, within: Window | None) -> tuple[Any, RasterInfo]:
    """Return what reads a window of an open image, and its header; the image itself where there is no window."""
    if within is None:
        return dataset, info
    return _Part(dataset, within), replace(info, height=within.height, width=within.width)


class _Part:
    """What `ImageReader` asks of an open dataset, answered for a window of it."""

    def __init__(self, dataset: Any, within: Window) -> None:
        self._dataset = dataset
        self._within = within

    def read(self, channels: list[int], *, window: RasterioWindow, **known: Any) -> Any:
        """Return samples of a window of the part."""
        return self._dataset.read(channels, window=self._moved(window), **known)

    def dataset_mask(self, *, window: RasterioWindow, **known: Any) -> Any:
        """Return the valid mask of a window of the part."""
        return self._dataset.dataset_mask(window=self._moved(window), **known)

    def colormap(self, channel: int) -> Any:
        """Return the palette."""
        return self._dataset.colormap(channel)

    def _moved(self, window: RasterioWindow) -> RasterioWindow:
        col_off, row_off = window.col_off + self._within.col_off, window.row_off + self._within.row_off
        return RasterioWindow(col_off, row_off, window.width, window.height)
