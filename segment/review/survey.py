"""Which images of an output folder can be reviewed: their masks, their photos, and how the model saw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from segment.errors import RequestError
from segment.plan.scope import read_roots
from segment.record.manifest import MANIFEST, lines_after
from segment.review.request import By, Measure
from tiler.classes import ClassTable
from tiler.files.names import PNG, TIFF
from tiler.masks.own_classes import own_class_table
from tiler.masks.provenance import SOURCE_KEY, read_recipe, reading_of
from tiler.masks.standing import masks_below
from tiler.source.options import ReadingOptions

_MEASURES: tuple[Measure, ...] = ("confidence", "disagreement")
_SHAPE, _MODEL_SHAPE = "NOSEAM_SHAPE", "NOSEAM_MODEL_SHAPE"
_MANIFESTS = f"{Path(MANIFEST).stem}*.jsonl"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An image that has masks."""

    name: str
    """Its path below the survey, POSIX."""
    source: Path
    """The photo; it may have gone since."""
    label: Path
    """Its label mask."""
    doubts: Mapping[Measure, Path]
    """What stands beside the label mask of the measures of doubt."""
    window_px: int | None
    """Side of the source window that becomes one input of the model, source pixels; None: the mask does not say."""
    input_px: int | None
    """Side of that input, model pixels; None: the mask does not say."""
    reading: ReadingOptions
    """How the photo was read."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The images of an output folder."""

    out: Path
    """The folder."""
    images: tuple[Reviewed, ...]
    """Those that have a label mask, sorted by name."""
    classes: ClassTable
    """The classes of the masks."""

    @property
    def window_px(self) -> int | None:
        """The window of most images."""
        return _commonest(image.window_px for image in self.images)

    @property
    def input_px(self) -> int | None:
        """The side of the model's input of most images."""
        return _commonest(image.input_px for image in self.images)

    def measure(self, by: By) -> Measure | None:
        """Return which measure tells the doubt of all images; None: chance.

        Raises
        ------
        RequestError
            If it stands beside none of the masks. The message says which option of `segment` makes it.
        """
        if by == "random":
            return None
        wanted = _MEASURES if by == "auto" else (by,)
        counts = {measure: sum(measure in image.doubts for image in self.images) for measure in wanted}
        best = max(wanted, key=lambda measure: counts[measure])
        if counts[best]:
            return best
        raise RequestError(
            f"{self.out}: no mask of {' or '.join(wanted)} stands beside the label masks, so nothing says where the "
            f"model is in doubt; segment again with --{wanted[0]}, or take windows by chance: --by random"
        )


def read_survey(out: Path) -> Survey:
    """Return the images of an output folder of `segment`.

    Raises
    ------
    RequestError
        If it holds no label mask of noseam.
    ClassTableError
        If the masks name or colour their classes differently.
    RecordError
        If a record of it cannot be read.
    """
    known, roots = _paths(out), read_roots(out)
    images = [_reviewed(masks.label, masks.tags, known, roots) for masks in masks_below(out)]
    classes = own_class_table([image.label for image in images], out)
    if classes is None:
        raise RequestError(f"{out}: no label mask of noseam found; expected the output folder of `noseam segment`")
    return Survey(out, tuple(sorted(images, key=lambda image: image.name)), classes)


def _reviewed(label: Path, tags: Mapping[str, str], known: Mapping[str, Path], roots: Sequence[Path]) -> Reviewed:
    name = PurePosixPath(tags[SOURCE_KEY]).as_posix()
    stem = label.stem.removesuffix("_label")
    beside = {
        measure: path
        for measure in _MEASURES
        for suffix in (PNG, TIFF)
        if (path := label.with_name(f"{stem}_{measure}{suffix}")).is_file()
    }
    candidates = [*filter(None, [known.get(name)]), *(root / name for root in roots)]
    source = next((path for path in candidates if path.is_file()), candidates[0] if candidates else Path(name))
    recipe = read_recipe(tags) or {}
    return Reviewed(name, source, label, beside, _window(recipe, tags), _input(recipe), reading_of(recipe))


def _commonest(sides: Iterable[int | None]) -> int | None:
    found = Counter(side for side in sides if side)
    return found.most_common(1)[0][0] if found else None


def _window(recipe: Mapping[str, Any], tags: Mapping[str, str]) -> int | None:
    """Return the window of the model: what its tiling says, or what its ground sample distance makes of it here."""
    cut = recipe.get("cut", {})
    if isinstance(window := cut.get("window"), int):
        return window
    try:
        source, model = (max(map(int, tags[key].split(" x "))) for key in (_SHAPE, _MODEL_SHAPE))
        return round(int(cut["input"]) * source / model)
    except (KeyError, ValueError, TypeError, ZeroDivisionError):
        return None


def _input(recipe: Mapping[str, Any]) -> int | None:
    side = recipe.get("cut", {}).get("input")
    return side if isinstance(side, int) else None


def _paths(out: Path) -> dict[str, Path]:
    """Return where the photos lay when they were segmented, by name; the newest record counts."""
    return {str(line["image"]): Path(str(line["path"])) for line in _lines(out) if {"image", "path"} <= line.keys()}


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    found = [line for path in sorted(out.glob(_MANIFESTS)) for line in lines_after(path, 0)]
    yield from sorted(found, key=lambda line: str(line.get("time", "")))
