"""What a run says when it ends: how the images fared, what is doubtful, what is left, and where everything lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from segment.record.failures import FAILURES
from segment.record.manifest import MANIFEST
from segment.record.summary import SUMMARY
from segment.record.sums import End, Sums
from tiler.doubt import Kind
from tiler.files.outputs import Output
from tiler.words import counted

_LEGEND = ("legend.png", "classes.csv")
_HELPS: dict[Kind, str] = {
    "suspect": "look at the masks, or copy the photos again",
    "not placed": "{records} says why",
    "stretched": "--value-range sets the range",
    "far from scale": "{records} says what helps",
    "mask not read": "put the mask inside the file",
    "one value": "look whether the photos are blank",
    "empty": "look at nodata and alpha",
    "low confidence": "look at these masks first; training on such photos helps",
}
"""What helps against a doubt, in a few words."""
_ENDS: dict[End, str] = {
    "complete": "the same command goes on",
    "errors": "more failed than --max-errors allows: mend what failed, or raise it",
    "runtime": "--max-runtime is over; the same command goes on",
    "disk full": "the disk is full: free some space, then the same command goes on",
    "stalled": "nothing moved any more: look at the drives, then the same command goes on",
    "failed": "the run failed; the same command goes on",
    "interrupted": "interrupted; the same command goes on",
}
"""Why images are left, and what then."""
_STATES = {"done": "done", "skipped": "skipped (up to date)", "failed": "failed"}


def log_line(sums: Sums, end: End, failures: Path) -> str:
    """Return how a run ended, as one line for the log; `failures` is the table of what failed."""
    counts = ", ".join(f"{sums.counts[state]} {state}" for state in _STATES)
    parts = [f"{counts} in {sums.seconds:.1f} s", *_speed(sums)]
    parts += [", ".join(f"{count} {kind}" for kind, count in sums.doubts.items())] if sums.doubts else []
    parts += [f"{sums.left} of {counted(sums.inputs, 'image')} left: {_ENDS[end]}"] if sums.left else []
    parts += [f"see {failures}"] if sums.failures else []
    return "; ".join(parts)


def is_clean(sums: Sums) -> bool:
    """Return whether every image has masks that nothing makes doubtful."""
    return not (sums.failures or sums.doubts or sums.left)


def closing_lines(sums: Sums, end: End, files: Mapping[str, str]) -> list[str]:
    """Return how a run ended, as lines for people.

    Parameters
    ----------
    sums : Sums
        How its images ended.
    end : End
        Why it took no more work.
    files : mapping of str to str
        Where to look, see `files_of`: what lies there, and a path.

    Returns
    -------
    list of str
        The counts, then a line for the report, for what is left, for each kind of doubt and for each other place.
    """
    rows = {name: text for name, text in files.items() if name == "report"}
    rows |= {"left": f"{sums.left} of {counted(sums.inputs, 'image')}; {_ENDS[end]}"} if sums.left else {}
    for kind, count in sums.doubts.items():
        rows[kind] = f"{counted(count, 'image')}; {_HELPS[kind].format(records=files.get('records', MANIFEST))}"
    rows |= files
    width = max(map(len, rows), default=0) + 1
    return [_counts(sums), *(f"{label + ':':{width}} {text}" for label, text in rows.items())]


def files_of(out: Path, mark: Callable[[str], str], outputs: Iterable[Output], sums: Sums) -> dict[str, str]:
    """Return where the masks and the records of a run lie, and what to open first.

    Parameters
    ----------
    out : Path
        The output folder.
    mark : callable
        Takes the name of a record and returns that of this run's own; see `Shard.mark`.
    outputs : iterable of Output
        The files of all images that have masks.
    sums : Sums
        How the images ended.
    """
    outputs = tuple(outputs)
    found = {"masks": f"{out}{_opened_first(outputs)}"} if sums.covered else {}
    if polygons := [side.path for output in outputs for side in output.sidecars if side.kind == "polygons"]:
        found["polygons"] = f"{out}  (such as {polygons[0]})"
    places = {
        "legend": [out / name for name in _LEGEND],
        "areas": [out / mark(SUMMARY)] if sums.covered else [],
        "records": [out / mark(MANIFEST)],
    }
    found |= {
        label: ", ".join(map(str, there))
        for label, paths in places.items()
        if (there := [path for path in paths if path.exists()])
    }
    if sums.failures:
        found["failures"] = f"{out / mark(FAILURES)}  (what failed, why, and what helps)"
    return found


def _counts(sums: Sums) -> str:
    if not sums.inputs:
        return "0 images in this shard"
    counts = [f"{sums.counts[state]} {text}" for state, text in _STATES.items() if sums.counts[state]]
    counts += [f"{sums.left} left"] if sums.left else []
    return "; ".join([f"{counted(sums.inputs, 'image')}: {', '.join(counts)}", f"{sums.seconds:.1f} s", *_speed(sums)])


def _speed(sums: Sums) -> list[str]:
    """Return the speed if anything was done."""
    if not sums.pixels:
        return []
    speed = sums.pixels / 1e6 / max(sums.seconds, 1e-9)
    return [f"{speed:.0f} megapixels per second" if speed >= 100 else f"{speed:.3g} megapixels per second"]


def _opened_first(outputs: Iterable[Output]) -> str:
    """Return which file to open first: a colour PNG, else the first label GeoTIFF, else the first label PNG."""
    first: dict[tuple[str, bool], Path] = {}
    for output in outputs:
        first.setdefault((output.kind, output.format == "png"), output.path)
    if path := first.get(("color", True)):
        return f"  (open {path})"
    if path := first.get(("label", False)):
        return f"  (open {path} in QGIS)"
    path = first.get(("label", True))
    return f"  (such as {path}, whose values are class ids)" if path else ""
