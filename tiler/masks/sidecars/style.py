"""The `.qml` of a mask: the style that QGIS applies when it loads the mask."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tiler.classes import ClassTable
from tiler.masks.sidecars.legend import legend


def qml_style(classes: ClassTable, pixels: Sequence[int] | None) -> bytes:
    """Return a QGIS style with the names and colours of the classes that a label mask holds.

    Without it QGIS lists all 256 entries of a palette.

    Parameters
    ----------
    classes : ClassTable
        Names and colours.
    pixels : sequence of int or None
        Number of pixels of each class; classes with none are left out. None: all are shown.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = SubElement(
        SubElement(root, "pipe"), "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = SubElement(renderer, "colorPalette")
    for entry in legend(classes, pixels):
        red, green, blue = entry.colour
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        SubElement(palette, "paletteEntry", value=str(entry.value), label=entry.name, color=colour, alpha="255")
    ElementTree.indent(root)
    xml: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)
    return xml
