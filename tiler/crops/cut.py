"""Cut one source into training crops."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.rpc import RPC

from tiler.classes import NO_LABEL, ClassTable
from tiler.crops.folder import IMAGES, MASKS, remove_files
from tiler.crops.plan import CropOptions, plan_crops
from tiler.crops.record import CropRow, Record, begin, discard, has_begun, write_record
from tiler.errors import PairError, RasterWriteError, reason_of
from tiler.files.atomic import write_whole
from tiler.files.pairs import Pair
from tiler.grid.window import Window
from tiler.masks.labels import LabelReader, open_labels
from tiler.photo.pose import photo_gsd_m
from tiler.source.georef import Georeference
from tiler.source.image import ImageReader, open_image
from tiler.source.raster import RasterInfo

_JPEG_QUALITY = 95
_PNG_LEVEL = 3
"""Photos become smaller than by zlib's usual 6, three times as fast."""
_BAND_BYTES = 256 * 2**20
_SEQUENTIAL = frozenset({"JPEG", "PNG"})
"""Formats whose pixels can only be decoded from the top."""
_BLOCK_PX = 512


@dataclass(frozen=True, slots=True)
class CutTask:
    """One source that is to be cut; it is sent to the process that cuts it."""

    pair: Pair
    """The image and its mask."""
    out: Path
    """The output folder."""
    request: CropOptions
    """How to cut."""
    classes: ClassTable | None
    """Ids and colours to expect in the mask."""
    fingerprint: str
    """What the record says once all crops are there; see `Record.fingerprint`."""

    @property
    def source(self) -> str:
        """Name of the source in the index."""
        return self.pair.name.as_posix()


@dataclass(frozen=True, slots=True)
class CropOutcome:
    """How one source ended."""

    path: Path
    """The image."""
    state: Literal["done", "skipped", "failed"]
    """`skipped`: its crops were already there, made from the same files with the same settings."""
    reason: str = ""
    """Why it was skipped or failed."""
    record: Record | None = None
    """Its crops; None where it failed."""
    read_bytes: int = 0
    """Size of the files that were read, bytes."""
    seconds: float = 0.0
    """Wall time of cutting it, seconds."""
    notes: tuple[str, ...] = ()
    """What the user should know about how it was read."""


def cut_source(task: CutTask) -> CropOutcome:
    """Write the crops of one source and their record.

    Nothing is raised: a failure is an outcome too. The crops of a source that fails are removed. Where it fails
    before the first new crop is written, the crops of an earlier run stay.
    """
    started = time.monotonic()
    try:
        with warnings.catch_warnings():  # a process of its own does not inherit the caller's filters
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            record, notes = _cut(task)
    except Exception as error:  # whatever a library raises costs this source alone
        with suppress(OSError):
            if has_begun(task.out, task.source):
                discard(task.out, task.source)
        reason = reason_of(error, task.pair.first, task.pair.second)
        return CropOutcome(task.pair.first, "failed", reason, seconds=time.monotonic() - started)
    size = sum(path.stat().st_size for path in (task.pair.first, task.pair.second))
    return CropOutcome(task.pair.first, "done", "", record, size, time.monotonic() - started, notes)


def _cut(task: CutTask) -> tuple[Record, tuple[str, ...]]:
    reading = task.request.reading
    with (
        open_image(task.pair.first, channels=reading.channels, value_range=reading.value_range) as image,
        open_labels(task.pair.second, task.classes) as labels,
    ):
        if image.info.shape != labels.shape:
            raise PairError(
                f"{task.pair.first}: {_size(image.info.shape)} pixels, but its mask {task.pair.second} has "
                f"{_size(labels.shape)} (height x width); expected one size" + _turned(image.info)
            )
        labels.read(Window(0, 0, 1, labels.shape[1]))  # a damaged mask fails before older crops go
        planned = tuple(_row(task, window, image.info) for window in plan_crops(labels.shape, task.request))
        old = begin(task.out, Record(task.source, "", planned))
        rows = []
        for row, (pixels, mask) in zip(planned, _crops(image, labels, planned), strict=True):
            row = replace(row, counts=_counts(mask))
            if _wanted(row, task.request):
                _write(task, row, image.info.georeference, pixels, mask)
                rows.append(row)
        gsd_m = _gsd_m(image.info)
    record = Record(task.source, task.fingerprint, tuple(rows), filtered=len(planned) - len(rows), gsd_m=gsd_m)
    remove_files(task.out, old.files - record.files)
    write_record(task.out, record)
    return record, (*map(str, image.doubts), *image.notes)


def _gsd_m(info: RasterInfo) -> float | None:
    return info.gsd_m if info.georeference.present else photo_gsd_m(info.path, info.height, info.width)


def _turned(info: RasterInfo) -> str:
    return f" (EXIF orientation {info.orientation} of the image is not applied)" if info.orientation != 1 else ""


def _row(task: CutTask, window: Window, info: RasterInfo) -> CropRow:
    suffix = ".jpg" if task.request.format == "jpeg" else ".png"
    image_suffix, mask_suffix = (".tif", ".tif") if info.georeference.present else (suffix, ".png")
    stem = f"{task.source}_r{window.row_off}_c{window.col_off}"
    return CropRow(f"{IMAGES}/{stem}{image_suffix}", f"{MASKS}/{stem}{mask_suffix}", window)


def _crops(
    image: ImageReader, labels: LabelReader, rows: Sequence[CropRow]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield pixels and mask of each window; the mask is 255 where the image has no measurement."""
    for _, abreast in groupby((row.window for row in rows), key=lambda window: window.row_off):
        windows = list(abreast)
        pixels = _read(image.pixels, windows, image.info)
        masks = _read(labels.read, windows, labels.info)
        valid = _read(image.valid, windows, image.info)
        for crop, mask, real in zip(pixels, masks, valid, strict=True):
            yield crop, np.where(real, mask, np.uint8(NO_LABEL))


def _read(
    read: Callable[[Window], NDArray[Any]], windows: Sequence[Window], info: RasterInfo
) -> Iterator[NDArray[Any]]:
    """Yield windows of the same rows, from one read of these rows where every read decodes from the top."""
    first = windows[0]
    if info.driver not in _SEQUENTIAL or first.height * info.width * len(info.interpretations) > _BAND_BYTES:
        yield from map(read, windows)
        return
    band = read(Window(first.row_off, 0, first.height, info.width))
    for window in windows:
        yield band[..., window.slices[1]]


def _counts(mask: NDArray[np.uint8]) -> tuple[tuple[int, int], ...]:
    pixels = np.bincount(mask.ravel(), minlength=NO_LABEL)[:NO_LABEL]
    return tuple((int(index), int(pixels[index])) for index in pixels.nonzero()[0])


def _wanted(row: CropRow, request: CropOptions) -> bool:
    if request.skip_empty and not row.labelled:
        return False
    return row.labelled >= request.min_labelled * row.window.height * row.window.width


def _write(
    task: CutTask, row: CropRow, georeference: Georeference, pixels: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> None:
    image_path, mask_path = task.out / row.image, task.out / row.mask
    pixels, mask = _pad(pixels, task.request.window_px), _pad_labels(mask, task.request.window_px)
    lossy = task.request.format == "jpeg"
    shifted = _shift(georeference, row.window)
    try:
        for path in (image_path, mask_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if georeference.present:
            write_whole(image_path, _geotiff(pixels, shifted, lossy=lossy))
            write_whole(mask_path, _geotiff(mask[np.newaxis], shifted, nodata=NO_LABEL))
        else:
            write_whole(image_path, _picture(pixels.transpose(1, 2, 0), lossy=lossy))
            write_whole(mask_path, _picture(mask, lossy=False))
    except OSError as error:
        raise RasterWriteError(f"{image_path}: cannot be written: {error.strerror or error}") from error


def _pad(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return pixels that are reflected beyond the bottom and right edge, as often as it takes to fill a square."""
    for axis in (1, 2):
        missing = [(0, 0)] * 3
        missing[axis] = 0, side - pixels.shape[axis]
        pixels = np.pad(pixels, missing, mode="reflect" if pixels.shape[axis] > 1 else "edge")
    return pixels


def _pad_labels(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    missing = (0, side - mask.shape[0]), (0, side - mask.shape[1])
    return np.pad(mask, missing, constant_values=NO_LABEL)


def _picture(pixels: NDArray[np.uint8], *, lossy: bool) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if lossy:
        image.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        image.save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


def _geotiff(
    pixels: NDArray[np.uint8], georeference: Georeference, *, lossy: bool = False, nodata: int | None = None
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
        data: bytes = file.read()
    return data


def _shift(georeference: Georeference, window: Window) -> Georeference:
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


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
