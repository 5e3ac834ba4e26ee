"""What the user sees of a run: one line on a terminal, log lines elsewhere, honest figures."""

from __future__ import annotations

import io
import logging
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from segment.plan.request import Request
from segment.plan.survey import Refused, SurveyPlan, plan_survey
from segment.record.outcome import Outcome
from segment.record.progress import Meter, Progress, moving_line
from tiler.doubt import Doubt
from tiler.files.walk import walk_survey
from tiler.grid.tiling import Tiling


@pytest.fixture
def plan(tmp_path: Path) -> SurveyPlan:
    """Three photos of 1 megapixel and one file that cannot be read."""
    for name in "abc":
        Image.new("L", (1000, 1000)).save(tmp_path / f"{name}.png")
    (tmp_path / "d.png").touch()
    return plan_survey(walk_survey([tmp_path], out=None), Request(tiling=Tiling(), out=tmp_path / "out"))


def outcomes(plan: SurveyPlan) -> list[Outcome]:
    a, b, c = (image.found.path for image in plan.images)
    (d,) = plan.refused
    return [
        Outcome(d.path, "failed", d.reason),
        Outcome(a, "done", "", 1_000_000, 2.0, ("a note",)),
        Outcome(b, "skipped", "its masks are up to date", 1_000_000),
        Outcome(c, "failed", f"{c}: torn", 1_000_000),
    ]


def test_off_a_terminal_each_image_gets_a_line(plan: SurveyPlan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Progress(plan) as progress:
        for outcome in outcomes(plan):
            progress.report(outcome)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, text.split(" ", 2)[:2]) for level, text in lines[:2]] == [
        ("ERROR", ["[1/4]", "failed:"]),
        ("INFO", ["[2/4]", "done:"]),
    ]
    assert lines[2][1].endswith("a.png: a note")
    assert "[3/4] skipped: " in lines[3][1]
    assert lines[4] == ("ERROR", f"[4/4] failed: {outcomes(plan)[3].path}: torn")
    assert len(lines) == 5


def test_the_line_of_a_log_says_how_far_the_run_is(plan: SurveyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("segment.record.progress.time.monotonic", lambda: clock[0])
    with Progress(plan) as progress:
        assert progress.so_far() == (
            "0 of 4 images, 0 failed, 0 of 3 megapixels, 0.0 megapixels per second, ? left"
        )  # fmt: skip
        progress.report(outcomes(plan)[0])
        clock[0] = 70.0
        progress.advance(plan.images[0].found.path, 500_000)
        assert progress.so_far() == (
            "1 of 4 images, 1 failed, 0 of 3 megapixels, 0.0 megapixels per second, 05:50 left"
        )  # fmt: skip


def test_signs_of_life_come_though_images_end_all_the_time(
    plan: SurveyPlan, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segment.record.progress.HEARTBEAT_S", 0.05)
    with caplog.at_level(logging.INFO), Progress(plan) as progress:
        deadline = time.monotonic() + 20
        while sum(" left" in record.getMessage() for record in caplog.records) < 2:
            assert time.monotonic() < deadline, "waited in vain"
            progress.report(Outcome(plan.images[0].found.path, "skipped", "its masks are up to date"))
            time.sleep(0.01)


def test_a_meter_gives_signs_as_often_as_it_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("segment.record.progress.time.monotonic", lambda: clock[0])
    with caplog.at_level(logging.INFO), Meter("megapixels", sign_s=20) as often, Meter("images") as seldom:
        for done in range(8):
            clock[0] += 10
            often(done, 8)
            seldom(done, 8)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "1 of 8 megapixels, 02:20 left",
        "3 of 8 megapixels, 01:06 left",
        "5 of 8 megapixels, 00:36 left",
        "5 of 8 images, 00:36 left",
        "7 of 8 megapixels, 00:11 left",
    ]


def test_what_an_earlier_run_did_does_not_make_this_one_faster(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("segment.record.progress.time.monotonic", lambda: clock[0])
    with caplog.at_level(logging.INFO), Meter("steps", sign_s=20, goes_on=True) as count:
        for done in (100, 101):
            clock[0] += 10
            count(done, 120)
    assert [record.getMessage() for record in caplog.records] == ["101 of 120 steps, 03:10 left"]


def test_a_terminal_gets_no_signs_of_life(
    plan: SurveyPlan, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segment.record.progress.HEARTBEAT_S", 0.01)
    monkeypatch.setattr("sys.stderr", Terminal())
    with caplog.at_level(logging.INFO), Progress(plan):
        time.sleep(0.1)
    assert caplog.records == []


def test_doubts_of_the_first_images_are_told_and_then_where_the_others_stand(
    plan: SurveyPlan, caplog: pytest.LogCaptureFixture
) -> None:
    unplaced, suspect = Doubt("not placed", "no GPS position"), Doubt("suspect", "line 7")
    with caplog.at_level(logging.INFO), Progress(plan, record="out/manifest.jsonl") as progress:
        for index in range(8):
            doubts = (unplaced, suspect, Doubt("suspect", "line 8")) if index == 6 else (unplaced,)
            progress.report(Outcome(Path(f"{index}.jpg"), "done", doubts=doubts))
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [
        "0.jpg: not placed: no GPS position",
        "1.jpg: not placed: no GPS position",
        "2.jpg: not placed: no GPS position",
        "not placed: further images stand in out/manifest.jsonl only",
        "6.jpg: suspect: line 7",
        "6.jpg: suspect: line 8",
    ]


def test_doubts_of_skipped_images_are_no_warnings_again(plan: SurveyPlan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Progress(plan) as progress:
        progress.report(Outcome(Path("a.jpg"), "skipped", doubts=(Doubt("suspect", "line 7"),)))
    assert ["INFO", "a.jpg: suspect: line 7"] in [[each.levelname, each.getMessage()] for each in caplog.records]


def test_what_is_skipped_or_fails_leaves_the_total(plan: SurveyPlan) -> None:
    with Progress(plan) as progress:
        progress.advance(plan.images[2].found.path, 400_000)
        for outcome in outcomes(plan):
            progress.report(outcome)
        assert (progress._worked, progress._total) == (0, 1_000_000)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_moving_line(plan: SurveyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress(plan) as progress:
        for outcome in outcomes(plan):
            progress.advance(outcome.path, outcome.pixels // 2)
            progress.report(outcome)
    shown = terminal.getvalue().split("\r")
    assert shown[-1].startswith("4/4 images, 2 failed |")
    assert "/1 megapixels," in shown[-1]
    assert " left" in shown[-1]


def test_a_terminal_that_says_no_size_gets_the_whole_line(plan: SurveyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(terminal, "fileno", lambda: 2)
    monkeypatch.setattr("segment.record.progress.os.get_terminal_size", lambda _: os.terminal_size((0, 0)))
    with Progress(plan):
        pass
    assert "0/4 images |" in terminal.getvalue()
    assert "megapixels/s, ? left" in terminal.getvalue()


HALF = "#" * 10 + " " * 10


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, f"612/1200 images, 3 failed |{HALF}| 14400/28800 megapixels, 10.00 megapixels/s, 24:00 left"),
        (103, f"612/1200 images, 3 failed |{HALF}| 14400/28800 megapixels, 10.00 megapixels/s, 24:00 left"),
        (102, f"612/1200 images, 3 failed |{HALF}| 14400/28800 megapixels, 24:00 left"),
        (80, "612/1200 images, 3 failed |#####     | 14400/28800 megapixels, 24:00 left"),
        (60, "612/1200 images, 3 failed, 24:00 left"),
        (20, "612/1200 images, 3 f"),
    ],
)
def test_the_moving_line_fits_and_keeps_images_failures_and_time(width: int | None, expected: str) -> None:
    known = {"n": 14400.0, "total": 28800.0, "elapsed": 1440.0, "rate": 10.0, "prefix": "612/1200 images, 3 failed"}
    assert moving_line(width, ascii=True, **known) == expected
    known |= {"n": 0.0, "elapsed": 0.0, "rate": None}
    assert width == 20 or moving_line(width, **known).endswith(", ? left")


def test_quiet_shows_no_line_on_a_terminal(plan: SurveyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress(SurveyPlan((), (Refused(Path("x"), "why", Path("x")),)), quiet=True):
        pass
    assert terminal.getvalue() == ""
