"""An examination as text that fits into a bug report, and as a dict for programs; neither names the user."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from segment.doctor.examine import Examination
from segment.doctor.fact import Fact, nameless
from segment.doctor.verdict import Verdict

WIDTH = 80
_STATE, _NAME = 6, 18
"""Columns of the word that says how good something is, and of the name after it."""
_LEGEND = (
    "agree: labels that are those of PyTorch in fp32. right: labels that are those of the scene. "
    "ready after: seconds to the first labels. auto: what --precision auto is."
)
_WORDS = {"bad": "bad", "look": "to look at"}
_HEAD = f"{'':{_STATE}}{'':26}{'MP/s':>7}{'agree':>10}{'right':>9}{'ready after':>14}"


def as_dict(found: Examination) -> dict[str, Any]:
    """Return an examination as JSON-able values."""
    return {
        "works": found.works,
        "auto": _auto_name(found.engines),
        "facts": [
            {"part": fact.part, "name": fact.name, "value": nameless(fact.value), "state": fact.state,
             "advice": nameless(fact.advice)}
            for fact in found.facts
        ],
        "engines": list(map(_engine, found.engines)),
    }  # fmt: skip


def _engine(verdict: Verdict) -> dict[str, Any]:
    trial = verdict.trial
    return {
        "engine": trial.place.engine,
        "device": trial.place.device,
        "precision": trial.precision,
        "auto": trial.is_auto,
        "state": verdict.state,
        "error": nameless(trial.error),
        "advice": nameless(verdict.advice),
        "notes": [nameless(note) for note in trial.notes],
        "megapixels_per_second": round(trial.megapixels_s, 3) if trial.works else None,
        "agreement": verdict.agreement,
        "right": verdict.right,
        "ready_after_s": round(trial.opened_s, 2) if trial.works else None,
    }


def as_lines(found: Examination) -> Iterator[str]:
    """Yield the lines of an examination; each line has at most 80 columns, unless a word is longer."""
    yield f"noseam doctor, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    for part in dict.fromkeys(fact.part for fact in found.facts):
        yield f"\n{part}"
        for fact in found.facts:
            if fact.part == part:
                yield from _row(fact)
    if found.engines:
        yield "\nengines, on a made-up scene of 1.6 megapixels that bundled:demo never saw"
        yield _HEAD
        for verdict in found.engines:
            yield from _trial(verdict)
        yield from _block("", _LEGEND)
    yield ""
    yield from (line for text in _conclusion(found) for line in _block("", text))


def _row(fact: Fact) -> Iterator[str]:
    yield from _block(f"{_word(fact.state):{_STATE}}{fact.name:{_NAME}}", nameless(fact.value))
    if fact.advice:
        yield from _block(" " * (_STATE + _NAME), f"-> {nameless(fact.advice)}")


def _trial(verdict: Verdict) -> Iterator[str]:
    trial = verdict.trial
    head = f"{_word(verdict.state):{_STATE}}{trial.name + ' (auto)' * trial.is_auto:26}"
    if verdict.agreement is None or verdict.right is None:
        yield from _block(head, nameless(trial.error))
    else:
        yield (f"{head}{trial.megapixels_s:7.1f}{100 * verdict.agreement:8.2f} %{100 * verdict.right:7.1f} %"
               f"{trial.opened_s:12.1f} s")  # fmt: skip
    if verdict.advice:
        yield from _block(" " * (_STATE + _NAME), f"-> {nameless(verdict.advice)}")


def _word(state: str) -> str:
    return "-" if state == "none" else state


def _block(head: str, text: str) -> list[str]:
    """Return a text as lines behind a head, all at the same indent."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]  # fmt: skip


def _auto_name(engines: Sequence[Verdict]) -> str | None:
    """Return what `segment` takes on this machine if nobody says otherwise: a GPU, or OpenVINO, or PyTorch."""
    auto = [verdict for verdict in engines if verdict.trial.is_auto]
    on_gpu = [verdict.trial.name for verdict in auto if verdict.trial.place.device != "cpu"]
    on_cpu = sorted((verdict.trial for verdict in auto if verdict.trial.works), key=lambda trial: trial.place.engine)
    names = [*on_gpu, *(trial.name for trial in on_cpu)]
    return names[0] if names else None


def _conclusion(found: Examination) -> Iterator[str]:
    if found.works:
        yield f"Segmenting works here. Unless told otherwise, noseam takes {_auto_name(found.engines)}."
    else:
        yield "Segmenting does not work here, because no engine does."
    states = [fact.state for fact in found.facts] + [verdict.state for verdict in found.engines]
    counts = [f"{states.count(state)} {words}" for state, words in _WORDS.items() if state in states]
    yield f"{' and '.join(counts)}, each with what helps." if counts else "All is well."
