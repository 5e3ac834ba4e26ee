"""Open an image file safely and say what it holds, from its header alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from PIL.JpegImagePlugin import JpegImageFile
from rasterio.enums import MaskFlags
from rasterio.env import getenv, hasenv
from rasterio.io import DatasetReader

from tiler.errors import FormatError, RasterReadError
from tiler.source.damage import without_advice
from tiler.source.georef import Georeference
from tiler.source.limits import refuse_claims
from tiler.source.options import DEFAULT_LIMITS, FileLimits
from tiler.source.shut_off import CACHE_BYTES, SETTINGS
from tiler.source.truncation import refuse_truncated
from tiler.source.world import read_world

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),
    (b"MM\0+", "GTiff"),
)
RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"})
"""Raw photos are TIFF by their first bytes but hold only a preview that GDAL can read."""
UNREAD_SUFFIXES = RAW_SUFFIXES | {
    ".avif", ".bmp", ".ecw", ".gif", ".heic", ".heif", ".img", ".j2k", ".jp2", ".jxl", ".sid", ".vrt", ".webp",
}  # fmt: skip
"""Suffixes of photos and rasters, in lower case, that noseam does not read when it finds them in a folder."""
FINGERPRINT_KEY = "NOSEAM_FINGERPRINT"
"""Tag of every mask; see `tiler.masks.provenance`."""
JPEG_TEXT = "noseam "
"""Beginning of the comment by which noseam knows a JPEG of its own; see `tiler.masks.jpeg_text`."""
_VRT = b"<VRTDataset"
_GDAL = {**SETTINGS, "GDAL_CACHEMAX": CACHE_BYTES}


def gdal_environment() -> AbstractContextManager[object]:
    """Return the GDAL settings that every read and write of noseam runs under; enter it per thread.

    They are those of `tiler.source.shut_off`, whatever the user's own variables say.
    """
    known = hasenv() and _GDAL.items() <= getenv().items()  # to enter it again costs more than to look
    settings: AbstractContextManager[object] = nullcontext() if known else rasterio.Env(**_GDAL)
    return settings


@dataclass(frozen=True, slots=True)
class RasterInfo:
    """What the header of an image says."""

    path: Path
    """The file."""
    driver: str
    """GDAL driver: JPEG, PNG or GTiff."""
    height: int
    """Rows, source pixels."""
    width: int
    """Columns, source pixels."""
    dtype: str
    """Sample type of the first channel, as NumPy names it."""
    bits: int | None
    """Significant bits of a sample; None: all that its type has."""
    interpretations: tuple[str, ...]
    """What each channel holds: red, green, blue, gray, alpha, palette, undefined and so on."""
    colour_space: str
    """Colour space of the stored samples, such as YCbCr, CMYK, YCCK or CIELAB; empty where not said."""
    nodata: float | None
    """Value that marks a sample without measurement."""
    masked: bool
    """Whether nodata, alpha or an internal mask marks pixels as invalid."""
    white_is_zero: bool
    """Whether a gray sample of 0 means white."""
    orientation: int
    """EXIF orientation 1 to 8; recorded, never applied."""
    pages: int
    """Images in the file; the first is read."""
    made_by_noseam: bool
    """Whether it is a mask that noseam wrote."""
    georeference: Georeference
    """Where the image lies; the world file beside it counts where the image itself does not say."""
    notes: tuple[str, ...] = ()
    """What is wrong with the files beside it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), source pixels."""
        return self.height, self.width

    @property
    def gsd_m(self) -> float | None:
        """Ground sample distance, metres per source pixel, where the file says it."""
        return self.georeference.gsd_m(self.height, self.width)


READ_FROM_TOP = frozenset({"JPEG", "PNG"})
"""Drivers of files in which rows cannot be read without those above them."""


def sniff_driver(path: Path, *, vrt: bool = False) -> str:
    """Return the one GDAL driver that may open a file, by its first bytes; `vrt` admits virtual rasters.

    Raises
    ------
    RasterReadError
        If the file cannot be read or is none of JPEG, PNG and TIFF. The message says what the file starts with.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        raise FormatError(f"{path}: a raw photo; expected JPEG, PNG or TIFF (develop it first)")
    try:
        if not path.is_file():
            raise RasterReadError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            head = file.read(16)
    except RasterReadError:
        raise
    except OSError as error:
        raise RasterReadError(f"{path}: cannot be read: {error.strerror or error}") from error
    for magic, driver in _MAGIC:
        if head.startswith(magic):
            return driver
    if vrt and head.startswith(_VRT):
        return "VRT"
    found = "an empty file" if not head else f"a file that starts with {head!r}"
    raise FormatError(f"{path}: not an accepted image: expected JPEG, PNG or TIFF, found {found}")


@contextmanager
def open_raster(path: Path, limits: FileLimits = DEFAULT_LIMITS) -> Iterator[Any]:
    """Open an image for reading with the driver that its first bytes name.

    Parameters
    ----------
    path : Path
        A JPEG, PNG or TIFF.
    limits : FileLimits
        What it may claim to be.

    Yields
    ------
    rasterio.DatasetReader
        Inside `gdal_environment()`.

    Raises
    ------
    RasterReadError
        If the file is not an accepted image, its header is damaged, or it claims too much.
    """
    driver = sniff_driver(path, vrt=limits.allow_vrt)
    with gdal_environment():
        with reading(path, "the header"):
            dataset = DatasetReader(str(path.absolute()), driver=driver)  # what `rasterio.open` calls in the end
        with dataset:
            refuse_claims(path, dataset, limits)
            yield dataset


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever rasterio raises inside into a `RasterReadError` that names the file.

    rasterio lets some of GDAL's errors through as classes of its own private module, so this catches
    every exception. Only calls into rasterio belong inside.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, UnicodeEncodeError):
            raise RasterReadError(f"{path}: its name is not UTF-8, and GDAL reads no such files; rename it") from error
        raise RasterReadError(f"{path}: {what} cannot be read: {without_advice(str(cause))}") from error


def read_info(path: Path, limits: FileLimits = DEFAULT_LIMITS) -> RasterInfo:
    """Return what the header of a file says, and the world file beside it; no pixel is decoded.

    Raises
    ------
    RasterReadError
        If the file is not an accepted image, its header is damaged, it claims too much, or its end is missing. The
        end of a mask that noseam wrote is not looked at.
    """
    with open_raster(path, limits) as dataset:
        info = describe(path, dataset)
        if not info.made_by_noseam:
            refuse_truncated(path, dataset)
        return info


def describe(path: Path, dataset: Any) -> RasterInfo:
    """Return what the header of an open dataset says."""
    with reading(path, "the header"):
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        georeference, notes = _locate(path, dataset)
        return RasterInfo(
            path=path,
            driver=dataset.driver,
            height=dataset.height,
            width=dataset.width,
            dtype=dataset.dtypes[0],
            bits=_bits(dataset),
            interpretations=_interpretations(dataset),
            colour_space=_colour_space(path, dataset),
            nodata=dataset.nodata,
            masked=MaskFlags.all_valid not in dataset.mask_flag_enums[0],
            white_is_zero=structure.get("MINISWHITE") == "YES",
            orientation=_orientation(dataset),
            pages=max(len(dataset.subdatasets), 1),
            made_by_noseam=_is_ours(dataset.tags()),
            georeference=georeference,
            notes=notes,
        )


def _is_ours(tags: Mapping[str, str]) -> bool:
    comment = tags.get("COMMENT", "")
    return FINGERPRINT_KEY in tags or (comment.startswith(JPEG_TEXT) and FINGERPRINT_KEY in comment)


def _locate(path: Path, dataset: Any) -> tuple[Georeference, tuple[str, ...]]:
    """Return where an image lies, by its own header or else by its world file, and what is wrong with that."""
    gcps, gcps_crs = dataset.gcps
    own = Georeference(gcps_crs if gcps else dataset.crs, dataset.transform, tuple(gcps), dataset.rpcs)
    if own.present:
        return own, ()
    transform, crs, notes = read_world(path, own.crs)
    return (own if transform is None else Georeference(crs, transform)), notes


def _colour_space(path: Path, dataset: Any) -> str:
    """Return what the file says. GDAL 3.10 calls a JPEG in YCCK one in CMYK, and decodes it to false colours."""
    space: str = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "")
    if dataset.driver == "JPEG" and space == "CMYK":
        with JpegImageFile(path) as image:
            return "YCCK" if image.info.get("adobe_transform", 0) else space
    return space


def _bits(dataset: Any) -> int | None:
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    return int(bits) if bits else None


def _orientation(dataset: Any) -> int:
    text = dataset.tags().get("EXIF_Orientation") or dataset.tags(ns="EXIF").get("EXIF_Orientation", "1")
    return int(text) if text in set("12345678") else 1


def _interpretations(dataset: Any) -> tuple[str, ...]:
    """Name each channel; GDAL may fail here on damaged metadata of a file whose pixels are fine."""
    try:
        return tuple(channel.name for channel in dataset.colorinterp)
    except Exception:  # GDAL's own error classes are private to rasterio. A JPEG has fixed channels.
        if dataset.driver != "JPEG":
            raise
        return ("gray",) if dataset.count == 1 else ("red", "green", "blue")
