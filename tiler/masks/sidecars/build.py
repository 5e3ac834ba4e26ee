"""What stands in the side files of a mask."""

from __future__ import annotations

from collections.abc import Sequence

from tiler.classes import ClassTable
from tiler.files.beside import Sidecar
from tiler.masks.sidecars.pam import pam_xml
from tiler.masks.sidecars.style import qml_style
from tiler.masks.sidecars.vat import VAT_CPG, vat_dbf
from tiler.source.georef import Georeference
from tiler.source.world import prj_text, world_text


def sidecar_bytes(
    kind: Sidecar, classes: ClassTable | None, pixels: Sequence[int] | None, place: Georeference | None
) -> bytes:
    """Return the content of a side file, other than polygons.

    Parameters
    ----------
    kind : Sidecar
        Which file.
    classes : ClassTable or None
        Names and colours; None for a mask that holds no class ids.
    pixels : sequence of int or None
        Pixels of each class; None where nobody counted.
    place : Georeference or None
        Where the mask lies; None for a mask that holds that itself.

    Raises
    ------
    ValueError
        If what the file must hold is not given.
    """
    if kind == "pam":
        return pam_xml(classes, pixels, place)
    if kind == "vat_encoding":
        return VAT_CPG
    if kind == "world" and place is not None:
        return world_text(place.transform).encode()
    if kind == "prj" and place is not None and place.crs is not None:
        return prj_text(place.crs).encode()
    if kind == "style" and classes is not None:
        return qml_style(classes, pixels)
    if kind == "vat" and classes is not None and pixels is not None:
        return vat_dbf(classes, pixels)
    raise ValueError(f"a side file of kind {kind!r} needs classes, counts or a place, and they are not given")
