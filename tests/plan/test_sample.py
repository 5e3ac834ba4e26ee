"""Which images, and which parts of them, stand for a survey."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segment.plan import sample
from segment.plan.request import Request
from segment.plan.sample import choose_samples, moved, part_to_try, places, spread
from segment.plan.survey import ImagePlan
from tests.grids import squares
from tests.make import UTM, write_blank
from tests.runs import NORTH_UP, plan_for
from tiler.files.outputs import all_paths

CUT = squares(128, 64)


def plan_of(folder: Path) -> tuple[ImagePlan, ...]:
    return plan_for(folder, Request(tiling=CUT, out=folder / "out")).images


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> ImagePlan:
    folder = tmp_path_factory.mktemp("tall")
    write_blank(folder / "a.tif", (4000, 1000), crs=UTM, transform=NORTH_UP)
    return plan_of(folder)[0]


def test_places_halve_the_widest_gap() -> None:
    assert list(islice(places(), 7)) == [1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8, 3 / 8, 7 / 8]


@given(length=st.integers(0, 300), most=st.integers(1, 100))
def test_indices_are_spread_and_different(length: int, most: int) -> None:
    found = spread(length, most)
    assert len(set(found)) == len(found) == min(length, most)
    assert all(0 <= index < length for index in found)
    if len(found) >= 8:
        assert max(np.diff([-1, *sorted(found), length])) <= length / 8 + 1


def test_kinds_with_more_pixels_come_first_and_rare_ones_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    folder.mkdir()
    for index, (form, mode) in enumerate([("jpg", "RGB"), ("png", "RGB"), ("png", "L"), ("tif", "L")]):
        for copy in range(index + 2):
            Image.new(mode, (40, 40)).save(folder / f"{index}_{copy}.{form}")
    found = choose_samples(plan_of(folder))
    assert [(each.kind.driver, each.kind.channels, each.count) for each in found] == [
        ("GTiff", 1, 5), ("PNG", 1, 4), ("PNG", 3, 3),
    ]  # fmt: skip
    assert sum(each.share for each in found) == pytest.approx(1)
    assert all(len(each.images) == each.count for each in found)
    assert found == choose_samples(plan_of(folder))


def test_a_small_image_is_tried_out_whole(tall: ImagePlan) -> None:
    assert part_to_try(tall, 0.5, len(tall.grid), CUT) is tall


@pytest.mark.parametrize("place", [0, 0.25, 0.5, 0.99])
def test_a_part_is_as_wide_as_the_image_and_lies_where_it_should(tall: ImagePlan, place: float) -> None:
    columns = len(tall.grid.col_offs)
    part = part_to_try(tall, place, 3 * columns + 1, CUT)
    assert part.within is not None
    assert (len(part.grid.row_offs), part.grid.col_offs) == (3, tall.grid.col_offs)
    assert part.info.shape == part.grid.source_shape == (part.within.height, 1000)
    assert part.within.row_off == int(place * (4000 - part.within.height))
    assert part.grid.model_shape[0] / part.info.height == pytest.approx(0.5, abs=0.01)
    assert part.within.row_stop <= 4000


def test_a_part_of_a_wide_image_is_narrower_where_one_row_of_tiles_is_too_much(tall: ImagePlan) -> None:
    part = part_to_try(tall, 0.5, 2, CUT)
    assert len(part.grid) == 2
    assert part.within is not None
    assert part.within.width < 300


def test_a_part_has_no_more_than_so_many_pixels(tall: ImagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MOST_PIXELS", 500_000)
    part = part_to_try(tall, 0.5, len(tall.grid), CUT)
    assert 200_000 < part.pixels < 600_000


def test_of_a_file_that_is_decoded_from_the_top_the_top_is_tried_out(tmp_path: Path) -> None:
    Image.new("RGB", (300, 1000)).save(tmp_path / "a.jpg")
    part = part_to_try(plan_of(tmp_path)[0], 0.5, 6, CUT)
    assert part.within is not None
    assert part.within.row_off == part.within.col_off == 0


def test_the_files_of_a_trial_go_elsewhere(tall: ImagePlan, tmp_path: Path) -> None:
    out = tall.outputs[0].path.parent
    found = list(all_paths(moved(tall, out, tmp_path).outputs))
    assert [path.relative_to(tmp_path) for path in found] == [path.relative_to(out) for path in all_paths(tall.outputs)]
