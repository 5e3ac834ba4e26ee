"""Tell the user how a run goes: one moving line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from segment.plan.survey import SurveyPlan
from segment.record.manifest import MANIFEST
from segment.record.outcome import Outcome
from tiler.doubt import Kind

_log = logging.getLogger(__name__)
_FORMS = (
    "{desc} |{bar:20}| {size}, {rate_noinv_fmt}, {remaining} left",
    "{desc} |{bar:20}| {size}, {remaining} left",
    "{desc} |{bar:10}| {size}, {remaining} left",
    "{desc}, {size}, {remaining} left",
    "{desc}, {remaining} left",
)
"""The moving line, from the most that it says to the least."""
_METER = "{percentage:3.0f} % |{bar:20}| {n_fmt}/{total_fmt}{unit}, {remaining} left"
_TOLD_DOUBTS = 3
"""So many images with doubts of a kind get a line of the log."""
_ROWS = 24
"""tqdm shows nothing on a terminal that does not say how many rows it has, unless it is told."""
HEARTBEAT_S = 60.0
"""Off a terminal, a sign of life comes this often."""
SCENES_SIGN_S = 20.0
"""It comes more often while scenes are made, because that takes a minute or so."""


def moving_line(width: int | None, **known: Any) -> str:
    """Return the line of a terminal: as much of it as fits.

    Images, failures and the time that is left always stand in it. First the speed gives way, then the bar, then the
    megapixels.

    Parameters
    ----------
    width : int or None
        Columns of the terminal; None: as many as wanted.
    **known
        What `tqdm.format_meter` takes.
    """
    size = f"{known['n']:.0f}/{known['total']:.0f} megapixels"
    known |= {"ncols": None, "unit": " megapixels", "size": size}
    forms = _FORMS if known["total"] else _FORMS[-1:]
    lines = [tqdm.format_meter(**{**known, "bar_format": form}) for form in forms]
    return next((line for line in lines if not width or len(line) <= width), lines[-1][:width])


class _Line(tqdm):  # type: ignore[type-arg]  # tqdm takes no type when it runs
    """A moving line that fits its terminal; one that does not say its size gets all of it."""

    def __str__(self) -> str:
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return moving_line(columns - 1 if columns else None, **self.format_dict)


class Progress:
    """Show a run to the user; use as a context manager.

    Speed and time left count what is worked on: images that are skipped or fail leave the total.

    Parameters
    ----------
    plan : SurveyPlan
        What will be done.
    quiet : bool
        Show no moving line.
    record : str
        Where all doubts stand; the log names it when it stops naming images with doubts of a kind.
    """

    def __init__(self, plan: SurveyPlan, *, quiet: bool = False, record: str = MANIFEST) -> None:
        self._inputs = plan.inputs
        self._record = record
        self._on_terminal = sys.stderr.isatty() and not quiet
        self._bar = _Line(total=plan.pixels / 1e6, disable=not self._on_terminal, smoothing=0.05, nrows=_ROWS)
        self._redirect = logging_redirect_tqdm()
        self._counts: Counter[str] = Counter()
        self._doubtful: Counter[Kind] = Counter()
        self._under_way: Counter[Path] = Counter()
        self._worked = 0
        self._total = plan.pixels
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._give_signs, daemon=True)

    def __enter__(self) -> Progress:
        self._redirect.__enter__()
        self._show()
        if not self._on_terminal:
            self._beat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._bar.close()
        self._redirect.__exit__(kind, error, at)

    def advance(self, path: Path, pixels: int) -> None:
        """Count so many more pixels of an image as labelled; any thread may call this."""
        with self._lock:
            self._under_way[path] += pixels
            self._worked += pixels
            self._bar.update(min(pixels / 1e6, max(self._total / 1e6 - self._bar.n, 0)))

    def report(self, outcome: Outcome) -> None:
        """Say how an image ended."""
        with self._lock:
            self._counts[outcome.state] += 1
            labelled = self._under_way.pop(outcome.path, 0)
            if outcome.state != "done":
                self._worked -= labelled
                self._total -= outcome.pixels
                self._bar.update(-labelled / 1e6)
                self._bar.total = self._total / 1e6
            self._show()
        _tell(outcome, f"[{self._counts.total()}/{self._inputs}]", logging.DEBUG if self._on_terminal else logging.INFO)
        self._tell_doubts(outcome)

    def so_far(self) -> str:
        """Return how far the run is, as one line for the log."""
        with self._lock:
            worked, total, failed = self._worked, self._total, self._counts["failed"]
            speed = worked / max(time.monotonic() - self._started, 1e-9)
            left = tqdm.format_interval((total - worked) / speed) if worked else "?"
            images = f"{self._counts.total()} of {self._inputs} images"
        return (
            f"{images}, {failed} failed, {worked / 1e6:.0f} of {total / 1e6:.0f} megapixels, "
            f"{speed / 1e6:.1f} megapixels per second, {left} left"
        )

    def _show(self) -> None:
        failed = f", {self._counts['failed']} failed" if self._counts["failed"] else ""
        self._bar.set_description_str(f"{self._counts.total()}/{self._inputs} images{failed}")

    def _give_signs(self) -> None:
        """Say every minute how far the run is, whatever its images do."""
        while not self._ended.wait(HEARTBEAT_S):
            _log.info("%s", self.so_far())

    def _tell_doubts(self, outcome: Outcome) -> None:
        """Say what is doubtful of the first images of each kind; of the others where it stands.

        What is doubtful of images that are skipped was told when these were done, so it is no warning again.
        """
        level = logging.WARNING if outcome.state == "done" else logging.INFO
        kinds = {doubt.kind for doubt in outcome.doubts}
        self._doubtful.update(kinds)
        for doubt in outcome.doubts:
            told = self._doubtful[doubt.kind] <= _TOLD_DOUBTS
            _log.log(level if told else logging.DEBUG, "%s: %s", outcome.path, doubt)
        for kind in sorted(kinds):
            if self._doubtful[kind] == _TOLD_DOUBTS + 1:
                _log.log(level, "%s: further images stand in %s only", kind, self._record)


def _tell(outcome: Outcome, place: str, level: int) -> None:
    about = {"about": {"path": str(outcome.path), "state": outcome.state, "reason": outcome.reason}}
    if outcome.worker:
        about["about"]["worker"] = outcome.worker
    if outcome.state == "failed":
        _log.error("%s failed: %s", place, outcome.reason, extra=about)
    elif outcome.state == "skipped":
        _log.log(level, "%s skipped: %s: %s", place, outcome.path, outcome.reason, extra=about)
    else:
        size, why = outcome.pixels / 1e6, f"; {outcome.reason}" if outcome.reason else ""
        why = f", worker {outcome.worker}{why}" if outcome.worker else why
        _log.log(
            level,
            "%s done: %s: %.1f megapixels in %.1f s%s",
            place,
            outcome.path,
            size,
            outcome.seconds,
            why,
            extra=about,
        )
    for note in outcome.notes:
        _log.info("%s: %s", outcome.path, note)


class Meter:
    """Show how many of something are done: a moving line on a terminal, now and then a log line elsewhere.

    Use as a context manager, and call it with (done, total) from one thread.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    quiet : bool
        Show nothing.
    sign_s : float or None
        Seconds between log lines; None: `HEARTBEAT_S`.
    goes_on : bool
        Whether the first call may tell of more than one because an earlier run did the others.
    """

    def __init__(self, unit: str, *, quiet: bool = False, sign_s: float | None = None, goes_on: bool = False) -> None:
        self._unit = unit
        self._quiet = quiet
        self._sign_s = HEARTBEAT_S if sign_s is None else sign_s
        on_terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(unit=f" {unit}", disable=not on_terminal, smoothing=0.05, bar_format=_METER, nrows=_ROWS)
        self._redirect = logging_redirect_tqdm()
        self._goes_on = goes_on
        self._before = 0
        self._began = self._last_sign = time.monotonic()

    def __enter__(self) -> Meter:
        self._redirect.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
        self._redirect.__exit__(kind, error, at)

    def __call__(self, done: int, total: int) -> None:
        """Say that so many of all are done."""
        if self._goes_on:
            self._before, self._goes_on = done - 1, False
            self._bar.n = self._bar.initial = self._bar.last_print_n = self._before
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if self._bar.disable and not self._quiet and time.monotonic() - self._last_sign >= self._sign_s:
            self._last_sign = time.monotonic()
            each = (self._last_sign - self._began) / max(done - self._before, 1)
            left = tqdm.format_interval(each * (total - done))
            _log.info("%d of %d %s, %s left", done, total, self._unit, left)
