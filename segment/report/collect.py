"""Collect what a report says from what lies in an output folder: masks, records, an evaluation."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segment.demo.request import is_of_demo
from segment.model.checkpoint import BUNDLED_MODELS, describe_checkpoint
from segment.plan.figures import about_time
from segment.plan.scope import read_roots
from segment.plan.shard import WHOLE
from segment.record.begun import Begun
from segment.report.areas import class_rows
from segment.report.beside import confusion_of, learned_confusion, learning_curve, read_evaluation, reliability_of
from segment.report.content import Content
from segment.report.images import image_rows
from segment.report.lights import lights_of
from segment.report.standing import Folder
from tiler.classes import ClassTable
from tiler.masks.coverage import LOW_BELOW
from tiler.masks.provenance import DIGEST_KEY, ENGINE_KEY, MODEL_KEY, read_recipe
from tiler.words import readable

_SETTINGS = ("strict", "channels", "value_range", "balance_classes")


def collect(out: Path, found: Folder, classes: ClassTable, evaluation: Path | None) -> Content:
    """Return what the report of an output folder says.

    Parameters
    ----------
    out : Path
        The output folder.
    found : Folder
        What is known of it.
    classes : ClassTable
        Names and colours of the classes.
    evaluation : Path or None
        Folder of an evaluation of these masks; None: see `read_evaluation`.
    """
    runs, images = found.runs, found.images
    rows = image_rows(out, images)
    classed, area_note = class_rows(out, images, classes)
    judged = read_evaluation(out, evaluation, (image.name for image in images))
    tags = [image.masks.tags for image in images if image.masks]
    model, folder = _most([each.get(MODEL_KEY, "") for each in tags]), Path(runs[0].folder) if runs else Path()
    bundled = _most([name for each in tags if (name := each.get(MODEL_KEY, "")) in BUNDLED_MODELS])  # their full names
    confusion = confusion_of(judged)
    on_demo = is_of_demo(out) and confusion is not None
    return Content(
        title=_title(out),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        low_below=LOW_BELOW,
        caveat=_caveat(bundled) if bundled and not on_demo else "",
        notes=tuple(_notes(bundled if on_demo else "", found)),
        run=tuple(_run(out, runs, tags, len(images))),
        settings=tuple(_settings(tags)),
        versions=tuple(runs[0].versions.items()) if runs else (),
        lights=lights_of(rows),
        classes=classed,
        area_note=area_note,
        images=rows,
        learning_curve=learning_curve(model, folder) if model else (),
        confusion=confusion or (learned_confusion(model, folder) if model else None),
        reliability=reliability_of(judged),
    )


def _title(out: Path) -> str:
    """Return the names of the folders of the survey, or of the output folder."""
    return readable(", ".join(Path(*root.parts[-2:]).as_posix() for root in read_roots(out)) or out.absolute().name)


def _run(out: Path, runs: Sequence[Begun], tags: Sequence[Mapping[str, str]], images: int) -> Iterator[tuple[str, str]]:
    yield "images", f"{images:,}"
    yield "model", _all([each.get(MODEL_KEY, "") for each in tags])
    yield "engine", _all([each.get(ENGINE_KEY, "") for each in tags])
    yield from _times(runs)
    yield "weights", _all([each.get(DIGEST_KEY, "")[:12] for each in tags])
    yield "made by", _all([each.get("SOFTWARE", "") for each in tags])
    yield "masks", readable(str(out.absolute()))
    if runs:
        if devices := _devices(runs, tags):
            yield "device", devices
        yield "machine", _all([run.host for run in runs])
        if words := runs[0].command_for(WHOLE):
            yield "command", shlex.join(words)


def _devices(runs: Sequence[Begun], tags: Sequence[Mapping[str, str]]) -> str:
    """Return what the runs had to compute with; empty where no record tells it."""
    on_gpu = any("cuda" in each.get(ENGINE_KEY, "").split() for each in tags)
    return _all([words for run in runs if (words := run.hardware.in_words(on_gpu=on_gpu))])


def _caveat(bundled: str) -> str:
    """Return why masks of a bundled model are not to be passed on unseen."""
    measured = describe_checkpoint(bundled).measured
    return f"The model learned made-up scenes alone, so look before you trust it: it has {measured}."


def _notes(on_demo: str, found: Folder) -> Iterator[str]:
    """Yield what a reader is to know before anything else; `on_demo` is the model that saw the demo's scenes, if any.

    These are such as it learned from, and their evaluation stands beside, so nothing else is said against its masks.
    """
    if on_demo:
        measured = describe_checkpoint(on_demo).measured
        yield f"The model learned made-up scenes alone, and these are such scenes. On others it has {measured}."
    count = found.runs[0].shard.count if found.runs else 1
    if missing := count - len(found.runs):
        yield f"{missing} of {count} shards {'has' if missing == 1 else 'have'} not run into this folder yet."
    if gone := found.gone:
        yield (
            f"Masks of photos that left the survey are not counted here: {len(gone):,}, such as {gone[0].name}. "
            "noseam segment --prune removes them."
        )


def _times(runs: Sequence[Begun]) -> Iterator[tuple[str, str]]:
    if not runs:
        return
    began, ended = min(run.began for run in runs), [run.ended for run in runs if run.ended is not None]
    if len(ended) < len(runs):
        yield "took", "it runs, or was cut off"
    else:
        yield "took", about_time((max(ended) - began).total_seconds())
        yield "ended", f"{max(ended):%Y-%m-%d %H:%M} UTC"
    yield "began", f"{began:%Y-%m-%d %H:%M} UTC"


def _settings(tags: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the settings that decide labels, as most masks tell them."""
    recipe = next((each for each in map(read_recipe, tags) if each is not None), {})
    cut: Mapping[str, Any] = recipe.get("cut", {})
    yield from ((name, _text(value)) for name, value in cut.items())
    yield from ((name.replace("_", " "), _text(recipe[name])) for name in _SETTINGS if name in recipe)


def _text(value: Any) -> str:
    if value in (None, []):
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _most(texts: Sequence[str]) -> str:
    return Counter(texts).most_common(1)[0][0] if texts else ""


def _all(texts: Sequence[str]) -> str:
    """Return the text that all agree on; where they do not, each with its count, the commonest first."""
    found = Counter(texts).most_common()
    return found[0][0] if len(found) == 1 else "; ".join(f"{text} ({count})" for text, count in found)
