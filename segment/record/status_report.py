"""Say how the runs into an output folder stand, as text for people and as a dict for programs."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from segment.plan.figures import about_time
from segment.plan.shard import WHOLE
from segment.record.failures import FAILURES
from segment.record.manifest import MANIFEST
from segment.record.status import Part, Status, failures_table
from tiler.words import counted

_ENDS = {
    "complete": "done",
    "errors": "stopped by --max-errors",
    "runtime": "stopped by --max-runtime",
    "disk full": "stopped: the disk was full",
    "stalled": "stopped: its drive hung",
    "failed": "an error ended it",
    "interrupted": "interrupted",
}
"""How a run ended, in words."""
_FIRST, _MOST_ROWS = 3, 12
"""So many failures are told, and so many shards."""
_HEAD = ("shard", "masks", "failed", "left", "")


def status_as_dict(status: Status) -> dict[str, Any]:
    """Return how runs stand as JSON-able values; times are UTC, what is not known is null."""
    return {
        "out": str(status.out),
        "images": status.images,
        "done": sum(part.done for part in status.parts),
        "skipped": sum(part.skipped for part in status.parts),
        "failed": len(status.failed),
        "left": status.left,
        "complete": status.complete,
        "running": bool(status.running),
        "held_by": [*(part.holder for part in status.running), *status.others],
        "last": _iso(status.last),
        "megapixels_per_second": status.megapixels_s,
        "seconds_left": status.seconds_left,
        "shards": len(status.parts),
        "missing": [str(part.shard) for part in status.missing] if status.of_shards else [],
        "runs": [_part_as_dict(part) for part in status.parts],
        "failures": [{"path": each.path, "reason": each.reason, "advice": each.advice} for each in status.failed],
        "doubts": dict(status.doubts),
        "unread": list(map(str, status.unread)),
        "labelled_inside": dict(status.inside),
    }


def _part_as_dict(part: Part) -> dict[str, Any]:
    begun = part.begun
    return {
        "shard": str(part.shard),
        "state": part.state,
        "end": part.end or None,
        "images": len(begun.inputs) if begun else part.left,
        "done": part.done,
        "skipped": part.skipped,
        "failed": len(part.failed),
        "left": part.left,
        "whole_survey": begun.whole if begun else None,
        "began": _iso(begun.began if begun else None),
        "ended": _iso(begun.ended if begun else None),
        "last": _iso(part.last),
        "pid": begun.pid if begun else None,
        "host": begun.host if begun else None,
        "command": list(begun.command_for(part.shard)) if begun else [],
        "folder": begun.folder if begun else None,
        "megapixels_left": round(part.megapixels_left, 6),
        "megapixels_per_second": part.megapixels_s,
        "seconds_left": part.seconds_left,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")


def status_as_lines(status: Status, width: int | None = None) -> list[str]:
    """Return how runs stand as lines: the sums, then each shard, then what is to be looked at, and what to run.

    Parameters
    ----------
    status : Status
        How they stand.
    width : int, optional
        Columns of the terminal. Lines are broken there, but for commands, which people copy.
    """
    rows = [
        *_of_whole(status),
        *_pace(status),
        *_remarks(status),
        *_failures(status),
        *_doubts(status),
        *_missing(status),
    ]
    indent = max((len(label) for label, _ in rows), default=0) + 2
    table = ["", *_table(status), ""] if status.of_shards else []
    lines = [line for label, text in rows for line in _broken(label, text, indent, width)]
    return [_sums(status), *table, *lines, *_what_to_run(status)]


def _broken(label: str, text: str, indent: int, width: int | None) -> list[str]:
    """Return the text of a label as lines, each after the same indent."""
    room = max((width or sys.maxsize) - indent, 20)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{label if place == 0 else '':{indent}}{line}" for place, line in enumerate(lines)]


def _sums(status: Status) -> str:
    failed = f", {len(status.failed):,} failed" if status.failed else ""
    left = f", {status.left:,} left" if status.left else ""
    have = "has a mask" if status.images == 1 else "have masks"
    return f"{status.done:,} of {counted(status.images, 'image')} {have}{failed}{left}"


def _of_whole(status: Status) -> Iterator[tuple[str, str]]:
    """Yield how the one run stands where the survey has no shards."""
    if status.of_shards:
        return
    for part in status.parts:
        yield ("running:" if part.state == "running" else "run:"), _state(part, status.now)
        if part.begun and not part.begun.whole:
            yield "part:", "that run took a part of the survey alone"


def _table(status: Status) -> Iterator[str]:
    """Yield a row for each shard; where there are many, for those that are not done."""
    parts = status.parts
    if len(parts) > _MOST_ROWS:
        parts = tuple(part for part in parts if part.end != "complete" or part.failed)
    rows = [_HEAD, *(_row(part, status.now) for part in parts[:_MOST_ROWS])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, state in rows:
        counts = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
        yield f"{counts}  {state}".rstrip()
    if others := len(parts[_MOST_ROWS:]):
        yield f"and {counted(others, 'shard')} like these; --json names all"
    if done := len(status.parts) - len(parts):
        yield f"{counted(done, 'shard')} of {len(status.parts)} done"


def _row(part: Part, now: datetime) -> tuple[str, ...]:
    if part.begun is None:
        left = "?" if part.left is None else f"{part.left:,}"
        return str(part.shard.index), "-", "-", left, _state(part, now)
    counts = part.done + part.skipped, len(part.failed), part.left or 0
    return str(part.shard.index), *(f"{count:,}" for count in counts), _state(part, now)


def _state(part: Part, now: datetime) -> str:
    """Return how a run stands in words."""
    if part.state == "never ran":
        return "never ran"
    if part.state == "running":
        return f"{part.holder}; {'it has just begun' if _is_new(part) else _seen(part, now)}"
    begun = part.begun
    assert begun is not None
    if part.state == "cut off":
        return f"cut off on {begun.host}; {_seen(part, now)}"
    ago = "" if begun.ended is None else f", {_ago(begun.ended, now)}"
    return f"{_ENDS.get(part.end, part.end)}{ago}"


def _is_new(part: Part) -> bool:
    """Return whether a run has not said yet what it sets out to do; the record is that of the run before, if any."""
    return part.begun is None or part.begun.ended is not None


def _pace(status: Status) -> Iterator[tuple[str, str]]:
    """Yield how fast the runs go together, and how long the longest of them still takes."""
    if status.megapixels_s:
        left = f"; about {about_time(status.seconds_left)} left" if status.seconds_left else ""
        yield "speed:", f"{status.megapixels_s:.3g} megapixels per second{left}"


def _seen(part: Part, now: datetime) -> str:
    if part.last is not None:
        return f"last image {_ago(part.last, now)}"
    return f"no image yet, begun {_ago(part.begun.began, now)}" if part.begun else "no image yet"


def _ago(then: datetime, now: datetime) -> str:
    return f"{about_time(round(max((now - then).total_seconds(), 0)))} ago"


def _remarks(status: Status) -> Iterator[tuple[str, str]]:
    for place, (image, share) in enumerate([*status.inside.items()][:_FIRST]):
        whole = "all of it is labelled, and its parts are left to join"
        much = whole if share >= 1 else f"{min(share, 0.99):.0%} of it is labelled"
        yield "inside:" if place == 0 else "", f"{image}: {much}"
    for who in status.others:
        yield "held:", f"{who} holds the folder too: another kind of run, or one that has just begun"
    for path in status.unread:
        yield "unread:", f"{path} is damaged; what that run did is not known"
    unknown = [part.shard.index for part in status.parts if part.left is None]
    if unknown:
        yield "unknown:", f"how many images {_shards(unknown)} {'has' if len(unknown) == 1 else 'have'}"


def _failures(status: Status) -> Iterator[tuple[str, str]]:
    """Yield the first failures with their reasons, and where all of them stand."""
    for place, failed in enumerate(status.failed[:_FIRST]):
        named = Path(failed.reason.partition(": ")[0]).name == Path(failed.path).name
        yield "failed:" if place == 0 else "", failed.reason if named else f"{failed.path}: {failed.reason}"
    where = [failures_table(status.out, part) for part in status.parts if part.failed]
    if where:
        more = f"{counted(len(status.failed) - _FIRST, 'other')}; " if len(status.failed) > _FIRST else ""
        tables = all(path.name.startswith(FAILURES.partition(".")[0]) for path in where)
        listed = ", ".join(map(str, where[:_FIRST])) + (" and so on" if len(where) > _FIRST else "")
        yield "", f"{more}{'what helps stands' if tables else 'all stand'} in {listed}"


def _doubts(status: Status) -> Iterator[tuple[str, str]]:
    if status.doubts:
        manifests = [str(status.out / part.shard.mark(MANIFEST)) for part in status.parts if part.doubts]
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(status.doubts.items()))
        listed = ", ".join(manifests[:_FIRST]) + (" and so on" if len(manifests) > _FIRST else "")
        yield "doubtful:", f"{kinds}; {listed} says of which and why"


def _missing(status: Status) -> Iterator[tuple[str, str]]:
    if status.of_shards and status.missing:
        yield "missing:", f"{_shards([part.shard.index for part in status.missing])} of {len(status.parts)}"


def _what_to_run(status: Status) -> Iterator[str]:
    """Yield the command that does what is missing, or the summary of all shards, as far as the records know it."""
    missing = [part.shard for part in status.missing]
    if not (missing or (status.of_shards and status.complete)):
        return
    known = [part.begun for part in (*status.missing, *status.parts) if part.begun and part.begun.command]
    why = "To go on" if missing else "For the summary of all shards"
    yield ""
    if known:
        yield f"{why}, in {known[0].folder} on {known[0].host}:"
        yield f"  {shlex.join(known[0].command_for((missing or [WHOLE])[0]))}"
    else:
        yield f"{why}: the same call with shard {missing[0]}" if missing else f"{why}: the same call without a shard"
    if others := missing[1:]:
        more = f" and {len(others) - _FIRST} more" if len(others) > _FIRST else ""
        yield f"and the same with {', '.join(f'--shard {shard}' for shard in others[:_FIRST])}{more}"


def _shards(indices: Sequence[int]) -> str:
    """Return shards in words, such as `shards 3, 5-9 and 12`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    texts = list(_spans(spans))
    return f"shard{'s' * (len(indices) > 1)} {', '.join(texts[:-1])}{' and ' if texts[:-1] else ''}{texts[-1]}"


def _spans(spans: Iterable[Sequence[int]]) -> Iterator[str]:
    for first, last in spans:
        if last - first > 1:
            yield f"{first}-{last}"
        else:
            yield from map(str, dict.fromkeys((first, last)))
