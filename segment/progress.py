"""Tell the user how a run goes: one moving line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from segment.job import Outcome
from segment.plan import SurveyPlan

_log = logging.getLogger(__name__)
_LINE = "{desc} |{bar:20}| {n:.0f}/{total:.0f} MP, {rate_noinv_fmt}, {remaining} left"


def track(outcomes: Iterable[Outcome], plan: SurveyPlan, *, quiet: bool = False) -> Iterator[Outcome]:
    """Pass outcomes on and show them.

    Parameters
    ----------
    outcomes : iterable of Outcome
        As they end.
    plan : SurveyPlan
        What they are the outcomes of.
    quiet : bool
        Show no moving line.
    """
    images = len(plan.images) + len(plan.refused)
    on_terminal = sys.stderr.isatty() and not quiet
    counts: Counter[str] = Counter()
    started = time.monotonic()
    worked = 0
    with (
        logging_redirect_tqdm(),
        tqdm(total=plan.pixels / 1e6, unit="MP", bar_format=_LINE, disable=not on_terminal, smoothing=0.05) as bar,
    ):
        bar.set_description_str(f"0/{images} images")
        for outcome in outcomes:
            counts[outcome.state] += 1
            worked += outcome.pixels if outcome.state == "done" else 0
            _report(outcome, f"[{counts.total()}/{images}]", level=logging.DEBUG if on_terminal else logging.INFO)
            bar.set_description_str(f"{counts.total()}/{images} images")
            bar.update(outcome.pixels / 1e6)
            yield outcome
    seconds = max(time.monotonic() - started, 1e-9)
    _log.info(
        "%d done, %d skipped, %d failed in %.1f s; %.1f megapixels per second",
        counts["done"], counts["skipped"], counts["failed"], seconds, worked / 1e6 / seconds,
    )  # fmt: skip


def _report(outcome: Outcome, place: str, *, level: int) -> None:
    if outcome.state == "failed":
        _log.error("%s failed: %s", place, outcome.reason)
    elif outcome.state == "skipped":
        _log.log(level, "%s skipped: %s: %s", place, _shown(outcome.path), outcome.reason)
    else:
        size = outcome.pixels / 1e6
        _log.log(level, "%s done: %s: %.1f megapixels in %.1f s", place, _shown(outcome.path), size, outcome.seconds)
    for note in outcome.notes:
        _log.log(level, "%s: %s", _shown(outcome.path), note)


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()
