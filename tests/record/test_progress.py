"""What the user sees of a run: one line on a terminal, log lines elsewhere, honest figures."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from PIL import Image

from segment.plan.request import Request
from segment.plan.survey import Refused, SurveyPlan, plan_survey
from segment.record.outcome import Outcome
from segment.record.progress import Progress
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
    assert "1 done, 1 skipped, 2 failed in" in lines[5][1]


def test_a_long_image_gives_signs_of_life(
    plan: SurveyPlan, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("segment.record.progress.time.monotonic", lambda: clock[0])
    path = plan.images[0].found.path
    with caplog.at_level(logging.INFO), Progress(plan) as progress:
        for seconds in (30.0, 70.0, 100.0):
            clock[0] = seconds
            progress.advance(path, 250_000)
    signs = [record.getMessage() for record in caplog.records][:-1]
    assert signs == ["0 of 4 images, 0 of 3 megapixels, 0.0 megapixels per second, 6 minutes left"]


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
    assert shown[-1].startswith("4/4 images |")
    assert "/1 megapixels," in shown[-1]
    assert " left" in shown[-1]


def test_quiet_shows_no_line_on_a_terminal(plan: SurveyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress(SurveyPlan((), (Refused(Path("x"), "why", Path("x")),)), quiet=True):
        pass
    assert terminal.getvalue() == ""
