from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.record.outcome import Outcome
from segment.record.summary import NO_DATA, SUMMARY, TOTAL, Covered, write_summary
from tests.make import UTM, noise, write_tif
from tests.models import MeanEngine, class_table, runner_of
from tiler.files.walk import walk_survey
from tiler.grid.tiling import Tiling
from tiler.masks.coverage import Coverage
from tiler.source.footprint import Footprint
from tiler.source.georef import Georeference

SQUARE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
EAST_OF_IT = Affine(0.5, 0, 500_035, 0, -0.5, 5_000_000)
NOWHERE = Footprint(Georeference(), (1, 1))


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / SUMMARY).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run(survey: Path, out: Path, *, overwrite: bool = False) -> list[Outcome]:
    request = Request(tiling=Tiling(64, 64, 0.25), out=out)
    return list(runner_of(MeanEngine()).run(plan_survey(walk_survey([survey], out=out), request), request,
                                            overwrite=overwrite))  # fmt: skip


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    (folder / "b").mkdir(parents=True)
    write_tif(folder / "b" / "two.tif", noise(3, 90, 70), crs=UTM, transform=SQUARE)
    mask = np.ones((40, 80), np.bool_)
    mask[:10] = False
    write_tif(folder / "one.tif", noise(3, 40, 80, seed=1), crs=UTM, transform=EAST_OF_IT, mask=mask)
    return folder


def test_the_table_holds_every_pixel_of_every_image_and_their_sum(survey: Path, tmp_path: Path) -> None:
    run(survey, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    for image, pixels, no_data in (("b/two.tif", 6300, 0), ("one.tif", 3200, 800), (TOTAL, 9500, 800)):
        own = [row for row in rows if row["image"] == image]
        named = [row for row in own if row["class_name"] != NO_DATA]
        assert sum(int(row["pixels"]) for row in own) == pixels
        assert [int(row["pixels"]) for row in own if row["class_name"] == NO_DATA] == ([no_data] if no_data else [])
        assert sum(float(row["percent"]) for row in named) == pytest.approx(100, abs=0.001)
        assert all(float(row["m2"]) == int(row["pixels"]) * 0.25 for row in named)
        assert [row["class_name"] for row in named] == [f"class {row['class_id']}" for row in named]


def test_a_second_run_that_skips_everything_writes_the_same_table(survey: Path, tmp_path: Path) -> None:
    run(survey, tmp_path / "out")
    first = (tmp_path / "out" / SUMMARY).read_bytes()
    (tmp_path / "out" / SUMMARY).unlink()
    assert {outcome.state for outcome in run(survey, tmp_path / "out")} == {"skipped"}
    assert (tmp_path / "out" / SUMMARY).read_bytes() == first


def test_the_survey_has_no_area_when_one_image_has_none(survey: Path, tmp_path: Path) -> None:
    write_tif(survey / "nowhere.tif", noise(3, 30, 30))
    run(survey, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert {row["image"] for row in rows if not row["m2"] and row["class_name"] != NO_DATA} == {"nowhere.tif", TOTAL}


def test_the_survey_has_no_area_when_two_images_overlap(
    survey: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tif(survey / "three.tif", noise(3, 40, 40), crs=UTM, transform=SQUARE)
    run(survey, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    reason = "the outlines of 2 of the 3 images overlap on the ground, such as b/two.tif's"
    assert [row["note"] for row in rows if row["image"] == TOTAL] == [f"m2 left out: {reason}", "", ""]
    assert {row["note"] for row in rows if row["image"] != TOTAL} == {""}
    assert {row["image"] for row in rows if not row["m2"] and row["class_name"] != NO_DATA} == {TOTAL}
    assert sum(int(row["pixels"]) for row in rows if row["image"] == TOTAL) == 6300 + 3200 + 1600
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"{tmp_path / 'out' / SUMMARY}: the square metres of all images together are left out: {reason}"
    ]


def test_an_image_that_failed_covers_no_ground(survey: Path, tmp_path: Path) -> None:
    copy = (survey / "b" / "two.tif").read_bytes()
    (survey / "cut.tif").write_bytes(copy[:-2000])
    run(survey, tmp_path / "out")
    assert all(row["m2"] for row in rows_of(tmp_path / "out") if row["class_name"] != NO_DATA)


def test_nobody_is_warned_of_a_sum_that_could_not_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_summary(
        tmp_path / SUMMARY, class_table(1), [Covered(Path("a.jpg"), Coverage((3,), 0), NOWHERE)], [Path("a.jpg")]
    )
    assert rows_of(tmp_path)[-1]["note"] == (
        "m2 left out: 1 of 1 image does not say how much ground it covers (photos may say it by their pose: "
        "--georef photo)"
    )
    assert caplog.records == []


def test_pictures_without_a_place_are_no_reason_for_a_warning(
    survey: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "segment.record.summary")
    write_tif(survey / "nowhere.tif", noise(3, 30, 30))
    run(survey, tmp_path / "out")
    reason = "1 of 3 images does not say how much ground it covers"
    assert [(record.levelname, record.message) for record in caplog.records if SUMMARY in record.message] == [
        ("INFO", f"{tmp_path / 'out' / SUMMARY}: the square metres of all images together are left out: {reason}")
    ]


def test_images_of_one_name_in_two_sources_both_count(tmp_path: Path) -> None:
    covered = [Covered(Path("a.jpg"), Coverage((n,), 0), NOWHERE) for n in (3, 4)]
    write_summary(tmp_path / SUMMARY, class_table(1), covered, [Path("a.jpg")] * 2)
    assert [(row["image"], row["pixels"]) for row in rows_of(tmp_path)] == [
        ("a.jpg", "3"), ("a.jpg", "4"), (TOTAL, "7"),
    ]  # fmt: skip


def test_a_failed_image_has_no_rows(survey: Path, tmp_path: Path) -> None:
    (survey / "bad.tif").write_bytes(b"II*\0nonsense")
    outcomes = run(survey, tmp_path / "out")
    assert [outcome.path.name for outcome in outcomes if outcome.state == "failed"] == ["bad.tif"]
    assert {row["image"] for row in rows_of(tmp_path / "out")} == {"b/two.tif", "one.tif", "(2 of 3 images)"}


def test_names_with_commas_and_quotes_come_back(tmp_path: Path) -> None:
    classes = replace(class_table(2), names=('roof, "flat"', "dirt"))
    write_summary(
        tmp_path / "new" / SUMMARY, classes, [Covered(Path("a,b.jpg"), Coverage((3, 1), 0), NOWHERE)], [Path("x")]
    )
    assert [(row["image"], row["class_name"]) for row in rows_of(tmp_path / "new")] == [
        ("a,b.jpg", 'roof, "flat"'), ("a,b.jpg", "dirt"), (TOTAL, 'roof, "flat"'), (TOTAL, "dirt"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["=1+1.jpg", "-x.tif", "+x.tif", "@x.tif", " =x.tif", "\t=x.tif"])
def test_no_name_is_a_formula(tmp_path: Path, name: str) -> None:
    write_summary(tmp_path / SUMMARY, class_table(2), [Covered(Path(name), Coverage((3, 1), 0), NOWHERE)], [Path("x")])
    assert {row["image"] for row in rows_of(tmp_path)} == {f"'{name}", TOTAL}


def test_a_run_without_images_writes_the_head_alone(tmp_path: Path) -> None:
    write_summary(tmp_path / SUMMARY, class_table(2), [], [])
    assert (
        tmp_path / SUMMARY
    ).read_text() == "image,class_id,class_name,pixels,percent,m2,confidence,low_percent,note\n"
