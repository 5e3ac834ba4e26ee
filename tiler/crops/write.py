"""Write one crop: its image and its mask, as pictures or as GeoTIFFs that say where they lie."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.io import MemoryFile
from rasterio.rpc import RPC

from tiler.classes import NO_LABEL, ClassTable, Colour
from tiler.crops.record import CropRow
from tiler.errors import RasterWriteError
from tiler.files.atomic import write_whole
from tiler.grid.window import Window
from tiler.source.georef import Georeference

_JPEG_QUALITY = 95
_PNG_LEVEL = 3
"""Photos become smaller than by zlib's usual 6, three times as fast."""
_BLOCK_PX = 512
_BLANKS: tuple[Colour, ...] = tuple((255 - step, 255, 255) for step in range(256))
NO_TAGS: Mapping[str, str] = MappingProxyType({})


def write_crop(
    out: Path,
    row: CropRow,
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    georeference: Georeference,
    side: int,
    lossy: bool = False,
    classes: ClassTable | None = None,
) -> None:
    """Write the image and the mask of a crop, each whole or not at all.

    Parameters
    ----------
    out : Path
        Folder of the crops.
    row : CropRow
        Names of the files, and the window of the image.
    pixels, mask : ndarray of uint8, shape (3, height, width) and (height, width)
        What the window holds.
    georeference : Georeference
        Where the whole image lies; both files are GeoTIFFs if it says so.
    side : int
        Both files become squares of this side.
    lossy : bool
        Whether the image is a JPEG, or compressed as one.
    classes : ClassTable, optional
        Colours in which the mask shows its ids; by default it is gray.

    Raises
    ------
    RasterWriteError
        If a file cannot be written.
    """
    image_path, mask_path = out / row.image, out / row.mask
    pixels, mask = pad(pixels, side), pad_labels(mask, side)
    try:
        for path in (image_path, mask_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if georeference.present:
            shifted = shift(georeference, row.window)
            write_whole(image_path, geotiff(pixels, shifted, lossy=lossy))
            write_whole(mask_path, geotiff(mask[np.newaxis], shifted, nodata=NO_LABEL, classes=classes))
        else:
            write_whole(image_path, picture(pixels.transpose(1, 2, 0), lossy=lossy))
            write_whole(mask_path, picture(mask, lossy=False, classes=classes))
    except OSError as error:
        raise RasterWriteError(f"{image_path}: cannot be written: {error.strerror or error}") from error


def pad(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return pixels that are reflected beyond the bottom and right edge, as often as it takes to fill a square."""
    for axis in (1, 2):
        missing = [(0, 0)] * 3
        missing[axis] = 0, side - pixels.shape[axis]
        pixels = np.pad(pixels, missing, mode="reflect" if pixels.shape[axis] > 1 else "edge")
    return pixels


def pad_labels(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a mask that is 255 beyond the bottom and right edge, as far as it takes to fill a square."""
    missing = (0, side - mask.shape[0]), (0, side - mask.shape[1])
    return np.pad(mask, missing, constant_values=NO_LABEL)


def picture(pixels: NDArray[np.uint8], *, lossy: bool, classes: ClassTable | None = None) -> bytes:
    """Return pixels of shape (height, width) or (height, width, 3) as a PNG, or as a JPEG of quality 95.

    With a class table the pixels are ids, and the PNG shows them in its colours; it is still the ids that it holds.
    """
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if classes is not None:
        image.putpalette(_opaque(classes).ravel().tolist())
    if lossy:
        image.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        image.save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


def geotiff(
    pixels: NDArray[np.uint8],
    georeference: Georeference,
    *,
    lossy: bool = False,
    nodata: int | None = None,
    classes: ClassTable | None = None,
    tags: Mapping[str, str] = NO_TAGS,
) -> bytes:
    """Return a GeoTIFF as bytes, because rasterio drops the error of GDAL when a write to a file fails at close."""
    count, height, width = pixels.shape
    options: dict[str, Any] = {"compress": "deflate", "predictor": 2} if count > 1 else {"compress": "deflate"}
    if lossy:  # stored as red, green, blue, because GDAL would halve the chroma of YCbCr
        options = {"compress": "jpeg", "jpeg_quality": _JPEG_QUALITY}
    with MemoryFile() as file:
        with file.open(
            driver="GTiff", count=count, height=height, width=width, dtype="uint8", nodata=nodata,
            photometric="rgb" if count == 3 else "minisblack", interleave="pixel",
            tiled=True, blockxsize=_BLOCK_PX, blockysize=_BLOCK_PX, **options, **georeference.creation_options(),
        ) as dataset:  # fmt: skip
            dataset.write(pixels)
            dataset.update_tags(**tags)
            if classes is not None:
                dataset.write_colormap(1, dict(enumerate(map(tuple, _opaque(classes).tolist()))))
        data: bytes = file.read()
    return data


def shift(georeference: Georeference, window: Window) -> Georeference:
    """Return where a window of a georeferenced image lies."""
    shifted = georeference
    if georeference.transform != Affine.identity():
        a, b, c, d, e, f = georeference.transform[:6]
        x, y = a * window.col_off + b * window.row_off + c, d * window.col_off + e * window.row_off + f
        shifted = replace(shifted, transform=Affine(a, b, x, d, e, y))
    if georeference.gcps:
        shifted = replace(shifted, gcps=tuple(_shift_point(point, window) for point in georeference.gcps))
    if georeference.rpcs is not None:
        shifted = replace(shifted, rpcs=_shift_rpcs(georeference.rpcs, window))
    return shifted


def _shift_point(point: GroundControlPoint, window: Window) -> GroundControlPoint:
    row, col = point.row - window.row_off, point.col - window.col_off
    return GroundControlPoint(row, col, point.x, point.y, point.z, point.id, point.info)


def _shift_rpcs(rpcs: RPC, window: Window) -> RPC:
    parts = rpcs.to_dict()
    parts |= {"line_off": rpcs.line_off - window.row_off, "samp_off": rpcs.samp_off - window.col_off}
    return RPC(**parts)


def blank_colour(classes: ClassTable) -> Colour:
    """Return the colour in which a mask shows what has no label: white, or another where a class is white."""
    return next(colour for colour in _BLANKS if colour not in classes.colours)


def _opaque(classes: ClassTable) -> NDArray[np.uint8]:
    """Return red, green, blue of every id."""
    palette = np.full((256, 3), blank_colour(classes), np.uint8)
    palette[: len(classes)] = classes.colours
    return palette
