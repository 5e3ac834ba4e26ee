from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from tests.make import GCPS, RPCS, UTM
from tiler.source.footprint import Footprint, overlap_in_words, overlapping, overlaps
from tiler.source.georef import Georeference

NEXT_ZONE, DEGREES = CRS.from_epsg(32634), CRS.from_epsg(4326)


def raster(
    x: float,
    y: float,
    *,
    crs: CRS | None = UTM,
    pixel: float = 1.0,
    turn: float = 0,
    shape: tuple[int, int] = (300, 400),
) -> Footprint:
    """Return an image whose upper left corner lies at (x, y)."""
    place = Affine.translation(x, y) @ Affine.rotation(turn) @ Affine.scale(pixel, -pixel)
    return Footprint(Georeference(crs, place), shape)


def by_points(footprint: Footprint, points: Affine) -> Footprint:
    """Return the same image, placed by control points instead."""
    rows, cols = footprint.shape
    corners = ((0, 0), (0, cols), (rows, 0), (rows, cols))
    gcps = tuple(GroundControlPoint(row, col, *(points @ (col, row))) for row, col in corners)
    return Footprint(Georeference(UTM, gcps=gcps), footprint.shape)


def test_images_overlap_where_they_share_ground() -> None:
    images = [raster(500_000, 5_000_000), raster(500_200, 5_000_100), raster(501_000, 5_000_000)]
    assert overlapping(images) == (0, 1)
    assert overlapping([*images, raster(501_400, 5_000_000, shape=(9, 9))]) == (0, 1)
    assert overlapping([*images, raster(501_100, 4_999_900, shape=(9, 9))]) == (0, 1, 2, 3)


@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(3857), DEGREES, None])
@pytest.mark.parametrize("beyond", [0.0, 0.5, 1.0])
def test_sheets_that_share_an_edge_or_a_row_of_pixels_do_not(crs: CRS | None, beyond: float) -> None:
    pixel = 1e-4 if crs == DEGREES else 1.0
    x, y = (10.0, 50.0) if crs == DEGREES else (500_000.0, 5_000_000.0)
    images = [
        raster(x + i * (400 - beyond) * pixel, y + j * 300 * pixel, crs=crs, pixel=pixel)
        for i in range(3)
        for j in range(3)
    ]
    images.append(raster(x + 13 * pixel, y - 300 * pixel, crs=crs, pixel=pixel, shape=(290, 700)))
    assert overlapping(images) == ()


def test_twenty_rows_that_two_sheets_share_count() -> None:
    assert overlapping([raster(500_000, 5_000_000), raster(500_000, 5_000_000 - 280)]) == (0, 1)


def test_copies_and_turned_images_of_one_place_overlap() -> None:
    assert overlapping([raster(500_000, 5_000_000), raster(500_000, 5_000_000)]) == (0, 1)
    assert overlapping([raster(500_000, 5_000_000), raster(500_000, 5_000_000, turn=180)]) == ()
    assert overlapping([raster(500_000, 5_000_000), raster(500_100, 5_000_000, turn=30)]) == (0, 1)


def test_images_of_two_zones_overlap_where_the_ground_is_one() -> None:
    (x,), (y,) = reproject(UTM, NEXT_ZONE, [765_000], [5_000_000])[:2]
    there, beside = raster(x, y, crs=NEXT_ZONE), raster(x + 500, y, crs=NEXT_ZONE)
    assert overlapping([raster(765_000, 5_000_000), there, beside]) == (0, 1)


def test_an_image_in_degrees_lies_across_the_date_line() -> None:
    fiji = raster(179.99, -17.0, crs=DEGREES, pixel=1e-4)
    assert overlapping([fiji, raster(-179.98, -17.01, crs=DEGREES, pixel=1e-4)]) == (0, 1)


def test_control_points_count_as_the_transform_that_fits_them() -> None:
    first = raster(500_000, 5_000_000)
    points = by_points(first, first.georeference.transform)
    far = by_points(first, Affine.translation(1000, 0) @ first.georeference.transform)
    assert overlapping([first, points, far]) == (0, 1)


def test_an_image_without_a_place_shares_nothing() -> None:
    on_a_line = tuple(GroundControlPoint(k, k, 500_000 + k, 5_000_000, 0) for k in range(3))
    nowhere = [
        Footprint(place, (300, 400))
        for place in (Georeference(), Georeference(rpcs=RPCS), Georeference(UTM, gcps=on_a_line), Georeference(UTM))
    ]
    assert overlapping([*nowhere, *nowhere]) == ()
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    assert overlapping([raster(0, 0, crs=local), raster(0, 0, crs=local)]) == ()
    assert overlapping([raster(0, 0, crs=None), raster(9, 9, crs=None), raster(500_000, 5_000_000)]) == (0, 1)
    assert overlapping([]) == ()
    assert overlapping([Footprint(Georeference(UTM, gcps=GCPS), (20, 30))]) == ()


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), st.integers(0, 360)), max_size=12))
def test_it_finds_what_every_pair_tells(places: list[tuple[int, int, int]]) -> None:
    images = [raster(500_000 + x, 5_000_000 + y, turn=turn, shape=(90, 120)) for x, y, turn in places]
    corners = ((0, 0), (120, 0), (120, 90), (0, 90))
    shapes = [shapely.Polygon([image.georeference.transform @ corner for corner in corners]) for image in images]
    shared = np.array([[shapely.area(shapely.intersection(a, b)) for b in shapes] for a in shapes])
    shared = shared.reshape(len(shapes), len(shapes)) / (90 * 120)
    np.fill_diagonal(shared, 0)
    if not ((shared > 0.0049) & (shared < 0.0051)).any():
        assert overlapping(images) == tuple(np.flatnonzero((shared > 0.005).any(axis=1)))


def test_the_words_name_the_first() -> None:
    images = [raster(500_000 + 1000 * min(k, 2), 5_000_000) for k in range(4)]
    found = overlap_in_words(images, ["a.tif", "b.tif", "c.tif", "d.tif"], "masks")
    assert found == "the outlines of 2 of the 4 masks overlap on the ground, such as c.tif's"
    assert overlap_in_words(images[:3], ["a.tif", "b.tif", "c.tif"], "masks") == ""


def degrees(west: float, south: float, east: float, north: float) -> Footprint:
    """Return an image in longitude and latitude."""
    place = Affine.translation(west, north) @ Affine.scale((east - west) / 180, (south - north) / 90)
    return Footprint(Georeference(DEGREES, place), (90, 180))


@pytest.mark.parametrize("globe", [(-180, -90, 180, 90), (-179, -89, 179, 89), (0, -90, 360, 90)])
def test_an_image_of_the_globe_overlaps_every_other(globe: tuple[int, int, int, int]) -> None:
    for other in (raster(500_000, 5_000_000), degrees(-60, -30, -59, -29), degrees(-180, -90, 0, 90)):
        assert overlapping([degrees(*globe), other]) == (0, 1)
        assert overlapping([other, degrees(*globe)]) == (0, 1)
    assert overlapping([degrees(*globe)]) == overlapping([degrees(*globe), raster(0, 0, crs=None)]) == ()


def test_an_image_of_a_hemisphere_overlaps_what_lies_on_it() -> None:
    west, east = degrees(-180, -90, 0, 90), degrees(0, -90, 180, 90)
    graz, brazil = degrees(15, 47, 15.1, 47.1), degrees(-60, -30, -59, -29)
    assert overlapping([west, east, graz]) == (1, 2)
    assert overlapping([graz, west, brazil]) == (1, 2)
    assert overlapping([west, east]) == ()
    assert overlapping([west, degrees(190, 10, 191, 11), graz]) == (0, 1)


def test_images_that_reach_a_pole_or_beyond_the_globe_count_by_longitude_and_latitude() -> None:
    side = 9_000_000
    quadrants = [
        raster(x, y, crs=CRS.from_epsg(3995), pixel=side / 300, shape=(300, 300)) for x in (-side, 0) for y in (0, side)
    ]
    assert overlapping(quadrants) == ()
    assert overlapping([*quadrants, degrees(10, 80, 11, 81)]) == (2, 4)
    disk = CRS.from_user_input("+proj=geos +h=35785831 +lon_0=0 +sweep=y")
    full = raster(-5_500_000, 5_500_000, crs=disk, pixel=110_000, shape=(100, 100))
    assert overlapping([full, degrees(10, 50, 11, 51), degrees(170, 0, 171, 1)]) == (0, 1)


def test_overlaps_are_told_pair_by_pair_across_zones_and_images_without_a_place_left_out() -> None:
    (x,), (y,) = reproject(UTM, NEXT_ZONE, [500_100], [5_000_000])
    images = [
        raster(500_000, 5_000_000), Footprint(Georeference(), (9, 9)), raster(500_300, 5_000_000),
        raster(500_600, 5_000_000), raster(x, y, crs=NEXT_ZONE), raster(0, 0, crs=None), raster(100, 0, crs=None),
    ]  # fmt: skip
    pairs, compared = overlaps(images)
    assert sorted(pairs) == [(0, 2), (0, 4), (2, 3), (2, 4), (5, 6)]
    assert compared == {0, 2, 3, 4, 5, 6}
    assert overlaps([]) == ([], frozenset())


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=8))
def test_what_overlaps_anything_is_what_some_pair_holds(places: list[tuple[int, int]]) -> None:
    images = [raster(500_000 + x, 5_000_000 + y) for x, y in places]
    assert sorted({index for pair in overlaps(images)[0] for index in pair}) == list(overlapping(images))
