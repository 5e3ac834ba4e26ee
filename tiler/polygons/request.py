"""What to make of label masks, and what came of it; needs none of the packages that write polygons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import PolygonError, PolygonRequestError
from tiler.files.vector import Format
from tiler.option import REQUIRED, check, option

LEAST_PIXELS = 16
"""Patches of fewer pixels are noise unless the user says otherwise. A square of 4 x 4 pixels is about the least that
people can name in an image, and at full resolution it is one cell of the network's answer."""
_MOST_CLASSES = 255


@dataclass(frozen=True, kw_only=True)
class PolygonOptions:
    """Which polygons to make of label masks, and how fine."""

    min_area_m2: float | None = option(
        None,
        "Smaller patches, so also small holes, become part of their largest neighbour. Their ground area counts, in "
        "square metres, which needs georeferenced masks; 0 keeps every patch.",
        unit="M2",
        least=0,
        shown=f"{LEAST_PIXELS} pixels",
        group="polygons",
    )
    simplify_px: float = option(
        0.0,
        "The outlines of polygons may leave those of the pixels by PX pixels; neighbours stay without gaps.",
        unit="PX",
        least=0,
        group="polygons",
    )
    smooth: bool = option(
        False,
        "The outlines of polygons lose the steps of the pixels. They leave those of the pixels by less than half a "
        "pixel; neighbours stay without gaps.",
        group="polygons",
    )
    only: tuple[str, ...] = option(
        (),
        "Polygons of this class alone are written, by its name or id. Give the option again for more classes.",
        unit="CLASS",
        shown="all",
        group="polygons",
    )
    tile_px: int = 1024
    """Side of the tiles that are traced at once; the polygons do not depend on it unless they are simplified."""

    def __post_init__(self) -> None:
        check(self, PolygonError)
        if self.tile_px < 1:
            raise PolygonError(f"tile_px: at least 1 expected, {self.tile_px} found")

    @property
    def key(self) -> str:
        """What masks carry of these options; another text makes masks with polygons again.

        The text names a class and a field as an earlier version did, so that masks of that version stay current.
        """
        return (
            f"PolygonRequest(min_area_m2={self.min_area_m2}, simplify_px={self.simplify_px}, "
            f"classes={self.only}, tile_px={self.tile_px})" + ", smooth" * self.smooth
        )

    def chosen(self, names: Sequence[str]) -> frozenset[int] | None:
        """Return the ids of the wanted classes; None where every class is wanted.

        Parameters
        ----------
        names : sequence of str
            Names of all classes, by id.

        Raises
        ------
        PolygonRequestError
            If a wanted class is unknown. The message lists those that are known.
        """
        if not self.only:
            return None
        return frozenset(class_id for wanted in self.only for class_id in _ids(wanted, names))


def _ids(wanted: str, names: Sequence[str]) -> list[int]:
    ids = [class_id for class_id, name in enumerate(names) if name == wanted]
    if not ids and wanted.isdecimal() and int(wanted) < (len(names) or _MOST_CLASSES):
        return [int(wanted)]
    if not ids:
        known = ", ".join(f"{class_id} {name}" for class_id, name in enumerate(names))
        raise PolygonRequestError(f"no class {wanted!r}; known: {known or 'ids 0 to 254, without names'}")
    return ids


@dataclass(frozen=True, slots=True)
class ClassArea:
    """What a class covers in the masks, and what its polygons cover after small patches went and outlines changed."""

    name: str
    """Its name."""
    before: float
    """In the masks."""
    after: float
    """Of the polygons."""

    @property
    def change(self) -> float:
        """Change in percent; infinite where the masks have none of it."""
        if not self.before:
            return math.inf if self.after else 0.0
        return 100 * (self.after - self.before) / self.before


@dataclass(frozen=True, slots=True)
class PolygonReport:
    """What was written."""

    polygons: int
    """Number of polygons."""
    area_m2: Mapping[str, float] | None
    """Ground area by class name, in order of name; None where a mask does not say where it lies."""
    notes: tuple[str, ...]
    """What the user should know of the result."""
    least: str
    """The area below which patches became part of their neighbour, in words; empty where every patch stayed."""
    areas: tuple[ClassArea, ...]
    """What became of the area of each class, in order of name."""
    unit: Literal["m2", "pixels"]
    """Unit of `areas`."""


@dataclass(frozen=True, kw_only=True)
class PolygonsRequest:
    """What the user asked of label masks that become polygons."""

    masks: tuple[Path, ...] = option(
        REQUIRED,
        "These label masks become polygons; in a folder every *_label.png and *_label.tif counts.",
        unit="MASK",
        exists=True,
        positional=True,
    )
    out: Path = option(
        REQUIRED,
        "One file gets the polygons of all masks if this name ends as a vector file: .gpkg, .fgb, .geojson, .geojsonl, "
        ".geojsons, .parquet, .kml, .dxf or .shp. A name without such an ending is a folder, which gets one file for "
        "each mask. Another ending of 2 to 8 letters is refused, unless that folder is there.",
        unit="FILE|DIR",
    )
    format: Format = option(
        "gpkg",
        "Files in a folder are stored so: GeoPackage, FlatGeobuf, GeoJSON, lines of GeoJSON, GeoParquet, KML, DXF or "
        "shapefile.",
    )
    polygons: PolygonOptions = PolygonOptions()
    """Which polygons, and how fine."""

    def __post_init__(self) -> None:
        check(self, PolygonError)
