"""How a run ends is said in lines that hold what occurs and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from segment.record.closing import closing_lines, files_of, is_clean, log_line
from segment.record.outcome import Outcome
from segment.record.sums import End, Sums
from tiler.doubt import KINDS, Doubt, Kind
from tiler.files.beside import SideFile
from tiler.files.outputs import Format, Output


def sums_of(inputs: int, *outcomes: Outcome) -> Sums:
    sums = Sums(inputs)
    for outcome in outcomes:
        sums.add(outcome)
    sums.started = -1e9  # a long time ago; each test sets what it looks at
    return sums


def image(name: str, state: Literal["done", "skipped", "failed"] = "done", *kinds: Kind, seconds: float = 2) -> Outcome:
    doubts = tuple(Doubt(kind, "why") for kind in kinds)
    return Outcome(Path(name), state, "why" * (state == "failed"), 6_000_000, seconds, doubts=doubts)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segment.record.sums.time.monotonic", lambda: -1e9 + 61.26)


def test_every_kind_of_end_has_a_line_and_what_does_not_occur_has_none() -> None:
    sums = sums_of(
        9, image("a"), image("b", "done", "stretched"), image("c", "skipped", "suspect", "stretched"),
        image("d", "failed"), image("e", "done", "suspect", "suspect"),
    )  # fmt: skip
    files = {"masks": "out  (open out/a_color.png)", "records": "out/manifest.jsonl", "failures": "out/failures.csv"}
    assert closing_lines(sums, "runtime", files) == [
        "9 images: 3 done, 1 skipped (up to date), 1 failed, 4 left; 61.3 s; 0.294 megapixels per second",
        "left:      4 of 9 images; --max-runtime is over; the same command goes on",
        "suspect:   2 images; look at the masks, or copy the photos again",
        "stretched: 2 images; --value-range sets the range",
        "masks:     out  (open out/a_color.png)",
        "records:   out/manifest.jsonl",
        "failures:  out/failures.csv",
    ]
    assert log_line(sums, "runtime", Path("out/failures.csv")) == (
        "3 done, 1 skipped, 1 failed in 61.3 s; 0.294 megapixels per second; 2 suspect, 2 stretched; "
        "4 of 9 images left: --max-runtime is over; the same command goes on; see out/failures.csv"
    )


def test_one_is_no_plural_and_nothing_done_has_no_speed() -> None:
    assert closing_lines(sums_of(1, image("a", "skipped", "not placed")), "complete", {"records": "out/m.jsonl"}) == [
        "1 image: 1 skipped (up to date); 61.3 s",
        "not placed: 1 image; out/m.jsonl says why",
        "records:    out/m.jsonl",
    ]
    assert closing_lines(sums_of(3), "interrupted", {}) == [
        "3 images: 3 left; 61.3 s",
        "left: 3 of 3 images; interrupted; the same command goes on",
    ]
    assert closing_lines(sums_of(0), "complete", {}) == ["0 images in this shard"]
    assert log_line(sums_of(0), "complete", Path("f")) == "0 done, 0 skipped, 0 failed in 61.3 s"


@pytest.mark.parametrize(("seconds", "speed"), [(0.01, "600"), (60, "0.1"), (61.26, "0.0979")])
def test_fast_and_slow_runs_have_figures_that_say_something(seconds: float, speed: str) -> None:
    sums = sums_of(1, image("a"))
    sums.started = -1e9 + 61.26 - seconds
    assert closing_lines(sums, "complete", {})[0].endswith(f"; {speed} megapixels per second")


def test_every_kind_of_doubt_says_what_helps_and_every_end_what_then() -> None:
    lines = closing_lines(sums_of(1, image("a", "done", *KINDS)), "complete", {})
    assert [line.split(":")[0] for line in lines[1:]] == list(KINDS)
    assert all(line.partition("1 image; ")[2] for line in lines[1:])
    ends: tuple[End, ...] = ("errors", "runtime", "disk full", "stalled", "failed", "interrupted")
    told = {closing_lines(sums_of(2, image("a", "failed")), end, {})[1] for end in ends}
    assert len(told) == len(ends)


def test_only_a_run_without_fault_is_clean() -> None:
    assert is_clean(sums_of(2, image("a"), image("b", "skipped")))
    assert not is_clean(sums_of(2, image("a")))
    assert not is_clean(sums_of(1, image("a", "failed")))
    assert not is_clean(sums_of(1, image("a", "skipped", "empty")))


def output(name: str, kind: Literal["label", "color"], form: Format) -> Output:
    return Output(Path("out") / name, kind, form)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (
            [output("o_label.tif", "label", "cog"), output("a_label.png", "label", "png"),
             output("a_color.png", "color", "png"), output("b_color.png", "color", "png")],
            "out  (open out/a_color.png)",
        ),
        (
            [output("o_label.tif", "label", "cog"), output("o_color.tif", "color", "cog"),
             output("p_label.tif", "label", "geotiff")],
            "out  (open out/o_label.tif in QGIS)",
        ),
        ([output("a_label.png", "label", "png")], "out  (such as out/a_label.png, whose values are class ids)"),
    ],
)  # fmt: skip
def test_what_shows_most_is_opened_first(outputs: list[Output], expected: str) -> None:
    assert files_of(Path("out"), str, outputs, sums_of(1, image("a")))["masks"] == expected


def test_polygons_are_named_where_there_are_any() -> None:
    plain, more = output("a_label.png", "label", "png"), Path("out") / "b_polygons.gpkg"
    beside = Output(Path("out") / "b_label.tif", "label", "cog", (SideFile("polygons", more),))
    found = files_of(Path("out"), str, iter([plain, beside]), sums_of(1, image("a")))
    assert list(found) == ["masks", "polygons"]
    assert found["polygons"] == "out  (such as out/b_polygons.gpkg)"


def test_only_files_that_are_there_are_named(tmp_path: Path) -> None:
    assert files_of(tmp_path, str, [], sums_of(2)) == {}
    for name in ("classes.csv", "legend.png", "summary.1.csv", "manifest.1.jsonl"):
        (tmp_path / name).touch()
    failed = sums_of(2, image("a"), image("b", "failed"))
    assert files_of(tmp_path, lambda name: name.replace(".", ".1."), [], failed) == {
        "masks": str(tmp_path),
        "legend": f"{tmp_path}/legend.png, {tmp_path}/classes.csv",
        "areas": f"{tmp_path}/summary.1.csv",
        "records": f"{tmp_path}/manifest.1.jsonl",
        "failures": f"{tmp_path}/failures.1.csv  (what failed, why, and what helps)",
    }
