"""Read what a photo's EXIF and XMP say of where and how it was taken, from its header alone."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from tiler.errors import PoseError
from tiler.source.raster import sniff_driver

LATITUDE, LONGITUDE, ALTITUDE = "GPSLatitude", "GPSLongitude", "GPSAltitude"
"""Names of EXIF's position; degrees north and east, metres."""
_CAMERA = (
    ExifTags.Base.FocalLength,
    ExifTags.Base.FocalLengthIn35mmFilm,
    ExifTags.Base.FocalPlaneXResolution,
    ExifTags.Base.FocalPlaneResolutionUnit,
    ExifTags.Base.DigitalZoomRatio,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
)
_MAIN = (ExifTags.Base.Model, ExifTags.Base.Orientation)
_HEADERS = {"JPEG": JpegImageFile, "PNG": PngImageFile}
_XMP_TAG = 700
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DJI = "{http://www.dji.com/drone-dji/1.0/}"
_HEADER_BYTES = 16 * 2**20
_XMP_BYTES = 2**20
_VALUE_CHARS = 500
_SHOWN_CHARS = 40
_quiet = threading.Lock()


@dataclass(frozen=True, slots=True)
class PhotoTags:
    """What the header of a photo says."""

    path: Path
    """The file."""
    values: Mapping[str, str | float]
    """EXIF and `drone-dji` XMP values by their names without prefix; GPS position in signed degrees and metres."""
    trouble: tuple[str, ...] = ()
    """Parts of the header that are there but cannot be read, and why."""

    def number(self, *names: str) -> float | None:
        """Return the first of the named values that is a finite number; None where there is none."""
        for name in names:
            try:
                value = float(self.values[name])
            except (KeyError, ValueError):
                continue
            if math.isfinite(value):
                return value
        return None

    def text(self, name: str) -> str:
        """Return a value as text; empty where there is none."""
        return str(self.values.get(name, ""))

    def refusal(self, why: str, *names: str, remedy: str) -> PoseError:
        """Return an error that names the file, the reason, what was found under the names, and what would help."""
        shown = [f"{name} {repr(self.values[name])[:_SHOWN_CHARS]}" for name in names if name in self.values]
        found = f": found {', '.join(shown)}" if shown else " in its EXIF or XMP"
        return PoseError("; ".join((f"{self.path}: {why}{found}", *self.trouble, remedy)))


def read_tags(path: Path) -> PhotoTags:
    """Return what the header of a JPEG, PNG or TIFF says of where and how it was taken; no pixel is decoded.

    In XMP, the attributes and elements of every `rdf:Description` that are in DJI's namespace are read; where
    a name occurs twice, the first counts. At most 16 MiB of the file are read, and at most 1 MiB of XMP.

    Raises
    ------
    PoseError
        If the header is damaged. A damaged part of it (EXIF, GPS, XMP) raises nothing and stands in `trouble`.
    RasterReadError
        If the file cannot be read or is none of JPEG, PNG and TIFF.
    """
    driver = sniff_driver(path)
    with _pillow_silenced():
        try:
            with path.open("rb") as file:
                return _tags(path, driver, _Rationed(file))
        except Exception as error:  # Pillow raises whatever a damaged header leads to
            raise PoseError(f"{path}: its header cannot be read: {error}") from error


class _Rationed:
    """A file that ends after 16 MiB were read from it, so no header costs more time or memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._left = file, _HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data


@contextmanager
def _pillow_silenced() -> Iterator[None]:
    """Keep Pillow from warning of damaged metadata; filters are global, so one thread at a time."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tags(path: Path, driver: str, file: Any) -> PhotoTags:
    exif = Image.Exif()
    info: Mapping[Any, Any] = {} if driver == "GTiff" else _HEADERS[driver](file).info

    def camera() -> Mapping[str, str | float]:
        if driver == "GTiff":
            exif.load_from_fp(file)
        else:
            exif.load(info.get("exif", b""))
        return _camera(exif)

    parts: dict[str, Callable[[], Mapping[str, str | float]]] = {
        "EXIF": camera,
        "GPS": lambda: _position(exif.get_ifd(ExifTags.IFD.GPSInfo)),
        "XMP": lambda: _drone(info.get("xmp") or exif.get(_XMP_TAG, b"")),
    }
    values: dict[str, str | float] = {}
    trouble = []
    for name, read in parts.items():
        try:
            values |= read()
        except Exception as error:  # whatever damaged metadata leads to; what other parts say still counts
            trouble.append(f"its {name} cannot be read ({error})")
    return PhotoTags(path, values, tuple(trouble))


def _camera(exif: Image.Exif) -> dict[str, str | float]:
    found = {tag: exif[tag] for tag in _MAIN if tag in exif} | exif.get_ifd(ExifTags.IFD.Exif)
    values: dict[str, str | float] = {}
    for tag in (*_MAIN, *_CAMERA):
        with suppress(KeyError, TypeError, ValueError):
            values[tag.name] = _text(found[tag]) if isinstance(found[tag], str) else float(found[tag])
    return values


def _position(gps: Mapping[int, Any]) -> dict[str, float]:
    values = {}
    for name, tag, reference, minus in (
        (LATITUDE, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, ("S", "s")),
        (LONGITUDE, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, ("W", "w")),
        (ALTITUDE, ExifTags.GPS.GPSAltitude, ExifTags.GPS.GPSAltitudeRef, (b"\1", 1)),
    ):
        if tag in gps and (reference in gps or name == ALTITUDE):
            parts = gps[tag] if isinstance(gps[tag], tuple) else (gps[tag],)
            size = sum(float(part) / 60**power for power, part in enumerate(parts[:3]))
            values[name] = -size if gps.get(reference) in minus else size
    return values


def _drone(xmp: object) -> dict[str, str]:
    from defusedxml import ElementTree  # type: ignore[import-untyped,unused-ignore]

    if not isinstance(xmp, bytes) or not xmp:
        return {}
    if len(xmp) > _XMP_BYTES:
        raise ValueError(f"{len(xmp)} bytes, {_XMP_BYTES} is the most that is read")
    values: dict[str, str] = {}
    for description in ElementTree.fromstring(xmp.strip(b"\0 \r\n\t"), forbid_dtd=True).iter(f"{_RDF}Description"):
        for name, text in (*description.items(), *((child.tag, child.text or "") for child in description)):
            if name.startswith(_DJI):
                values.setdefault(name.removeprefix(_DJI), _text(text))
    return values


def _text(value: str) -> str:
    return value.split("\0")[0].strip()[:_VALUE_CHARS]
