"""What a run leaves for programs to read: a line per image as it ends."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from segment.errors import RecordError
from segment.record.outcome import Outcome
from tiler.classes import ClassTable
from tiler.masks.coverage import Confidence, Coverage, Disagreement
from tiler.words import readable

MANIFEST = "manifest.jsonl"
"""Name of the record in the output folder."""
_BEGINNING = b'{"time":'
_LONGEST_LINE = 2**20


def end_of_lines(path: Path) -> int:
    """Return how many bytes the whole lines of a record have; a line that a killed run left cut does not count."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LONGEST_LINE))
            return size - len(file.read().rpartition(b"\n")[2])
    except OSError:  # the run that appends to it will say why
        return 0


def lines_after(path: Path, start: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of a record from a byte on; all where it is shorter than that. What is no line is passed over."""
    try:
        with path.open("rb") as file:
            file.seek(start if file.seek(0, os.SEEK_END) >= start else 0)
            for line in file:
                with suppress(ValueError):
                    if isinstance(record := json.loads(line), dict):
                        yield record
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}") from error


class Manifest:
    """Append one line of JSON per image to the record of a run; use as a context manager.

    The lines of images that are done or failed are on the disk before the next ones begin. Each run has its own id.

    Parameters
    ----------
    path : Path
        The record.
    classes : ClassTable
        Names of the classes.

    Raises
    ------
    RecordError
        From any method, if the record cannot be written.
    """

    def __init__(self, path: Path, classes: ClassTable) -> None:
        self._classes = classes
        self._run = secrets.token_hex(4)
        self._path = path
        try:
            self._file = self._path.open("ab+", buffering=0)
            self._drop_cut_line()
        except OSError as error:
            raise RecordError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Record how images ended. They wait for the disk together, because it may take its time."""
        records = [json.dumps(self._record(each), ensure_ascii=True, separators=(",", ":")) for each in outcomes]
        lines = "".join(f"{record}\n" for record in records)
        size = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(lines.encode("ascii")) != len(lines):
                raise OSError("the disk is full")
            if any(each.state != "skipped" for each in outcomes):
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(size)
            raise RecordError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        record: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "run": self._run,
            "image": readable(str(outcome.path) if outcome.relative == Path() else outcome.relative.as_posix()),
            "path": readable(str(outcome.path.absolute())),
            "state": outcome.state,
            "reason": readable(outcome.reason),
            "seconds": round(outcome.seconds, 3),
            "megapixels": round(outcome.pixels / 1e6, 6),
            "doubts": sorted({doubt.kind for doubt in outcome.doubts}),
            "warnings": [*map(str, outcome.doubts), *outcome.notes],
        }
        if outcome.worker:
            record["worker"] = outcome.worker
        if outcome.state == "failed":
            record["advice"] = outcome.advice
        if outcome.coverage is not None:
            counts = zip(self._classes.names, outcome.coverage.pixels, strict=True)
            record["pixels"] = {name: pixels for name, pixels in counts if pixels}
            record["no_data"] = outcome.coverage.no_data
            if outcome.coverage.sure is not None:
                record["confidence"] = _confidence(outcome.coverage, self._classes)
            if outcome.coverage.disagreement is not None:
                record["disagreement"] = _disagreement(outcome.coverage)
        return record

    def _drop_cut_line(self) -> None:
        """Remove the last line if a killed run left it cut; end it if noseam did not write it."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _LONGEST_LINE))
        cut = self._file.read().rpartition(b"\n")[2]
        if cut and _BEGINNING.startswith(cut[: len(_BEGINNING)]):
            self._file.truncate(size - len(cut))
        elif cut:
            self._file.write(b"\n")


def _confidence(coverage: Coverage, classes: ClassTable) -> dict[str, Any]:
    """Return how sure the labels of an image are, all of them and by class; null where there are none."""
    of_classes = zip(classes.names, coverage.confidence or (), strict=True)
    named = {name: _mean_and_low(each) for name, each in of_classes if each.pixels}
    return {**_mean_and_low(coverage.sure or Confidence()), "classes": named}


def _mean_and_low(found: Confidence) -> dict[str, float | None]:
    return {"mean": _rounded(found.mean), "low": _rounded(found.low_share)}


def _disagreement(coverage: Coverage) -> dict[str, float | None]:
    """Return how far the tiles of an image disagree, and for which share of its labels several voted."""
    found, labels = coverage.disagreement or Disagreement(), sum(coverage.pixels)
    return {"mean": _rounded(found.mean), "compared": _rounded(found.pixels / labels if labels else None)}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
