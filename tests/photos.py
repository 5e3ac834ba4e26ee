"""Small photos with a pose, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from tests.make import noise

SHAPE = (40, 60)
"""(height, width); with the camera below f is 40 px."""
PLACE = (47.0707, 15.4395)
CAMERA: dict[int, float] = {ExifTags.Base.FocalLength: 8.8, ExifTags.Base.FocalLengthIn35mmFilm: 24}
POSE: dict[str, Any] = {
    "AbsoluteAltitude": "+453.00", "RelativeAltitude": "+100.00", "GimbalYawDegree": "+30.00",
    "GimbalPitchDegree": "-90.00", "GimbalRollDegree": "+0.00", "FlightYawDegree": "+31.50",
}  # fmt: skip
HEAD = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
TAIL = "</rdf:RDF></x:xmpmeta>"
DJI = 'xmlns:dji="http://www.dji.com/drone-dji/1.0/"'


def attributes(values: Mapping[str, str]) -> str:
    """Return an rdf:Description with the values as attributes."""
    return (
        f"<rdf:Description {DJI} {' '.join(f'dji:{name}={chr(34)}{text}{chr(34)}' for name, text in values.items())}/>"
    )


def elements(values: Mapping[str, str]) -> str:
    """Return an rdf:Description with the values as elements."""
    inner = "".join(f"<dji:{name}> {text}\n</dji:{name}>" for name, text in values.items())
    return f"<rdf:Description {DJI}>{inner}</rdf:Description>"


def xmp_of(*descriptions: str) -> bytes:
    """Return XMP of descriptions."""
    return f"{HEAD}{''.join(descriptions)}{TAIL}".encode()


def gps_of(latitude: float, longitude: float) -> dict[int, Any]:
    """Return the GPS directory of a place."""
    return {
        ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        ExifTags.GPS.GPSLatitude: _sexagesimal(latitude),
        ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        ExifTags.GPS.GPSLongitude: _sexagesimal(longitude),
    }


def write_photo(
    path: Path,
    *,
    shape: tuple[int, int] = SHAPE,
    place: tuple[float, float] | None = PLACE,
    model: str = "FC6310",
    camera: Mapping[int, Any] = CAMERA,
    gps: Mapping[int, Any] | None = None,
    orientation: int = 1,
    pose: Mapping[str, str | None] | None = None,
    xmp: bytes | None = None,
) -> Path:
    """Write a photo; `pose` changes values of POSE (None: without), `gps` and `xmp` stand in for all of theirs."""
    exif = Image.Exif()
    exif[ExifTags.Base.Model], exif[ExifTags.Base.Orientation] = model, orientation
    parts = {ExifTags.IFD.Exif: camera, ExifTags.IFD.GPSInfo: gps or (gps_of(*place) if place else {})}
    for part, entries in parts.items():
        exif.get_ifd(part).update(entries)
        exif[part] = 0  # otherwise Pillow leaves the part out of a TIFF
    values = {name: text for name, text in {**POSE, **(pose or {})}.items() if text is not None}
    data = xmp_of(attributes(values)) if xmp is None else xmp
    picture = Image.fromarray(noise(*shape, 3))
    if path.suffix == ".tif":
        exif[700] = data
        picture.save(path, exif=exif)
    elif path.suffix == ".png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", data.decode())
        picture.save(path, exif=exif, pnginfo=text)
    else:
        picture.save(path, exif=exif, xmp=data)
    return path


def _sexagesimal(angle: float) -> tuple[float, float, float]:
    minutes = abs(angle) % 1 * 60
    return float(int(abs(angle))), float(int(minutes)), minutes % 1 * 60
