"""What stands in an output folder, image by image: the label mask with its tags, and the last line of the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.plan.scope import read_roots
from segment.plan.shares import shared_inputs
from segment.record.begun import Begun, read_records
from segment.record.manifest import MANIFEST, lines_after
from tiler.files.previews import PreviewFiles, preview_files
from tiler.masks.standing import Masks, masks_below
from tiler.words import readable

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one image."""

    name: str
    """Its place below its source, as text."""
    line: Mapping[str, Any]
    """What the records say of it in the last run; empty where they say nothing."""
    masks: Masks | None
    """Its masks; None where it has none."""
    source: Path | None
    """The image itself; None where nothing says where it is."""
    megapixels: float
    """Its size as it was planned; 0 where that is not known."""

    def previews(self, out: Path) -> PreviewFiles | None:
        """Return where its previews lie; None where it has no masks."""
        return None if self.masks is None else preview_files(out, Path(self.masks.source))


@dataclass(frozen=True, slots=True)
class Folder:
    """What is known of an output folder."""

    runs: tuple[Begun, ...]
    """What the last run of each shard, or of the whole survey, set out to do."""
    images: tuple[Standing, ...]
    """Its images."""
    gone: tuple[Standing, ...]
    """Images whose masks stand there, and that the survey did not have any more when it was looked at as a whole."""


def read_folder(out: Path) -> Folder:
    """Return what is known of an output folder.

    The images are those of the last run of each shard, those of shards that never ran, and those whose masks stand
    there; where the last runs saw the whole survey, masks of other images are `gone`.

    Raises
    ------
    RecordError
        If a manifest cannot be read.
    """
    runs = _last(read_records(out)[0])
    dealt = shared_inputs(out, runs[0].shard.count) if runs and runs[0].shard.count > len(runs) else {}
    planned = dict.fromkeys(map(readable, dealt), 0.0)
    planned |= {name: size for begun in runs for name, size in begun.inputs.items()}
    lines = {str(line.get("image")): line for begun in runs for line in _lines(out, begun)}
    masks = {each.source: each for each in masks_below(out)}
    roots = read_roots(out)
    found = [
        Standing(name, line, masks.get(name), _source(name, line, roots), size)
        for name, size in {**dict.fromkeys(masks, 0.0), **planned}.items()
        for line in (lines.get(name, _NOTHING),)
    ]
    whole = bool(runs) and all(run.whole for run in runs)
    there = tuple(image for image in found if not whole or image.name in planned)
    gone = tuple(image for image in found if whole and image.name not in planned)
    return Folder(tuple(runs), there, gone)


def _last(records: list[Begun]) -> list[Begun]:
    """Return the records of the last number of shards."""
    if not records:
        return []
    count = max(records, key=lambda begun: begun.began).shard.count
    return [begun for begun in records if begun.shard.count == count]


def _lines(out: Path, begun: Begun) -> Iterator[dict[str, Any]]:
    return lines_after(out / begun.shard.mark(MANIFEST), begun.manifest_bytes)


def _source(name: str, line: Mapping[str, Any], roots: Iterable[Path]) -> Path | None:
    places = [Path(str(line["path"]))] if "path" in line else []
    return next((path for path in (*places, *(root / name for root in roots)) if path.exists()), None)
