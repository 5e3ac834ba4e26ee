"""How sections run: each is a generator of rows, guarded, within a time of its own, and recorded as it goes."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import table

from on_gpu.predicted import PREDICTED
from segment.model.presets import Size

_LEAST_S = 5.0
"""With less time than this no section is begun."""


class SkippedError(Exception):
    """What a section or a row needs is not there; the message says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """One result."""

    name: str
    """What was measured."""
    value: float | str
    """What came out."""
    unit: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    """What else there is to know of it."""


@dataclass(slots=True)
class Bench:
    """What sections share: where, on what and for how long they measure, and what was found."""

    folder: Path
    """Photos, models and masks go there."""
    device: str
    """`cuda` or `cpu`."""
    small: bool
    """Whether everything is tried out in miniature."""
    ends: float
    """When all of it has to be over, by the monotonic clock."""
    json: Path | None = None
    """Gets the results after every row."""
    found: dict[str, Any] = field(default_factory=dict)
    """The results."""
    section_ends: float = 0.0
    """When the section at hand has to be over."""

    @property
    def left_s(self) -> float:
        """Seconds that the section at hand has left."""
        return min(self.section_ends, self.ends) - time.monotonic()

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The networks."""
        return ("nano",) if self.small else ("b0", "b5")

    @property
    def photo_shape(self) -> tuple[int, int]:
        """Height and width of a photo."""
        return (400, 600) if self.small else (4000, 6000)

    @property
    def window_px(self) -> int:
        """Side of the source window that becomes one tile of `input_px`."""
        return 200 if self.small else 2000

    @property
    def input_px(self) -> int:
        """Side of that tile, model pixels."""
        return 64 if self.small else 512

    @property
    def megapixels(self) -> float:
        """Those of a photo."""
        height, width = self.photo_shape
        return height * width / 1e6

    def write(self) -> None:
        """Write what was found so far."""
        if self.json is not None:
            self.json.write_text(json.dumps(self.found, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class Section:
    """One subject."""

    name: str
    rows: Callable[[Bench], Iterator[Row]]
    """Measures; yields a row as soon as it is known."""
    seconds: float
    """It is ended after the row that passes this time."""


@contextmanager
def bench_in(folder: Path | None) -> Iterator[Path]:
    """Yield a folder; a temporary one is removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix="noseam-gpu-")) if folder is None else folder
    made.mkdir(parents=True, exist_ok=True)
    try:
        yield made
    finally:
        if folder is None:
            shutil.rmtree(made, ignore_errors=True)


def run_sections(bench: Bench, sections: Sequence[Section]) -> None:
    """Run sections one after the other; whatever one of them raises costs itself alone."""
    for section in sections:
        if bench.ends - time.monotonic() < _LEAST_S:
            _say(f"{section.name}: left out, no time is left")
            bench.found[section.name] = {"rows": [], "ended": "left out: no time is left"}
            continue
        _run(bench, section)
    bench.write()


def _run(bench: Bench, section: Section) -> None:
    began = time.monotonic()
    bench.section_ends = began + section.seconds
    result = bench.found.setdefault(section.name, {"rows": [], "ended": "whole"})
    try:
        with closing(section.rows(bench)) as rows:  # type: ignore[type-var]
            for row in rows:
                result["rows"].append(_as_dict(section, row))
                _say(f"{section.name}: {_as_line(section, row)}")
                bench.write()
                if bench.left_s <= 0:
                    result["ended"] = "its time was over"
                    break
    except SkippedError as why:
        result["ended"] = f"skipped: {why}"
    except (Exception, SystemExit) as error:
        result["ended"] = f"failed: {_first_line(error)}"
        result["traceback"] = traceback.format_exc()
    result["seconds"] = round(time.monotonic() - began, 1)
    _say(f"{section.name}: {result['ended']}, {result['seconds']} s")
    bench.write()


def attempted(rows: Callable[[], Iterator[Row]], name: str) -> Iterator[Row]:
    """Yield rows; where they fail or lack something, a row that says why, so that those after them are measured too."""
    try:
        yield from rows()
    except SkippedError as why:
        yield Row(name, f"skipped: {why}")
    except (Exception, SystemExit) as error:
        yield Row(name, f"failed: {_first_line(error)}", more={"whole": [str(error)[-3000:]]})


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {text[0]:.120}"


def as_tables(bench: Bench, sections: Sequence[Section]) -> str:
    """Return what was found as Markdown tables."""
    texts = []
    for section in sections:
        rows = bench.found.get(section.name, {}).get("rows", [])
        cells = [
            [row["name"], f"{_text(row['value'])} {row['unit']}".strip(), _text(row["predicted"]), _more(row["more"])]
            for row in rows
        ]
        if cells:
            texts.append(f"## {section.name}\n\n{table((section.name, 'found', 'predicted', 'more'), cells)}")
    return "\n\n".join(texts)


def _as_dict(section: Section, row: Row) -> dict[str, Any]:
    predicted = PREDICTED.get((section.name, row.name))
    return {"name": row.name, "value": row.value, "unit": row.unit, "predicted": predicted, "more": row.more}


def _as_line(section: Section, row: Row) -> str:
    predicted = PREDICTED.get((section.name, row.name))
    expected = "" if predicted is None else f" (predicted {_text(predicted)})"
    return f"{row.name}: {_text(row.value)} {row.unit}{expected}  {_more(row.more)}".rstrip()


def _more(more: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in more.items() if not isinstance(value, dict | list))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", " ")[:200]


def _say(text: str) -> None:
    print(text, flush=True)
    sys.stdout.flush()
