"""What each run set out to do, and whether it ended: a hidden file per shard, for `noseam status`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segment.errors import RecordError
from segment.plan.shard import Shard, marked
from segment.plan.survey import SurveyPlan
from segment.record.hardware import Hardware
from segment.record.manifest import MANIFEST, end_of_lines
from tiler.extra import version_of
from tiler.files.atomic import write_whole
from tiler.words import readable

RUN = ".noseam.run.json"
"""Name of the hidden file in the output folder; shards mark it."""
_PACKAGES = ("noseam", "torch", "openvino", "transformers", "numpy", "rasterio", "pillow", "numba")

_UNKNOWN = Hardware()


@dataclass(frozen=True, slots=True)
class Begun:
    """What the last run of a shard, or of the whole survey, set out to do."""

    shard: Shard
    """Which part of the survey it took."""
    inputs: Mapping[str, float]
    """Megapixels of each input, by its place below its source; 0 of one that cannot be segmented."""
    whole: bool
    """Whether the survey has no other inputs, but for those of other shards."""
    pid: int
    """Its process."""
    host: str
    """The machine of that."""
    began: datetime
    """When it took the output folder."""
    command: tuple[str, ...]
    """What was typed after `noseam`; empty where Python called."""
    folder: str
    """Where that was typed."""
    manifest_bytes: int
    """How long its manifest was before; its own lines follow."""
    ended: datetime | None = None
    """When it ended; None while it runs, or where it was killed."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Packages that decide masks, with their versions."""
    hardware: Hardware = _UNKNOWN
    """What it has to compute with."""
    end: str = ""
    """Why it took no more work, see `End`; empty until it ended."""

    def command_for(self, shard: Shard) -> tuple[str, ...]:
        """Return the words that run another shard in the same way, `noseam` first; nothing where they are not known."""
        if not self.command:
            return ()
        words = list(self.command)
        after = words[words.index("--") :] if "--" in words else []
        words = list(_without_shard(words[: len(words) - len(after)]))
        return ("noseam", *words, *(["--shard", str(shard)] if shard.count > 1 else []), *after)


def begin_record(
    out: Path, shard: Shard, survey: SurveyPlan, command: Sequence[str], hardware: Hardware = _UNKNOWN
) -> Begun:
    """Record what a run sets out to do, in place of what earlier runs of its shard, or of other numbers of shards, did.

    The caller holds the output folder.

    Raises
    ------
    RecordError
        If it cannot be written.
    """
    sizes = {entry.relative: 0 for entry in survey.refused} | {
        image.found.relative: image.pixels for image in survey.images
    }
    begun = Begun(
        shard=shard,
        inputs={readable(place.as_posix()): round(pixels / 1e6, 6) for place, pixels in sizes.items()},
        whole=survey.whole,
        pid=os.getpid(),
        host=platform.node(),
        began=datetime.now(UTC),
        command=tuple(map(readable, command)),
        folder=readable(str(Path.cwd())),
        manifest_bytes=end_of_lines(out / shard.mark(MANIFEST)),
        versions={name: version for name in _PACKAGES if (version := version_of(name)) != "unknown"},
        hardware=hardware,
    )
    _write(out, begun)
    for path in _records(out):
        if marked(path.name).count != shard.count:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return begun


def end_record(out: Path, begun: Begun, end: str) -> None:
    """Record that a run ended, and why it took no more work.

    Raises
    ------
    RecordError
        If it cannot be written.
    """
    _write(out, replace(begun, ended=datetime.now(UTC), end=end))


def read_records(out: Path) -> tuple[list[Begun], list[Path]]:
    """Return what the last run of each shard set out to do, in the order of the shards, and files that say nothing."""
    found, damaged = [], []
    for path in _records(out):
        try:
            found.append(_read(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            damaged.append(path)
    return sorted(found, key=lambda begun: begun.shard.index), damaged


def _records(out: Path) -> Iterator[Path]:
    yield from sorted({*out.glob(RUN), *out.glob(RUN.replace(".json", ".*-of-*.json"))})


def _write(out: Path, begun: Begun) -> None:
    path = out / begun.shard.mark(RUN)
    try:
        write_whole(path, json.dumps(asdict(begun), default=str).encode("ascii"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror or error}") from error


def _read(path: Path) -> Begun:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return Begun(
        shard=Shard(found["shard"]["index"], found["shard"]["count"]),
        inputs={str(place): float(size) for place, size in found["inputs"].items()},
        whole=bool(found["whole"]),
        pid=int(found["pid"]),
        host=str(found["host"]),
        began=datetime.fromisoformat(found["began"]),
        command=tuple(map(str, found["command"])),
        folder=str(found["folder"]),
        manifest_bytes=int(found["manifest_bytes"]),
        ended=datetime.fromisoformat(found["ended"]) if found["ended"] else None,
        end=str(found["end"]),
        versions={str(name): str(version) for name, version in found.get("versions", {}).items()},
        hardware=_hardware(found.get("hardware", {})),
    )


def _hardware(found: dict[str, Any]) -> Hardware:
    return Hardware(str(found.get("processor", "")), tuple(map(str, found.get("gpus", ()))))


def _without_shard(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command but for the option that says its shard."""
    after_flag = False
    for word in words:
        if not (after_flag or word == "--shard" or word.startswith("--shard=")):
            yield word
        after_flag = word == "--shard"
