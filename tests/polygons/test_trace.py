from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import shapes, sieve

from tests.make import noise
from tiler.classes import NO_LABEL
from tiler.polygons.outlines import ground_areas, simplify_tile, without_straight_corners
from tiler.polygons.sieve import sieved, strips
from tiler.polygons.smooth import smooth_lines
from tiler.polygons.trace import Patches, trace

Labels = NDArray[np.uint8]
MAPPED = Path("/proc/self/maps")
SMALL = arrays(np.uint8, st.tuples(st.integers(1, 18), st.integers(1, 18)), elements=st.sampled_from([0, 1, 2, 255]))
TILES = st.integers(1, 9)


def traced(labels: Labels, tile_px: int, **options: Any) -> Patches:
    found = list(
        trace((labels[row : row + tile_px] for row in range(0, len(labels), tile_px)), tile_px=tile_px, **options)
    )
    return Patches(
        np.concatenate([part.class_ids for part in found]), np.concatenate([part.polygons for part in found])
    )


def at_once(labels: Labels) -> Patches:
    found = [(int(value), shapely.geometry.shape(shape)) for shape, value in shapes(labels, mask=labels != NO_LABEL)]
    return Patches(
        np.array([class_id for class_id, _ in found], np.uint8), np.array([shape for _, shape in found], object)
    )


def listed(patches: Patches) -> list[tuple[int, str]]:
    """Return polygons in a fixed order, each from a fixed corner in a fixed direction."""
    normal = shapely.to_wkb(shapely.normalize(patches.polygons), hex=True)
    return sorted(zip(patches.class_ids.tolist(), normal, strict=True))


def blobs(height: int, width: int, *, classes: int, cell: int) -> Labels:
    fields = []
    for seed in range(classes):
        coarse = np.random.default_rng(seed).normal(size=(height // cell, width // cell)).astype(np.float32)
        fields.append(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)))
    labels: Labels = np.argmax(fields, axis=0).astype(np.uint8)
    return labels


def drawn(*rows: str) -> Labels:
    """Return labels from digits; a dot is no label."""
    return np.array([[NO_LABEL if letter == "." else int(letter) for letter in row] for row in rows], np.uint8)


RING_AROUND_A_TILE = drawn(
    "11111111", "11111111", "11000011", "11000011", "11000011", "11000011", "11111111", "11111111"
)
PINCH = drawn("11110000", "10010000", "10010000", "11101111", "00011001", "00011001", "00011111", "00000000")
NESTED = drawn(
    "111111111",
    "100000001",
    "101111101",
    "1010.0101",
    "101.1.101",
    "1010.0101",
    "101111101",
    "100000001",
    "111111111",
)
COMB = drawn("1.1.1.1.1", "1.1.1.1.1", "111111111", "1.1.1.1.1", "1.1.1.1.1")


@given(SMALL, TILES)
def test_tiles_give_what_the_whole_gives(labels: Labels, tile_px: int) -> None:
    found = traced(labels, tile_px)
    assert listed(found) == listed(at_once(labels))
    assert shapely.is_valid(found.polygons).all()


@pytest.mark.parametrize("labels", [RING_AROUND_A_TILE, PINCH, NESTED, COMB, drawn("."), drawn("3")])
@pytest.mark.parametrize("tile_px", [1, 2, 3, 4, 5, 9])
def test_rings_pinches_and_combs_are_merged_exactly(labels: Labels, tile_px: int) -> None:
    assert listed(traced(labels, tile_px)) == listed(at_once(labels))


@pytest.mark.parametrize("tile_px", [100, 128, 999])
def test_blobs_and_noise_are_merged_exactly(tile_px: int) -> None:
    for labels in (blobs(410, 530, classes=5, cell=16), noise(120, 230, high=3)):
        assert listed(traced(labels, tile_px)) == listed(at_once(labels))


def test_what_has_no_label_has_no_polygon() -> None:
    labels = drawn("..1", "...")
    assert listed(traced(labels, 2)) == listed(traced(labels, 9))
    assert shapely.area(traced(labels, 2).polygons).tolist() == [1]


@given(SMALL, TILES)
def test_the_classes_that_are_wanted_are_those_among_all(labels: Labels, tile_px: int) -> None:
    found = traced(labels, tile_px)
    assert listed(traced(labels, tile_px, keep={0, 2})) == listed(found.pick(np.isin(found.class_ids, (0, 2))))


def test_polygons_are_finished_with_the_row_of_tiles_that_holds_their_last_pixel() -> None:
    rows = iter(drawn("11", "..", "..", "..", ".2", ".."))
    found = trace((np.stack((next(rows), next(rows))) for _ in range(3)), tile_px=2)
    first = next(part for part in found if len(part))
    assert first.class_ids.tolist() == [1]
    assert len(list(rows)) == 4


@given(SMALL, TILES, st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_simplified_polygons_neither_overlap_nor_gape(labels: Labels, tile_px: int, tolerance: float) -> None:
    exact, simple = traced(labels, tile_px), traced(labels, tile_px, simplify_px=tolerance)
    assert sorted(simple.class_ids.tolist()) == sorted(exact.class_ids.tolist())
    assert shapely.is_valid(simple.polygons).all()
    total = shapely.area(exact.polygons).sum()
    assert shapely.area(simple.polygons).sum() == pytest.approx(total)
    assert shapely.area(shapely.union_all(simple.polygons)) == pytest.approx(total)


@settings(max_examples=30)
@given(SMALL, TILES, st.sampled_from([0.0, 0.5, 2.0]))
def test_smooth_polygons_neither_overlap_nor_gape(labels: Labels, tile_px: int, tolerance: float) -> None:
    exact, smooth = traced(labels, tile_px), traced(labels, tile_px, simplify_px=tolerance, smooth=True)
    assert sorted(smooth.class_ids.tolist()) == sorted(exact.class_ids.tolist())
    assert shapely.is_valid(smooth.polygons).all()
    total = shapely.area(exact.polygons).sum()
    assert shapely.area(smooth.polygons).sum() == pytest.approx(total)
    assert shapely.area(shapely.union_all(smooth.polygons)) == pytest.approx(total)


@given(SMALL)
def test_smooth_lines_stay_near_and_are_shared(labels: Labels) -> None:
    polygons = shapely.segmentize(at_once(labels).polygons, 1.0)
    smooth = smooth_lines(polygons)
    assert shapely.coverage_is_valid(smooth)
    before, after = (shapely.get_coordinates(each) for each in (polygons, smooth))
    assert np.abs(after - before).max(initial=0) <= 0.49 + 1e-9
    moved: dict[tuple[float, ...], tuple[float, ...]] = {}
    for old, new in zip(map(tuple, before.tolist()), map(tuple, after.tolist()), strict=True):
        assert moved.setdefault(old, new) == new


def slowly_smooth(labels: Labels) -> dict[tuple[int, int], tuple[float, float]]:
    """Return where each corner of a pixel on a line goes, by (column, row), one corner after the other."""
    padded = np.pad(labels.astype(int), 1, constant_values=-1)
    neighbours: dict[tuple[int, int], list[tuple[int, int]]] = {}
    fixed = set()
    for row, col in np.ndindex(labels.shape[0] + 1, labels.shape[1] + 1):
        for one, other, end in (
            (padded[row, col + 1], padded[row + 1, col + 1], (col + 1, row)),  # above and below an edge to the right
            (padded[row + 1, col], padded[row + 1, col + 1], (col, row + 1)),  # left and right of an edge downwards
        ):
            if one != other:
                for start, stop in (((col, row), end), (end, (col, row))):
                    neighbours.setdefault(start, []).append(stop)
                    if {one, other} & {-1, NO_LABEL}:
                        fixed.add(start)
    fixed |= {corner for corner, others in neighbours.items() if len(others) != 2}
    at = {corner: np.array(corner, float) for corner in neighbours}
    for factor in (0.6, -0.62) * 60:
        new = dict(at)
        for corner, (a, b) in ((corner, others) for corner, others in neighbours.items() if corner not in fixed):
            away = at[corner] + factor * ((at[a] + at[b]) / 2 - at[corner]) - corner
            new[corner] = corner + np.clip(away, -0.49, 0.49)
        at = new
    return {corner: (float(x), float(y)) for corner, (x, y) in at.items()}


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 255])))
def test_smooth_lines_are_those_of_the_slow_definition(labels: Labels) -> None:
    polygons = shapely.segmentize(at_once(labels).polygons, 1.0)
    before, after = (shapely.get_coordinates(each) for each in (polygons, smooth_lines(polygons)))
    goes = slowly_smooth(labels)
    expected = [goes[int(x), int(y)] for x, y in before]
    np.testing.assert_allclose(after, np.array(expected).reshape(-1, 2), atol=1e-9)


def test_a_smooth_slope_has_no_steps_and_a_small_square_keeps_its_area() -> None:
    slope = (np.arange(90) < 5 * np.arange(1, 19)[:, np.newaxis]).astype(np.uint8)  # a step of 1 pixel in 5
    stepped, smooth = traced(slope, 99), traced(slope, 99, smooth=True)
    assert shapely.get_num_coordinates(stepped.polygons).min() > 30
    assert shapely.get_num_coordinates(smooth.polygons).max() < 20
    x, y = shapely.get_coordinates(smooth_lines(shapely.segmentize(at_once(slope).polygons, 1.0))).T
    inside = (x > 20) & (x < 70) & (y > 0) & (y < 18)
    assert inside.sum() > 50
    assert np.ptp((x - 5 * y)[inside]) < 0.5
    island = np.zeros((20, 20), np.uint8)
    island[8:12, 8:12] = 1
    found = traced(island, 99, smooth=True)
    assert shapely.area(found.polygons[found.class_ids == 1]).sum() == pytest.approx(16, rel=0.1)


def test_simplifying_leaves_few_corners_and_the_sides_of_the_tile() -> None:
    exact = at_once(blobs(300, 300, classes=4, cell=30)).polygons
    simple = simplify_tile(exact, 2.0)
    before, after = (
        shapely.get_num_coordinates(polygons).sum() for polygons in (exact, without_straight_corners(simple))
    )
    assert after < before / 3
    assert shapely.equals(shapely.union_all(simple), shapely.box(0, 0, 300, 300))


@given(SMALL)
def test_areas_in_pixels_are_those_of_the_plane(labels: Labels) -> None:
    for polygons in (at_once(labels).polygons, traced(labels, 7, simplify_px=2.0).polygons):
        found = ground_areas(polygons, np.arange(labels.shape[0] + 1.0))
        np.testing.assert_allclose(found, shapely.area(polygons), rtol=1e-12)


def test_areas_follow_the_size_of_the_rows() -> None:
    rows = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    labels = drawn("11111", "10001", "10101", "10001", "11111")
    found = at_once(labels)
    areas = ground_areas(found.polygons, np.append(0.0, np.cumsum(rows)))
    counted = (rows[:, np.newaxis] * (labels == 1)).sum()
    assert areas.sum() == 5 * rows.sum()
    assert areas[found.class_ids == 1].sum() == counted


def test_straight_corners_go_wherever_the_ring_starts() -> None:
    ring = [(1, 0), (2, 0), (2, 2), (1, 2), (0, 2), (0, 1), (0, 0), (1, 0)]
    hole = [(0.5, 0.5), (0.5, 1), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5), (0.5, 0.5)]
    found = without_straight_corners(np.array([shapely.Polygon(ring, [hole]), shapely.box(5, 5, 6, 6)]))
    assert shapely.get_num_coordinates(found).tolist() == [10, 5]
    assert shapely.is_valid(found).all()
    assert shapely.area(found).tolist() == [3, 1]


@given(SMALL, st.integers(1, 30))
def test_streamed_sieve_is_the_sieve_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, labels: Labels, size: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with sieved(lambda window: labels[window.slices], labels.shape, size, folder) as read:
        found = np.concatenate(list(strips(read, labels.shape, 5)))
    np.testing.assert_array_equal(found, sieve(labels, min(size, labels.size), mask=labels != NO_LABEL))
    np.testing.assert_array_equal(found == NO_LABEL, labels == NO_LABEL)


def test_the_sieve_leaves_nothing_behind(tmp_path: Path) -> None:
    labels = noise(600, 70, high=3)
    with sieved(lambda window: labels[window.slices], labels.shape, 20, tmp_path) as read:
        np.testing.assert_array_equal(np.concatenate(list(strips(read, labels.shape))), sieve(labels, 20))
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not MAPPED.exists(), reason="the system does not say which files are mapped")
def test_the_sieve_lets_go_of_its_file_while_its_labels_are_still_used(tmp_path: Path) -> None:
    """A mapped file cannot be removed on Windows."""
    labels = noise(600, 70, high=3)
    with sieved(lambda window: labels[window.slices], labels.shape, 20, tmp_path) as read:
        kept = list(strips(read, labels.shape))
    assert str(tmp_path) not in MAPPED.read_text()
    np.testing.assert_array_equal(np.concatenate(kept), sieve(labels, 20))
