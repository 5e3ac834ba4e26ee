"""From rates to figures: every bound decides where it should, and sums are those of a hand calculation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from segment.plan.estimate import estimate, free_bytes, held_bytes, kind_of, work_s
from segment.plan.figures import Calibration, Kind, Rates, about_bytes, about_time
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from tests.grids import squares
from tests.runs import plan_for

RATES = Rates(
    Kind("PNG", "uint8", 3, ("label png", "color png")),
    tiles_run=1, core_s=0, closing_s=0, compression=0.1, memory=0.5,
)  # fmt: skip
MEASURED = Calibration(
    engine="a network", samples=1, startup_s=2, tile_s=0.25, tile_core_s=0, cores=4, cores_in_all=4,
    read_bytes_s=1e12, base_bytes=1_000_000, classes=3, at_once=3, most_bytes=10**12, rates=(RATES,),
)  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ImagePlan:
    """One of 200 x 300 pixels and 20 tiles."""
    path = tmp_path_factory.mktemp("estimate") / "a.png"
    Image.new("RGB", (300, 200)).save(path)
    return plan_for(path, Request(tiling=squares(64, 64, 0), out=path.parent / "out")).images[0]


def seconds(image: ImagePlan, count: int = 1, *, core_s: float = 0, closing_s: float = 0, **measured: float) -> float:
    """Return the time of some equal images; rates of the image are given for all its pixels."""
    rates = replace(RATES, core_s=core_s / image.pixels, closing_s=closing_s / image.pixels)
    return work_s([image] * count, [rates] * count, replace(MEASURED, **measured))  # type: ignore[arg-type]


def test_the_slowest_of_network_cores_and_drive_decides(image: ImagePlan) -> None:
    assert len(image.grid) == 20
    assert seconds(image, 6) == pytest.approx(6 * 20 * 0.25)
    assert seconds(image, 6, core_s=40) == pytest.approx(6 * 40 / 4)
    assert seconds(image, 6, core_s=40, tile_core_s=1) == pytest.approx(6 * (40 + 20) / 4)
    assert seconds(image, 6, read_bytes_s=image.stamp[0] / 100) == pytest.approx(600)


def test_what_closes_an_image_overlaps_with_others_and_ends_the_last_alone(image: ImagePlan) -> None:
    assert seconds(image, closing_s=8) == pytest.approx(5 + 8 + 8 * 3 / 4)
    assert seconds(image, 300, closing_s=8) == pytest.approx(300 * 5 + 8 * 3 / 4)
    assert seconds(image, 300, closing_s=80) == pytest.approx(300 * (5 + 80) / 3 + 80 * 3 / 4)


@pytest.mark.parametrize(("workers", "starts"), [(1, 1), (2, 2), (4, 2), (5, 3), (8, 3)])
def test_workers_start_after_the_process_that_plans(
    image: ImagePlan, tmp_path: Path, workers: int, starts: int
) -> None:
    found = estimate([image], tmp_path, MEASURED, workers=workers)
    assert found.seconds == pytest.approx(2 * starts + 20 * 0.25)


def test_tiles_without_a_valid_pixel_take_no_time(image: ImagePlan) -> None:
    assert work_s([image], [replace(RATES, tiles_run=0.5)], MEASURED) == pytest.approx(2.5)
    assert work_s([], [], MEASURED) == 0


def test_memory_is_that_of_the_widest_images_in_flight_within_the_limit_of_a_run(image: ImagePlan) -> None:
    wide = replace(image, info=replace(image.info, width=3000))
    small, large = image.working_bytes(3), wide.working_bytes(3)
    images, rates = [image, image, wide, image], [RATES] * 4
    assert held_bytes(images, rates, MEASURED) == pytest.approx((large + 2 * small) / 2, abs=1)
    assert held_bytes(images, rates, replace(MEASURED, at_once=1)) == pytest.approx(large / 2, abs=1)
    assert held_bytes(images, rates, replace(MEASURED, most_bytes=large + small)) == pytest.approx(
        (large + small) / 2, abs=1
    )
    assert held_bytes(images, rates, replace(MEASURED, most_bytes=10)) == pytest.approx(large / 2, abs=1)


def test_an_estimate_adds_start_up_and_planning(image: ImagePlan, tmp_path: Path) -> None:
    found = estimate([image, image], tmp_path / "no/such/folder", MEASURED, planning_s=3)
    assert found.seconds == pytest.approx(3 + 2 + 10)
    assert found.images_per_s == pytest.approx(0.2)
    assert found.mask_bytes == 2 * round(0.1 * image.output_bytes)
    assert found.memory_bytes == pytest.approx(1_000_000 + image.working_bytes(3), abs=1)
    assert found.free_bytes == pytest.approx(free_bytes(tmp_path), rel=0.1)
    assert found.fits


def test_an_image_of_another_kind_than_was_tried_out_goes_by_the_first(image: ImagePlan, tmp_path: Path) -> None:
    other = replace(image, info=replace(image.info, driver="JPEG"))
    assert kind_of(other) != kind_of(image) == RATES.kind
    assert estimate([other], tmp_path, MEASURED).seconds == estimate([image], tmp_path, MEASURED).seconds


def test_without_a_trial_masks_have_a_typical_size(image: ImagePlan, tmp_path: Path) -> None:
    found = estimate([image, image], tmp_path, unknown="without --model")
    assert (found.mask_bytes, found.seconds, found.memory_bytes) == (2 * 2 * 60_000 // 20, None, None)
    assert found.unknown == "without --model"
    nothing = estimate([image], tmp_path, replace(MEASURED, rates=(), failed="a.png: damaged"))
    assert nothing.unknown == "because the images that were tried out failed: a.png: damaged"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (0.2, "1 second"), (1.4, "1.4 seconds"), (31.4, "31 seconds"), (89, "89 seconds"), (130, "2.2 minutes"),
        (719, "12 minutes"), (5399, "90 minutes"), (12_000, "3.3 hours"), (200_000, "2.3 days"),
    ],
)  # fmt: skip
def test_a_time_has_two_figures(found: float, said: str) -> None:
    assert about_time(found) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (0, "0 KB"), (870, "0.87 KB"), (9_711_612, "9.7 MB"), (576e6, "580 MB"), (999e6, "1 GB"), (1.23e9, "1.2 GB"),
        (1.2e11, "120 GB"), (2.16e16, "22,000 TB"),
    ],
)  # fmt: skip
def test_a_size_has_two_figures(found: float, said: str) -> None:
    assert about_bytes(found) == said


def test_each_of_several_workers_has_memory_of_its_own_for_three_images_at_least(
    image: ImagePlan, tmp_path: Path
) -> None:
    many = replace(MEASURED, at_once=9)
    one, two, ten = (estimate([image] * 20, tmp_path, many, workers=count) for count in (1, 2, 10))
    held = [(found.memory_bytes or 0) - many.base_bytes for found in (one, two, ten)]
    assert held == pytest.approx([9 * image.working_bytes(3) / 2, 5 * image.working_bytes(3) / 2,
                                  3 * image.working_bytes(3) / 2], abs=2)  # fmt: skip
