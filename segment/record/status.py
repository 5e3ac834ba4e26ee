"""How the runs into an output folder stand, from their records alone: done, failed, left, missing shards, speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from segment.plan.shard import Shard
from segment.plan.shares import shared_inputs
from segment.record.begun import Begun, read_records
from segment.record.failures import FAILURES
from segment.record.manifest import MANIFEST, lines_after
from tiler.doubt import KINDS

State = Literal["running", "ended", "cut off", "never ran"]
"""`ended`: by itself or by a signal, see `Part.end`; `cut off`: killed, or its machine stopped."""
_RECENT = 100
"""So many of the last images tell how fast a run goes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An image that failed."""

    path: str
    """Its full path."""
    reason: str
    """Why."""
    advice: str
    """What helps."""


@dataclass(frozen=True, slots=True)
class Part:
    """How the last run of a shard, or of the whole survey, stands."""

    shard: Shard
    """Which part of the survey it takes."""
    state: State
    """Whether it runs."""
    begun: Begun | None = None
    """What it set out to do; None if it never ran."""
    holder: str = ""
    """The process that holds the output folder for this shard right now, in words; empty if none does."""
    done: int = 0
    """Images that it made masks of."""
    skipped: int = 0
    """Images whose masks were up to date."""
    left: int | None = None
    """Images that it did not get to; None where that is not known."""
    failed: tuple[Failed, ...] = ()
    """Those that failed, in the order in which they did."""
    doubts: Mapping[str, int] = field(default_factory=dict)
    """How many of those with masks are doubtful, by the kind of doubt; see `tiler.doubt`."""
    last: datetime | None = None
    """When its last image ended."""
    megapixels_left: float = 0.0
    """Size of those that are left."""
    megapixels_s: float | None = None
    """Megapixels a second of the last images that it made masks of; None before there are two."""

    @property
    def end(self) -> str:
        """Why it took no more work, see `segment.record.sums.End`; empty while it runs, and where it was cut off."""
        return self.begun.end if self.begun and self.state == "ended" else ""

    @property
    def missing(self) -> bool:
        """Whether nothing works on it, and it is not finished."""
        if self.state == "never ran":
            return self.left != 0
        return self.state == "cut off" or (self.state == "ended" and self.end != "complete")

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None where it does not run, or its speed is not known."""
        if self.state != "running" or not self.megapixels_s:
            return None
        return self.megapixels_left / self.megapixels_s


@dataclass(frozen=True, slots=True)
class Status:
    """How the last runs into an output folder stand."""

    out: Path
    """The folder."""
    parts: tuple[Part, ...] = ()
    """The last run of each shard, or that of the whole survey; none where no run left a record."""
    others: tuple[str, ...] = ()
    """Processes that hold the folder and are none of these runs, in words."""
    unread: tuple[Path, ...] = ()
    """Records that cannot be read."""
    inside: Mapping[str, float] = field(default_factory=dict)
    """Large images that are not done: how much of each is labelled, 0 to 1."""
    now: datetime = datetime.min
    """When the records were read."""

    @property
    def of_shards(self) -> bool:
        """Whether the runs are of shards."""
        return bool(self.parts) and self.parts[0].shard.count > 1

    @property
    def done(self) -> int:
        """Images that have masks, made now or earlier."""
        return sum(part.done + part.skipped for part in self.parts)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """Images that failed."""
        return tuple(failed for part in self.parts for failed in part.failed)

    @property
    def doubts(self) -> Mapping[str, int]:
        """How many images are doubtful, by the kind of doubt."""
        return sum((Counter(part.doubts) for part in self.parts), Counter())

    @property
    def left(self) -> int:
        """Images that no run has got to, as far as that is known."""
        return sum(part.left or 0 for part in self.parts)

    @property
    def images(self) -> int:
        """All images, as far as they are known."""
        return self.done + len(self.failed) + self.left

    @property
    def running(self) -> tuple[Part, ...]:
        """The parts that are worked on right now."""
        return tuple(part for part in self.parts if part.state == "running")

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that nothing works on, and that are not finished."""
        return tuple(part for part in self.parts if part.missing)

    @property
    def complete(self) -> bool:
        """Whether every image was looked at, and no run works on."""
        return not (self.left or self.missing or self.running)

    @property
    def last(self) -> datetime | None:
        """When the last image ended."""
        return max((part.last for part in self.parts if part.last), default=None)

    @property
    def megapixels_s(self) -> float | None:
        """Megapixels a second of all parts that are worked on; None where none says its speed."""
        return sum(part.megapixels_s or 0 for part in self.running) or None

    @property
    def seconds_left(self) -> float | None:
        """About how long the parts that are worked on still take; None where one does not say its speed."""
        found = [part.seconds_left for part in self.running]
        return max((each for each in found if each is not None), default=None) if None not in found else None


def read_status(out: Path, held: Mapping[Shard, str], now: datetime | None = None) -> Status:
    """Return how the last runs into an output folder stand.

    Parameters
    ----------
    out : Path
        The folder.
    held : mapping of Shard to str
        Which runs hold it right now, by their shards, in words; see `holders`.
    now : datetime, optional
        What counts as now.

    Raises
    ------
    RecordError
        If a manifest cannot be read.
    """
    records, unread = read_records(out)
    now = now or datetime.now(UTC)
    if not records:
        return Status(out, others=tuple(held.values()), unread=tuple(unread), now=now)
    count = max(records, key=lambda begun: begun.began).shard.count
    found = {begun.shard: begun for begun in records if begun.shard.count == count}
    shards = [Shard(index, count) for index in range(1, count + 1)]
    dealt = shared_inputs(out, count) if len(found) < count else {}
    parts = tuple(
        _part(out, found[shard], who) if shard in found else _never_ran(shard, dealt, who)
        for shard, who in ((shard, held.get(shard, "")) for shard in shards)
    )
    others = tuple(who for shard, who in held.items() if shard.count != count)
    return Status(out, parts, others, tuple(unread), _inside(out, found.values()), now)


def _inside(out: Path, runs: Iterable[Begun]) -> dict[str, float]:
    """Return how much of large images is labelled, by the files of their parts."""
    if next(out.rglob(".*.parts"), None) is None:
        return {}
    from tiler.masks.products import labelled_pixels, part_folders_below  # loads GDAL, which no other status needs

    sizes = {place: 1e6 * size for begun in runs for place, size in begun.inputs.items()}
    folders = {source: folder for folder, (_, source) in part_folders_below(out).items()}
    found = {source: labelled_pixels(folder) / sizes[source] for source, folder in folders.items() if sizes.get(source)}
    return {source: min(round(share, 4), 1.0) for source, share in sorted(found.items())}


def _never_ran(shard: Shard, dealt: Mapping[str, int], holder: str) -> Part:
    left = sum(index == shard.index for index in dealt.values()) if dealt else None
    return Part(shard, "running" if holder else "never ran", holder=holder, left=left)


def _part(out: Path, begun: Begun, holder: str) -> Part:
    state: State = "ended" if begun.ended else "running" if holder else "cut off"
    if holder and begun.ended:  # the next run has taken the folder, and has not said yet what it sets out to do
        return Part(begun.shard, "running", begun, holder, left=len(begun.inputs))
    found = lines_after(out / begun.shard.mark(MANIFEST), begun.manifest_bytes)
    lines = {str(line.get("image")): line for line in found}
    of_state = {name: [line for line in lines.values() if line.get("state") == name] for name in ("done", "skipped")}
    failed = [line for line in lines.values() if line.get("state") == "failed"]
    left = [size for place, size in begun.inputs.items() if place not in lines]
    return Part(
        begun.shard,
        state,
        begun,
        holder,
        done=len(of_state["done"]),
        skipped=len(of_state["skipped"]),
        left=len(left),
        failed=tuple(Failed(*(str(line.get(key, "")) for key in ("path", "reason", "advice"))) for line in failed),
        doubts=Counter(kind for line in lines.values() for kind in KINDS if kind in _doubts(line)),
        last=max(filter(None, map(_time, lines.values())), default=None),
        megapixels_left=sum(left),
        megapixels_s=_speed(of_state["done"]),
    )


def _doubts(line: Mapping[str, Any]) -> Sequence[Any]:
    found = line.get("doubts")
    return found if isinstance(found, list) else ()


def _speed(done: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the megapixels a second of the last images that are done; None before there are two."""
    ends = [(ended, float(line.get("megapixels", 0))) for line in done if (ended := _time(line))][-_RECENT - 1 :]
    seconds = (ends[-1][0] - ends[0][0]).total_seconds() if ends else 0.0
    return round(sum(size for _, size in ends[1:]) / seconds, 3) if seconds > 0 else None


def _time(line: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(line.get("time")))
    except ValueError:
        return None


def failures_table(out: Path, part: Part) -> Path:
    """Return where the failures of a part are listed: in its table once it has ended, in its manifest before."""
    table = out / part.shard.mark(FAILURES)
    return table if part.state == "ended" and table.exists() else out / part.shard.mark(MANIFEST)
