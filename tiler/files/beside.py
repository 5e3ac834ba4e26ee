"""Side files of a mask: which it gets, and what they are called."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Sidecar = Literal["pam", "style", "vat", "vat_encoding", "world", "prj", "polygons"]
SidecarGroup = Literal["aux", "qml", "vat", "world"]
GROUPS: dict[SidecarGroup, tuple[Sidecar, ...]] = {
    "aux": ("pam",),
    "qml": ("style",),
    "vat": ("vat", "vat_encoding"),
    "world": ("world", "prj"),
}
"""Side files by the words with which users choose them; polygons have an option of their own."""
_ENDINGS: dict[Sidecar, str] = {
    "pam": ".aux.xml",
    "vat": ".vat.dbf",
    "vat_encoding": ".vat.cpg",
    "style": ".qml",
    "prj": ".prj",
}
_WORLDS = {".png": ".pgw", ".jpg": ".jgw"}
"""Suffixes of pictures that do not say where they lie, and of the world files beside them."""
_APPENDED = frozenset({"pam", "vat", "vat_encoding"})
_OF_LABEL_TIFF: tuple[Sidecar, ...] = ("pam", "style", "vat", "vat_encoding")
_OF_LABEL_PNG: tuple[Sidecar, ...] = ("pam", "style", "world", "prj")
_OF_OTHER_PNG: tuple[Sidecar, ...] = ("pam", "world", "prj")


@dataclass(frozen=True, slots=True)
class SideFile:
    """One file beside a mask."""

    kind: Sidecar
    """What it holds."""
    path: Path
    """Its final name."""


def plan_sidecars(
    mask: Path, *, labels: bool, georeferenced: bool, wanted: Collection[Sidecar]
) -> tuple[SideFile, ...]:
    """Return the side files of a mask, other than polygons.

    A label mask gets files that name its classes and colour them in GIS programs. A PNG gets files that say where it
    lies, because GIS programs look for that beside a PNG. A PNG that lies nowhere gets no side files at all.

    Parameters
    ----------
    mask : Path
        A `.tif` or `.png`.
    labels : bool
        Whether the mask holds class ids.
    georeferenced : bool
        Whether it is known where the mask lies.
    wanted : collection of Sidecar
        The side files that are asked for, and for which the image has content. No others are returned.

    Returns
    -------
    tuple of SideFile
        In the order in which they are written.
    """
    if mask.suffix in _WORLDS:
        kinds = (_OF_LABEL_PNG if labels else _OF_OTHER_PNG) if georeferenced else ()
    else:
        kinds = _OF_LABEL_TIFF if labels else ()
    return tuple(SideFile(kind, sidecar_path(mask, kind)) for kind in kinds if kind in wanted)


def sidecar_path(mask: Path, kind: Sidecar) -> Path:
    """Return the path at which GIS programs look for a side file of a mask."""
    name = mask.name if kind in _APPENDED else mask.stem
    ending = _WORLDS.get(mask.suffix, ".pgw") if kind == "world" else _ENDINGS[kind]
    return mask.with_name(name + ending)
