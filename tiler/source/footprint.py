"""The ground that images cover, and whether any of it is covered more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.transform import from_gcps
from rasterio.warp import transform as reproject

from tiler.source.georef import Georeference

_SHARED = 0.005
"""Images overlap if they share more than this part of the smaller one. Sheets of a map share an edge or few pixels."""
_POINTS_PER_SIDE = 16
"""A side that is straight in one CRS bends in another."""
_Outlines = list[tuple[int, NDArray[np.float64]]]
"""Images by their index, with points along their sides."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """An image as a piece of ground: all of its raster, whether its pixels are valid or not."""

    georeference: Georeference
    """Where it lies."""
    shape: tuple[int, int]
    """(height, width), pixels."""


def overlap_in_words(footprints: Sequence[Footprint], names: Sequence[str], what: str) -> str:
    """Return in words which images `overlapping` finds, with the name of the first; empty where none overlap."""
    found = overlapping(footprints)
    if not found:
        return ""
    count = f"{len(found)} of {len(footprints)} {what}"
    return f"the outlines of {count} overlap on the ground, such as {names[found[0]]}'s"


def overlapping(footprints: Sequence[Footprint]) -> tuple[int, ...]:
    """Return the indices of images that share ground with another of them, in order.

    Two images share ground if that is more than 0.5 % of the smaller one. Control points count as the affine transform
    that fits them best. An image that does not say where it lies shares nothing, and one without CRS shares ground
    with others without CRS alone. RPCs say nothing here, because they need the height of the ground.

    Parameters
    ----------
    footprints : sequence of Footprint
        Their CRSs may differ.

    Returns
    -------
    tuple of int
        Empty where every piece of ground is covered once.
    """
    found: list[int] = []
    for plane in _planes(footprints):
        numbers = np.array([number for number, _ in plane])
        found += numbers[_sharing(np.array([polygon for _, polygon in plane], object))].tolist()
    return tuple(sorted(found))


def _planes(footprints: Sequence[Footprint]) -> list[list[tuple[int, Any]]]:
    """Return (index, polygon) of the images in two planes: those with a CRS, on one map, and those without."""
    by_crs: defaultdict[CRS | None, _Outlines] = defaultdict(list)
    for number, footprint in enumerate(footprints):
        if (outline := _outline(footprint)) is not None:
            by_crs[footprint.georeference.crs].append((number, outline))
    planes = by_crs.pop(None, []), _on_one_map(by_crs)
    drawn = ([(number, shapely.Polygon(outline)) for number, outline in plane] for plane in planes)
    return [kept for plane in drawn if (kept := [each for each in plane if shapely.is_valid(each[1])])]


def _outline(footprint: Footprint) -> NDArray[np.float64] | None:
    """Return points along the sides of an image in its CRS, shape (n, 2); None where they make no area."""
    transform = _transform(footprint.georeference)
    if transform is None:
        return None
    along = np.arange(_POINTS_PER_SIDE) / _POINTS_PER_SIDE
    zero, one = np.zeros_like(along), np.ones_like(along)
    height, width = footprint.shape
    cols = width * np.concatenate((along, one, 1 - along, zero))
    rows = height * np.concatenate((zero, along, one, 1 - along))
    a, b, c, d, e, f = transform[:6]
    points = np.stack((a * cols + b * rows + c, d * cols + e * rows + f), axis=1)
    return points if np.isfinite(points).all() and transform.determinant else None


def _transform(georeference: Georeference) -> Affine | None:
    if georeference.gcps:
        try:
            return from_gcps(list(georeference.gcps))
        except Exception:  # GDAL's own, private to rasterio: the points lie on a line
            return None
    return None if georeference.transform == Affine.identity() else georeference.transform


def _on_one_map(by_crs: dict[CRS | None, _Outlines]) -> _Outlines:
    """Return outlines on one equal-area map around the first of them; those that are off the map are left out."""
    found: _Outlines = []
    middle: tuple[float, float] | None = None
    for crs, outlines in by_crs.items():
        try:
            middle = middle or _longitude_latitude(crs, outlines[0][1][0])
            target = f"+proj=laea +lon_0={middle[0]:.6f} +lat_0={middle[1]:.6f} +datum=WGS84"
            x, y = np.concatenate([outline for _, outline in outlines]).T
            points = np.stack([np.asarray(axis) for axis in reproject(crs, target, x, y)[:2]], axis=1)
        except Exception:  # GDAL's own, private to rasterio: a local CRS
            continue
        mapped = zip(outlines, np.split(points, len(outlines)), strict=True)
        found += [(number, outline) for (number, _), outline in mapped if np.isfinite(outline).all()]
    return found


def _longitude_latitude(crs: CRS | None, point: NDArray[np.float64]) -> tuple[float, float]:
    longitude, latitude = reproject(crs, "EPSG:4326", [point[0]], [point[1]])[:2]
    return longitude[0], latitude[0]


def _sharing(polygons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say of each polygon whether it shares area with another.

    Each is compared until one partner is found, so thousands of images of one place take no longer than others.
    """
    tree, areas = shapely.STRtree(polygons), shapely.area(polygons)
    sharing = np.zeros(len(polygons), np.bool_)
    for number, polygon in enumerate(polygons):
        if sharing[number]:
            continue
        for other in tree.query(polygon, predicate="intersects").tolist():
            least = _SHARED * min(areas[number], areas[other])
            if other != number and shapely.area(shapely.intersection(polygon, polygons[other])) > least:
                sharing[[number, other]] = True
                break
    return sharing
