"""Tell the user how a run goes: one moving line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from segment.plan.survey import SurveyPlan
from segment.record.outcome import Outcome

_log = logging.getLogger(__name__)
_LINE = "{desc} |{bar:20}| {n:.0f}/{total:.0f} megapixels, {rate_noinv_fmt}, {remaining} left"
HEARTBEAT_S = 60.0
"""Off a terminal, a sign of life comes this often while no image ends."""


class Progress:
    """Show a run to the user; use as a context manager.

    Speed and time left count what is worked on: images that are skipped or fail leave the total.

    Parameters
    ----------
    plan : SurveyPlan
        What will be done.
    quiet : bool
        Show no moving line.
    """

    def __init__(self, plan: SurveyPlan, *, quiet: bool = False) -> None:
        self._inputs = plan.inputs
        self._on_terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(
            total=plan.pixels / 1e6, unit=" megapixels", bar_format=_LINE, disable=not self._on_terminal, smoothing=0.05
        )
        self._redirect = logging_redirect_tqdm()
        self._counts: Counter[str] = Counter()
        self._under_way: Counter[Path] = Counter()
        self._worked = 0
        self._total = plan.pixels
        self._lock = threading.Lock()
        self._started = self._last_sign = time.monotonic()

    def __enter__(self) -> Progress:
        self._redirect.__enter__()
        self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
        self._redirect.__exit__(kind, error, at)
        seconds = max(time.monotonic() - self._started, 1e-9)
        _log.info(
            "%d done, %d skipped, %d failed in %.1f s; %.1f megapixels per second",
            self._counts["done"], self._counts["skipped"], self._counts["failed"],
            seconds, self._worked / 1e6 / seconds,
        )  # fmt: skip

    def advance(self, path: Path, pixels: int) -> None:
        """Count so many more pixels of an image as labelled; any thread may call this."""
        with self._lock:
            self._under_way[path] += pixels
            self._worked += pixels
            self._bar.update(min(pixels / 1e6, max(self._total / 1e6 - self._bar.n, 0)))
            if not self._on_terminal and time.monotonic() - self._last_sign >= HEARTBEAT_S:
                self._sign_of_life()

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
            self._last_sign = time.monotonic()
            self._show()
        _tell(outcome, f"[{self._counts.total()}/{self._inputs}]", logging.DEBUG if self._on_terminal else logging.INFO)

    def _show(self) -> None:
        self._bar.set_description_str(f"{self._counts.total()}/{self._inputs} images")

    def _sign_of_life(self) -> None:
        self._last_sign = time.monotonic()
        speed = self._worked / (self._last_sign - self._started)
        minutes = (self._total - self._worked) / max(speed, 1) / 60
        _log.info(
            "%d of %d images, %.0f of %.0f megapixels, %.1f megapixels per second, %.0f minutes left",
            self._counts.total(), self._inputs, self._worked / 1e6, self._total / 1e6, speed / 1e6, minutes,
        )  # fmt: skip


def _tell(outcome: Outcome, place: str, level: int) -> None:
    about = {"about": {"path": str(outcome.path), "state": outcome.state, "reason": outcome.reason}}
    if outcome.state == "failed":
        _log.error("%s failed: %s", place, outcome.reason, extra=about)
    elif outcome.state == "skipped":
        _log.log(level, "%s skipped: %s: %s", place, outcome.path, outcome.reason, extra=about)
    else:
        size = outcome.pixels / 1e6
        _log.log(
            level, "%s done: %s: %.1f megapixels in %.1f s", place, outcome.path, size, outcome.seconds, extra=about
        )
    for doubt in outcome.doubts:
        _log.warning("%s: %s", outcome.path, doubt)
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
    """

    def __init__(self, unit: str, *, quiet: bool = False) -> None:
        self._unit = unit
        self._quiet = quiet
        on_terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(unit=f" {unit}", disable=not on_terminal, smoothing=0.05)
        self._redirect = logging_redirect_tqdm()
        self._last_sign = time.monotonic()

    def __enter__(self) -> Meter:
        self._redirect.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
        self._redirect.__exit__(kind, error, at)

    def __call__(self, done: int, total: int) -> None:
        """Say that so many of all are done."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if self._bar.disable and not self._quiet and time.monotonic() - self._last_sign >= HEARTBEAT_S:
            self._last_sign = time.monotonic()
            _log.info("%d of %d %s", done, total, self._unit)
