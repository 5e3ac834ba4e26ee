"""The `.aux.xml` of a mask: class names, colours and counts, and a georeference, as GDAL and QGIS read them.

Format: GDAL's Persistent Auxiliary Metadata. noseam writes it itself, because GDAL from 3.12 on would put the attribute
table inside the TIFF, where older releases do not look.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from rasterio import Affine
from rasterio.control import GroundControlPoint

from tiler.classes import NO_LABEL, ClassTable
from tiler.masks.sidecars.legend import Entry, legend
from tiler.source.georef import Georeference

_INTEGER, _REAL, _TEXT = 0, 1, 2
_COLUMNS = {
    "Value": (_INTEGER, 5),
    "Count": (_REAL, 1),  # GDAL's integers have 32 bits
    "Class": (_TEXT, 2),
    "Red": (_INTEGER, 6),
    "Green": (_INTEGER, 7),
    "Blue": (_INTEGER, 8),
    "Alpha": (_INTEGER, 9),
}
"""Type and usage of each column of the attribute table, as GDAL numbers them."""


def pam_xml(classes: ClassTable | None, pixels: Sequence[int] | None, place: Georeference | None = None) -> bytes:
    """Return the `.aux.xml` of a mask.

    Parameters
    ----------
    classes : ClassTable or None
        Names and colours, all named; None for a mask that holds no class ids.
    pixels : sequence of int or None
        Number of pixels of each class; the attribute table lists the classes with any. None: it lists all, without
        counts.
    place : Georeference, optional
        Where the mask lies; None for a mask that holds that itself.
    """
    root = Element("PAMDataset")
    if place is not None:
        _add_place(root, place)
    if classes is not None:
        band = SubElement(root, "PAMRasterBand", band="1")
        _add(band, "Description", "class")
        _add(band, "NoDataValue", NO_LABEL)
        categories = SubElement(band, "CategoryNames")
        for name in classes.names:
            _add(categories, "Category", name)
        _add_attribute_table(band, legend(classes, pixels), counted=pixels is not None)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=False))


def _add_place(root: Element, place: Georeference) -> None:
    wkt = "" if place.crs is None else place.crs.to_wkt()
    if place.gcps:
        _add_gcps(root, place.gcps, wkt)
        return
    if wkt:
        _add(root, "SRS", wkt)  # without an axis mapping GDAL takes x for east and y for north
    if place.transform != Affine.identity():
        _add(root, "GeoTransform", ", ".join(map(repr, place.transform.to_gdal())))


def _add(parent: Element, tag: str, content: object) -> None:
    SubElement(parent, tag).text = str(content)


def _add_gcps(root: Element, gcps: Sequence[GroundControlPoint], wkt: str) -> None:
    points = SubElement(root, "GCPList", {"Projection": wkt} if wkt else {})
    for index, gcp in enumerate(gcps, start=1):
        place = {"Pixel": gcp.col, "Line": gcp.row, "X": gcp.x, "Y": gcp.y, "Z": gcp.z or 0.0}
        SubElement(points, "GCP", {"Id": str(index)} | {key: repr(float(number)) for key, number in place.items()})


def _add_attribute_table(band: Element, entries: Sequence[Entry], *, counted: bool) -> None:
    table = SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    columns = [name for name in _COLUMNS if counted or name != "Count"]
    for index, name in enumerate(columns):
        kind, usage = _COLUMNS[name]
        column = SubElement(table, "FieldDefn", index=str(index))
        for tag, content in (("Name", name), ("Type", kind), ("Usage", usage)):
            _add(column, tag, content)
    for index, entry in enumerate(entries):
        row = SubElement(table, "Row", index=str(index))
        cells = dict(zip(_COLUMNS, (entry.value, entry.pixels, entry.name, *entry.colour, 255), strict=True))
        for name in columns:
            _add(row, "F", cells[name])
