"""World files: where an image lies, as six lines of text beside it, with the CRS in a `.prj`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from affine import Affine, dumpsw, loadsw
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError

_MOST_BYTES = 64 * 2**10
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_FILES = re.compile(r"parameterfile|proj4_grids|\b(init|file|model|catalog|\w*grids)\s*=(?!@null[ \"])", re.IGNORECASE)
"""How WKT names files that PROJ would open. `nadgrids=@null` names none, and Web Mercator has it."""
_QUOTED = 40


def world_text(transform: Affine) -> str:
    """Return a world file: the transform to the centre, not the corner, of the first pixel.

    `read_world` gives the transform back. Its offset may differ by the rounding of the centre's coordinates; on any
    map it is the same to the last bit.
    """
    return dumpsw(transform)


def prj_text(crs: CRS) -> str:
    """Return a `.prj`: the CRS in Esri's dialect of WKT, the one that ArcGIS reads.

    Raises
    ------
    CRSError
        If Esri's dialect cannot express the CRS, such as geocentric coordinates.
    """
    return str(crs.to_wkt(version=WktVersion.WKT1_ESRI))


def read_world(path: Path, own: CRS | None = None) -> tuple[Affine | None, CRS | None, tuple[str, ...]]:
    """Return what the world file beside an image says, and the `.prj` with it.

    The world file of `a.jpg` is the first of `a.jgw`, `a.jpgw` and `a.wld`; the other file is `a.prj`. Each suffix
    may be in lower or upper case. No other file is opened, whatever these two hold, and nothing is raised.

    Parameters
    ----------
    path : Path
        The image.
    own : CRS, optional
        The CRS that the image itself states; the `.prj` is then not opened.

    Returns
    -------
    transform : Affine or None
        Pixel (col, row) to CRS (x, y); None where there is no usable world file.
    crs : CRS or None
        Its CRS, where it is known.
    notes : tuple of str
        What is missing or could not be read, and why.
    """
    file = _beside(path, _suffixes(path))
    if file is None:
        return None, None, ()
    try:
        transform = _parse_world(_read(file))
    except ValueError as error:
        return None, None, (f"{file.name} is not read: {error}",)
    if own is not None:
        return transform, own, ()
    prj = _beside(path, (".prj",))
    if prj is None:
        return transform, None, ("world file without .prj: no CRS",)
    try:
        return transform, _parse_prj(_read(prj)), ()
    except ValueError as error:
        return transform, None, (f"{prj.name} is not read: {error}",)


def _suffixes(path: Path) -> tuple[str, ...]:
    """Return the suffixes of world files, in the order in which they are tried, such as `.jgw` of `.jpg`."""
    letters = path.suffix.removeprefix(".").lower()
    return (f".{letters[0]}{letters[-1]}w", f".{letters}w", ".wld") if letters else (".wld",)


def _beside(path: Path, suffixes: Iterable[str]) -> Path | None:
    for suffix in suffixes:
        for file in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
            try:
                if file.is_file():
                    return file
            except OSError:  # a name too long to exist, a folder that may not be listed
                continue
    return None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(error.strerror or error) from error
    if len(data) > _MOST_BYTES:
        raise ValueError(f"longer than {_MOST_BYTES // 2**10} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8 text") from error


def _parse_world(text: str) -> Affine:
    words = text.split()
    for word in words:
        if "," in word:
            raise ValueError(f"decimal point expected, {word[:_QUOTED]!r} found")
        if not (_NUMBER.fullmatch(word) and math.isfinite(float(word))):
            raise ValueError(f"number expected, {word[:_QUOTED]!r} found")
    if len(words) != 6:
        raise ValueError(f"6 numbers expected, {len(words)} found")
    transform = loadsw(text)
    if transform.is_degenerate or not all(map(math.isfinite, transform)):
        raise ValueError(f"pixels without area: {', '.join(words)[:_QUOTED]}")
    return transform


def _parse_prj(text: str) -> CRS:
    if _FILES.search(text):
        raise ValueError("it names other files")
    try:
        crs = CRS.from_wkt(text)
    except CRSError as error:
        raise ValueError("no CRS in WKT") from error
    if not (crs.is_projected or crs.is_geographic):
        raise ValueError("no CRS of a map")
    code = crs.to_epsg(confidence_threshold=100)  # other programs know a CRS by its code, and Esri's dialect has none
    return crs if code is None else CRS.from_epsg(code)
