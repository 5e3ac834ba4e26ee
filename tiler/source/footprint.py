"""The ground that images cover, and whether any of it is covered more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

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
_POINTS_PER_RAY = 17
"""From the middle of a wide image to its sides; longitudes of neighbours must differ by less than half a turn."""
_COSINE = 0.5
"""Of 60 degrees of arc."""
_TURNS = np.array([[-720.0], [-360.0], [0.0], [360.0], [720.0]])
"""Longitudes that differ by so much are one place."""
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
    count = f"{len(found)} of the {len(footprints)} {what}"
    return f"the outlines of {count} overlap on the ground, such as {names[found[0]]}'s"


def overlapping(footprints: Sequence[Footprint]) -> tuple[int, ...]:
    """Return the indices of images that share ground with another of them, in order.

    Two images share ground if that is more than 0.5 % of the smaller one. Control points count as the affine transform
    that fits them best. An image that does not say where it lies shares nothing, and one without CRS shares ground
    with others without CRS alone. RPCs say nothing here, because they need the height of the ground. An image that is
    too large for a map, such as one of a hemisphere, counts as all that lies between its least and greatest longitude
    and latitude.

    Parameters
    ----------
    footprints : sequence of Footprint
        Their CRSs may differ.

    Returns
    -------
    tuple of int
        Empty where every piece of ground is covered once.
    """
    by_crs: defaultdict[CRS | None, _Outlines] = defaultdict(list)
    for number, footprint in enumerate(footprints):
        if (outline := _outline(footprint)) is not None:
            by_crs[footprint.georeference.crs].append((number, outline))
    local = by_crs.pop(None, [])
    placed = [each for crs, outlines in by_crs.items() for each in _placed(crs, outlines)]
    return tuple(sorted({*_on_plane(local), *_on_plane(_on_one_map(placed)), *_with_wide(placed)}))


def overlaps(footprints: Sequence[Footprint]) -> tuple[list[tuple[int, int]], frozenset[int]]:
    """Return which images share ground with which, and which say where they lie.

    See `overlapping` for what counts. Images that are too large for a map are left out.

    Returns
    -------
    list of tuple of int
        Pairs of indices, the smaller first.
    frozenset of int
        The indices of the images that were compared.
    """
    by_crs: defaultdict[CRS | None, _Outlines] = defaultdict(list)
    for number, footprint in enumerate(footprints):
        if (outline := _outline(footprint)) is not None:
            by_crs[footprint.georeference.crs].append((number, outline))
    local = by_crs.pop(None, [])
    planes = (local, _on_one_map([each for crs, outlines in by_crs.items() for each in _placed(crs, outlines)]))
    compared = frozenset(number for plane in planes for number, _ in plane)
    return [pair for plane in planes for pair in _pairs(plane)], compared


def _pairs(outlines: _Outlines) -> list[tuple[int, int]]:
    """Return the indices of outlines that share area, pair by pair, all in one plane."""
    numbers, polygons = _drawn(outlines)
    areas = shapely.area(polygons)
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    one, other = one[one < other], other[one < other]
    least = _SHARED * np.minimum(areas[one], areas[other])
    shared = shapely.area(shapely.intersection(polygons[one], polygons[other])) > least
    pairs = np.sort(np.stack((numbers[one[shared]], numbers[other[shared]]), axis=1), axis=1)
    return [(first, second) for first, second in pairs.tolist()]


def corners(footprint: Footprint) -> tuple[tuple[float, float], ...]:
    """Return latitude and longitude of the corners of a raster: top left, top right, bottom right, bottom left.

    It is empty where the image does not say where it lies, where it has no CRS, and where a corner is off the globe.
    """
    outline = _outline(footprint)
    if outline is None or footprint.georeference.crs is None:
        return ()
    degrees = _degrees(footprint.georeference.crs, outline[::_POINTS_PER_SIDE])
    return tuple((lat, lon) for lon, lat in degrees.tolist()) if np.isfinite(degrees).all() else ()


def _on_plane(outlines: _Outlines) -> list[int]:
    """Return the indices of outlines that share area with another, all in one plane."""
    numbers, polygons = _drawn(outlines)
    found: list[int] = numbers[_sharing(polygons)].tolist()
    return found


def _drawn(outlines: _Outlines) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Return the indices and polygons of outlines that do not cross themselves."""
    drawn = [(number, shapely.Polygon(outline)) for number, outline in outlines]
    kept = [(number, polygon) for number, polygon in drawn if shapely.is_valid(polygon)]
    return np.array([number for number, _ in kept], np.int64), np.array([polygon for _, polygon in kept], object)


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
    if gcps := georeference.gcps:
        if np.linalg.matrix_rank([(point.row, point.col, 1) for point in gcps]) < 3:
            return None  # they lie on a line, and GDAL may give memory that it never set
        try:
            return from_gcps(list(gcps))
        except Exception:  # GDAL's own, private to rasterio
            return None
    return None if georeference.transform == Affine.identity() else georeference.transform


@dataclass(frozen=True, slots=True)
class _Placed:
    """An outline on the globe."""

    number: int
    """Index of its image."""
    degrees: NDArray[np.float64]
    """Longitude and latitude of points along its sides, shape (n, 2)."""
    wide: bool
    """Whether it is too large for a map, or reaches beyond the globe."""
    box: NDArray[np.float64]
    """Least and greatest longitude in degrees, least and greatest sine of latitude: its box on an equal-area map."""


def _placed(crs: CRS | None, outlines: _Outlines) -> list[_Placed]:
    """Return outlines of one CRS on the globe; those that are off it are left out."""
    degrees = _degrees(crs, np.concatenate([outline for _, outline in outlines]))
    found = []
    for (number, outline), points in zip(outlines, np.split(degrees, len(outlines)), strict=True):
        wide = _is_wide(points)
        box = _box(_degrees(crs, _rays(outline)).reshape(_POINTS_PER_RAY, -1, 2) if wide else points[:, None])
        found += [_Placed(number, points, wide, box)] if np.isfinite(box).all() else []
    return found


def _degrees(crs: CRS | None, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitude and latitude of points, shape (n, 2); not finite where they are off the globe."""
    try:
        longitude, latitude = reproject(crs, "EPSG:4326", *points.T)[:2]
    except Exception:  # GDAL's own, private to rasterio: a local CRS, or no point is on the globe
        return np.full_like(points, np.inf)
    return np.column_stack((np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)))


def _is_wide(degrees: NDArray[np.float64]) -> bool:
    """Return whether points are not all on the globe, or one is more than 60 degrees of arc from the first."""
    if not np.isfinite(degrees).all():
        return True
    longitude, latitude = np.radians(degrees).T
    flat = np.cos(latitude)
    x, y, z = flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)
    return bool((x * x[0] + y * y[0] + z * z[0]).min() < _COSINE)


def _rays(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points on straight lines from the middle of an outline to each of its points, ray by ray in step."""
    middle: NDArray[np.float64] = outline.mean(axis=0)
    along = np.linspace(0, 1, _POINTS_PER_RAY)[:, None, None]
    return (middle + along * (outline - middle)).reshape(-1, 2)


def _box(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the box of lines of points in degrees, shape (points, lines, 2); longitudes go on along each line."""
    with np.errstate(invalid="ignore"):
        longitude = np.unwrap(np.where(np.isfinite(lines[..., 0]), lines[..., 0], np.nan), axis=0, period=360)
        sine = np.sin(np.radians(lines[..., 1]))
    there = np.isfinite(longitude) & np.isfinite(sine)
    turning = there & (np.abs(sine) < 1)  # a pole has no longitude
    if not turning.any():
        return np.full(4, np.nan)
    return np.array([axis(of) for of in (longitude[turning], sine[there]) for axis in (np.min, np.max)])


def _on_one_map(placed: Sequence[_Placed]) -> _Outlines:
    """Return the outlines that are not wide on one equal-area map around the first; those off the map are left out."""
    narrow = [each for each in placed if not each.wide]
    if not narrow:
        return []
    longitude, latitude = narrow[0].degrees[0]
    target = f"+proj=laea +lon_0={longitude:.6f} +lat_0={latitude:.6f} +datum=WGS84"
    x, y = np.concatenate([each.degrees for each in narrow]).T
    points = np.stack([np.asarray(axis) for axis in reproject("EPSG:4326", target, x, y)[:2]], axis=1)
    mapped = zip(narrow, np.split(points, len(narrow)), strict=True)
    return [(each.number, outline) for each, outline in mapped if np.isfinite(outline).all()]


def _with_wide(placed: Sequence[_Placed]) -> set[int]:
    """Return the indices of wide outlines whose box shares area with that of another, and of those others."""
    numbers, boxes = np.array([each.number for each in placed]), np.array([each.box for each in placed])
    found: set[int] = set()
    for index in (index for index, each in enumerate(placed) if each.wide):
        west, east, south, north = boxes.T
        areas = (east - west) * (north - south)
        height = np.minimum(north, north[index]) - np.maximum(south, south[index])
        turned = west + _TURNS, east + _TURNS
        width = np.minimum(turned[1], east[index]) - np.maximum(turned[0], west[index])
        shared = width.clip(0).sum(axis=0) * height.clip(0) > _SHARED * np.minimum(areas, areas[index])
        shared[index] = False
        found.update(numbers[shared].tolist() + [placed[index].number] * bool(shared.any()))
    return found


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
