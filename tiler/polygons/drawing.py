"""Files of polygons that are drawings: KML for Google Earth, DXF for CAD.

GDAL writes KML without the classes' colours, and DXF only of polygons that are all in memory.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from tiler.classes import Colour
from tiler.polygons.features import FIELD_NAMES, Features
from tiler.polygons.style import as_xml

_DEGREES = CRS.from_epsg(4326)
_KML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- polygons by noseam -->\n'
_DXF_HEAD = "999\npolygons by noseam\n"
HEADS = (_KML_HEAD, _DXF_HEAD)
"""How the drawings that noseam writes begin."""
_LAYER_LETTERS = 31
_GREY, _WHITE = 8, 7
_ACI_LEVELS = ((0.9, 0), (0.6, 2), (0.4, 4), (0.22, 6), (0.0, 8))
"""Brightness from which on a colour of AutoCAD's table is the next less dark one of its hue."""


def kml(features: Iterable[Features], crs: CRS, layer: str, colours: Mapping[str, Colour]) -> Iterator[str]:
    """Yield the text of a KML 2.2 file: a placemark in its class's colour for each polygon.

    Parameters
    ----------
    features : iterable of Features
        Polygons in `crs`.
    crs : CRS
        The file holds longitude and latitude.
    layer : str
        Name of the document.
    colours : mapping of str to (int, int, int)
        Colours by class name, of all classes.
    """
    yield f'{_KML_HEAD}<kml xmlns="http://www.opengis.net/kml/2.2">\n<Document>\n<name>{as_xml(layer)}</name>\n'
    styles = {name: f"c{index}" for index, name in enumerate(colours)}
    for name, (red, green, blue) in colours.items():
        paint = f"{blue:02x}{green:02x}{red:02x}"
        yield (
            f'<Style id="{styles[name]}"><LineStyle><color>ff{paint}</color></LineStyle>'
            f"<PolyStyle><color>a0{paint}</color></PolyStyle></Style>\n"
        )
    kinds = zip(FIELD_NAMES, ("int", "string", "double", "string", "string"), strict=True)
    fields = "".join(f'<SimpleField name="{name}" type="{kind}"></SimpleField>' for name, kind in kinds)
    yield f'<Schema name="polygons" id="polygons">{fields}</Schema>\n'
    for part in features:
        yield "".join(_placemarks(part, crs, styles))
    yield "</Document>\n</kml>\n"


def _placemarks(part: Features, crs: CRS, styles: Mapping[str, str]) -> Iterator[str]:
    areas: Sequence[float | None] = [None] * len(part.polygons) if part.areas_m2 is None else part.areas_m2.tolist()
    polygons = shapely.transform(part.polygons, lambda points: _to_degrees(points, crs))
    columns = part.class_ids.tolist(), part.class_names, areas, _rings(polygons)
    for class_id, name, area, (outer, *holes) in zip(*columns, strict=True):
        values = zip(FIELD_NAMES, (class_id, name, area, part.source, part.model), strict=True)
        data = "".join(
            f'<SimpleData name="{field}">{as_xml(str(value))}</SimpleData>'
            for field, value in values
            if value is not None
        )
        inner = "".join(f"<innerBoundaryIs>{_linear_ring(hole)}</innerBoundaryIs>" for hole in holes)
        yield (
            f"<Placemark><name>{as_xml(name)}</name><styleUrl>#{styles[name]}</styleUrl>"
            f'<ExtendedData><SchemaData schemaUrl="#polygons">{data}</SchemaData></ExtendedData>'
            f"<Polygon><outerBoundaryIs>{_linear_ring(outer)}</outerBoundaryIs>{inner}</Polygon></Placemark>\n"
        )


def _to_degrees(points: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    return np.stack([np.asarray(axis) for axis in reproject(crs, _DEGREES, *points.T)[:2]], axis=1)


def _linear_ring(points: NDArray[np.float64]) -> str:
    text = " ".join(f"{x:.9f},{y:.9f}" for x, y in points.tolist())
    return f"<LinearRing><coordinates>{text}</coordinates></LinearRing>"


def _rings(polygons: NDArray[np.object_]) -> Iterator[list[NDArray[np.float64]]]:
    """Yield the rings of each polygon as points, the outer one first."""
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    rings: list[Any] = np.split(points, ring_starts[1:-1])
    for start, stop in zip(polygon_starts[:-1].tolist(), polygon_starts[1:].tolist(), strict=True):
        yield rings[start:stop]


def dxf(features: Iterable[Features], colours: Mapping[str, Colour]) -> Iterator[str]:
    """Yield the text of a DXF file of release 12, which every CAD program reads: a closed polyline for each outline.

    Each class is a layer. The outlines of holes are polylines of their own. Nothing else of a polygon is said.

    Parameters
    ----------
    features : iterable of Features
        Polygons.
    colours : mapping of str to (int, int, int)
        Colours by class name, of all classes; a layer has the one nearest in hue of the 255 that the format knows.
    """
    layers = _layer_names(list(colours))
    table = "".join(
        f"0\nLAYER\n2\n{layers[name]}\n70\n0\n62\n{_aci(colour)}\n6\nCONTINUOUS\n" for name, colour in colours.items()
    )
    yield (
        f"{_DXF_HEAD}0\nSECTION\n2\nHEADER\n9\n$ACADVER\n1\nAC1009\n0\nENDSEC\n0\nSECTION\n2\nTABLES\n"
        "0\nTABLE\n2\nLTYPE\n70\n1\n0\nLTYPE\n2\nCONTINUOUS\n70\n0\n3\nSolid line\n72\n65\n73\n0\n40\n0.0\n0\nENDTAB\n"
        f"0\nTABLE\n2\nLAYER\n70\n{len(layers)}\n{table}0\nENDTAB\n0\nENDSEC\n0\nSECTION\n2\nENTITIES\n"
    )
    for part in features:
        outlines = zip(part.class_names, _rings(part.polygons), strict=True)
        yield "".join(_polyline(ring, layers[name]) for name, rings in outlines for ring in rings)
    yield "0\nENDSEC\n0\nEOF\n"


def _polyline(ring: NDArray[np.float64], layer: str) -> str:
    corners = "".join(
        f"0\nVERTEX\n8\n{layer}\n10\n{round(x, 9)}\n20\n{round(y, 9)}\n30\n0.0\n" for x, y in ring[:-1].tolist()
    )
    return f"0\nPOLYLINE\n8\n{layer}\n66\n1\n10\n0.0\n20\n0.0\n30\n0.0\n70\n1\n{corners}0\nSEQEND\n8\n{layer}\n"


def _layer_names(names: Sequence[str]) -> dict[str, str]:
    """Return names that a layer of release 12 can have, all different in upper case: A-Z, 0-9, $, - and _ alone."""
    found: dict[str, str] = {}
    for index, name in enumerate(names):
        text = re.sub(r"[^A-Za-z0-9$_-]", "_", name)[:_LAYER_LETTERS] or "_"
        taken = {other.upper() for other in found.values()}
        end = f"_{index}"
        found[name] = text if text.upper() not in taken else text[: _LAYER_LETTERS - len(end)] + end
    return found


def _aci(colour: Colour) -> int:
    """Return the number of a colour like this one in AutoCAD's table: 24 hues from 10 on, five of each."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in colour))
    if saturation < 0.2:
        return _WHITE if value > 0.75 or value < 0.25 else _GREY
    dark = next(step for least, step in _ACI_LEVELS if value >= least)
    return 10 + 10 * (round(hue * 24) % 24) + dark
