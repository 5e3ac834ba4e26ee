"""What the user should know of how an image is read, and what makes its pixels doubtful."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tiler.doubt import Doubt
from tiler.source.channels import Channels
from tiler.source.raster import RasterInfo
from tiler.source.stretch import Stretch

_NOISE = "there is so little contrast that noise may look like things; --value-range sets a range"


@dataclass(frozen=True, slots=True)
class Findings:
    """What reading the pixels of an image finds out, besides the pixels."""

    stretch: Stretch | None
    """How samples become levels; None: they are levels."""
    damage: tuple[str, ...] = ()
    """What GDAL complained of."""


def reading_notes(info: RasterInfo, channels: Channels, stretch: Stretch | None, *, guessed: bool) -> tuple[str, ...]:
    """Return what was assumed of an image, what of it is not read, and the range of values that was not guessed.

    Parameters
    ----------
    info : RasterInfo
        What its header says.
    channels : Channels
        Which channels are read.
    stretch : Stretch or None
        How values become levels; None: they are levels.
    guessed : bool
        Whether the stretch was guessed from the values of the file. It is then a doubt, no note.
    """
    notes = [channels.note] if channels.note else []
    if info.pages > 1:
        notes.append(f"the file holds {info.pages} images; the first is read")
    if info.orientation != 1:
        notes.append(f"EXIF orientation {info.orientation} is not applied: pixels stay as they are stored")
    if stretch is not None and not guessed:
        notes.append(f"{info.dtype} values {stretch}")
    return *notes, *info.notes


def reading_doubts(
    info: RasterInfo, stretch: Stretch | None, damage: tuple[str, ...], *, guessed: bool
) -> tuple[Doubt, ...]:
    """Return what makes the pixels of an image doubtful: a stretch that was guessed, and damage.

    Parameters
    ----------
    info : RasterInfo
        What its header says.
    stretch, guessed
        See `reading_notes`.
    damage : tuple of str
        Complaints of GDAL about pixels that it decoded all the same.
    """
    doubts = [Doubt("suspect", complaint) for complaint in damage]
    if stretch is not None and guessed and stretch.low != stretch.high:
        noisy = f"; {_NOISE}" if stretch.little_contrast and not info.dtype.startswith("float") else ""
        doubts.append(Doubt("stretched", f"{info.dtype} values {stretch}, by the file's percentiles{noisy}"))
    with suppress(OSError):  # with its ending the name is too long
        if info.path.with_name(info.path.name + ".msk").exists():
            why = "the external mask beside it (.msk) is not read, so what it hides has labels; put it inside the file"
            doubts.append(Doubt("mask not read", why))
    return tuple(doubts)
