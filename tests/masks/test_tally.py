from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine
from rasterio.crs import CRS

from tests.make import ROTATED, UTM, noise
from tiler.masks.coverage import AREA_KEY, PIXELS_KEY, Confidence, Coverage, read_coverage
from tiler.masks.tally import Tally, holds
from tiler.source.georef import Georeference
from tiler.stitch.upsample import piece_rows


@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.sampled_from([0, 1, 2, 255])
    ),
    st.lists(st.integers(1, 10)),
)
def test_every_pixel_is_counted_once_however_the_rows_come(labels: np.ndarray, cuts: list[int]) -> None:
    tally = Tally(3, None)
    for part in np.split(labels, sorted(set(cuts))):
        if len(part):
            tally.add(part)
    expected = np.bincount(labels.ravel(), minlength=256)
    assert tally.coverage() == Coverage(tuple(expected[:3].tolist()), int(expected[255]))


def test_area_is_pixels_times_their_ground_in_utm() -> None:
    labels = noise(50, 70, high=4)
    tally = Tally(4, Georeference(UTM, ROTATED).cumulative_area_m2(50, 70))
    tally.add(labels)
    found = tally.coverage()
    assert found.area_m2 == pytest.approx([pixels * 0.0025 for pixels in found.pixels], rel=1e-12)


def test_a_class_in_the_north_covers_less_ground_than_one_at_the_equator() -> None:
    degrees = Georeference(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 60))
    labels = np.zeros((60, 10), np.uint8)
    labels[:30] = 1
    for step in (1, 7, 60):
        tally = Tally(2, degrees.cumulative_area_m2(60, 10))
        for row in range(0, 60, step):
            tally.add(labels[row : row + step])
        area = tally.coverage().area_m2
        assert area is not None
        # The sphere of equal area: zones of the sine of latitude.
        assert area[1] / area[0] == pytest.approx((np.sin(np.pi / 3) - 0.5) / 0.5, rel=0.01)


def test_areas_are_the_same_bits_however_many_pieces_come_at_once() -> None:
    width = 100_000
    piece = piece_rows(width)
    labels = noise(4 * piece, width, high=4)
    cumulative = Georeference(CRS.from_epsg(4326), Affine(1e-3, 0, 0, 0, -1e-3, 60)).cumulative_area_m2(*labels.shape)
    whole, parts = Tally(4, cumulative), Tally(4, cumulative)
    whole.add(labels)
    for row in range(0, 4 * piece, piece):
        parts.add(labels[row : row + piece])
    assert whole.coverage() == parts.coverage()


@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.sampled_from([0, 1, 2, 255])
    ),
    st.lists(st.integers(1, 10)),
    st.integers(0, 100),
)
def test_confidence_is_summed_by_class_however_the_rows_come(labels: np.ndarray, cuts: list[int], seed: int) -> None:
    confidence = np.where(labels == 255, 255, noise(*labels.shape, high=255, seed=seed)).astype(np.uint8)
    tally, places = Tally(3, None), sorted(set(cuts))
    for part, sure in zip(np.split(labels, places), np.split(confidence, places), strict=True):
        if len(part):
            tally.add(part, sure)
    of_class = [confidence[labels == label].astype(int) for label in range(3)]
    assert tally.coverage().confidence == tuple(
        Confidence(each.size, int(each.sum()), int((each < 127).sum())) for each in of_class
    )


def test_confidence_below_a_half_is_low() -> None:
    tally = Tally(2, None)
    tally.add(np.array([[0, 0, 0, 0, 255]], np.uint8), np.array([[0, 126, 127, 254, 255]], np.uint8))
    found = tally.coverage()
    assert found.sure == Confidence(4, 507, 2)
    assert found.sure.mean == pytest.approx(507 / 254 / 4)
    assert found.sure.low_share == 0.5
    assert found.confidence is not None
    assert (found.confidence[1].mean, found.confidence[1].low_share) == (None, None)


@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 1, 254, 255])
    )
)
def test_a_label_is_found_wherever_it_is(labels: np.ndarray) -> None:
    assert holds(labels, 255) == (labels == 255).any()


@pytest.mark.parametrize("coverage", [
    Coverage((1, 0, 10**11), 7), Coverage((1, 2), 0, (0.1, 1e9 / 3)),
    Coverage((3, 0), 1, None, (Confidence(3, 500, 2), Confidence())),
])  # fmt: skip
def test_tags_tell_the_coverage(coverage: Coverage) -> None:
    assert read_coverage(coverage.tags()) == coverage


def test_the_tags_are_those_that_other_programs_know() -> None:
    tags = Coverage((3, 4), 5, (1.5, 2.25)).tags()
    assert tags == {"NOSEAM_CLASS_PIXELS": "3 4 5", "NOSEAM_CLASS_M2": "1.5 2.25"}


@pytest.mark.parametrize(
    ("levels", "low"), [("1", "0"), ("1 2", "x 0"), ("-1 2", "0 0"), ("9999 2", "0 0"), ("1 2", "0 3")]
)
def test_tags_that_tell_no_possible_confidence_give_the_rest(levels: str, low: str) -> None:
    tags = {PIXELS_KEY: "3 2 0", "NOSEAM_CLASS_CONFIDENCE": levels, "NOSEAM_CLASS_LOW": low}
    assert read_coverage(tags) == Coverage((3, 2), 0)


@pytest.mark.parametrize(
    "tags", [{}, {PIXELS_KEY: ""}, {PIXELS_KEY: "1 x"}, {PIXELS_KEY: "1 2 3", AREA_KEY: "1.0"}, {AREA_KEY: "1.0"}]
)
def test_tags_that_tell_nothing_give_none(tags: dict[str, str]) -> None:
    assert read_coverage(tags) is None
