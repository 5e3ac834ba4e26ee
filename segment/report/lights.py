"""The traffic lights of a report: what they count, and from when on they turn amber and red."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segment.report.content import ImageRow, Level, Light
from tiler.doubt import KINDS
from tiler.words import counted

_FEW = 0.05
"""Share of the images up to which a light is amber; photogrammetry's reports draw the line there too."""
_THRESHOLDS = "green: none; amber: up to 5 % of the images; red: more"
_HELPS: Mapping[str, str] = {
    "failed": "The table of failures says why, and what helps.",
    "left": "The same command goes on.",
    "suspect": "The decoder complained of these files: look at their masks, or copy the photos again.",
    "not placed": "They lie nowhere on the map; each says why.",
    "far from scale": "The model was trained on ground of another resolution; each says what helps.",
    "low confidence": "The model is often unsure there: look at them first, or label some (noseam review).",
    "stretched": "Their range of values was guessed; --value-range sets it.",
    "mask not read": "A file beside them marks pixels as invalid; put the mask inside the file.",
    "one value": "They show one colour everywhere; look whether they are blank.",
    "empty": "No pixel of them is valid; look at nodata and alpha.",
}
_LABELS: Mapping[str, str] = {"left": "Not reached"}
_ALWAYS = ("failed", "left", "suspect", "not placed", "far from scale", "low confidence")
_GRAVEST: Mapping[Level, int] = {"red": 0, "amber": 1, "unknown": 2, "green": 3}


def lights_of(images: Sequence[ImageRow]) -> tuple[Light, ...]:
    """Return the traffic lights of some images, the gravest first.

    There is one for images that failed, for those that the run did not reach, and for each kind of doubt that is
    always looked for, or that occurs.
    """
    kinds = [kind for kind in dict.fromkeys((*_ALWAYS, *KINDS)) if kind in _ALWAYS or _has(images, kind)]
    found = [_OTHERS.get(kind, _of_all)(kind, images) for kind in kinds]
    return tuple(sorted(found, key=lambda light: _GRAVEST[light.level]))


def _measured(kind: str, images: Sequence[ImageRow]) -> Light:
    """Return the light of confidence, which looks at those images alone whose confidence was written."""
    measured = [image for image in images if image.confidence is not None]
    if measured:
        return _light(kind, images, measured)
    says = "Not measured: noseam segment --confidence measures how sure each label is."
    return Light(
        id=kind, label="Low confidence", level="unknown", count=0, of=0, says=says, thresholds=_THRESHOLDS,
    )  # fmt: skip


def _placed(kind: str, images: Sequence[ImageRow]) -> Light:
    """Return the light of places, which is unknown while nobody has asked where images lie that do not say it."""
    silent = sum(bool(image.masks) and not image.footprint and kind not in image.doubts for image in images)
    says = f"Without a place: {silent:,} of {counted(len(images), 'image')}; "
    says += "--georef photo places drone photos by their pose."
    return _with_silent(_of_all(kind, images), silent, says, unknown=True)


def _scaled(kind: str, images: Sequence[ImageRow]) -> Light:
    """Return the light of scales, which is unknown where no image says its own."""
    silent = sum(bool(image.masks) and not image.judged_gsd_m and kind not in image.doubts for image in images)
    says = f"Not judged: {silent:,} of {counted(len(images), 'image')}; their scale or that of the model is not known."
    return _with_silent(_of_all(kind, images), silent, says, unknown=not any(image.judged_gsd_m for image in images))


def _with_silent(light: Light, silent: int, says: str, *, unknown: bool) -> Light:
    """Return a light that tells of images that do not say what it counts; without any it is as it was."""
    if not silent:
        return light
    if light.count:
        return replace(light, says=f"{light.says} {says}")
    return replace(light, says=says, level="unknown" if unknown else light.level)


def _of_all(kind: str, images: Sequence[ImageRow]) -> Light:
    return _light(kind, images, images)


def _light(kind: str, images: Sequence[ImageRow], looked_at: Sequence[ImageRow]) -> Light:
    count, of = sum(_is(image, kind) for image in images), len(looked_at)
    level: Level = "green" if not count else "amber" if count <= _FEW * of else "red"
    says = f"{count:,} of {counted(of, 'image')}. {_HELPS[kind]}" if count else f"None of {counted(of, 'image')}."
    label = _LABELS.get(kind, kind.capitalize())
    return Light(id=kind, label=label, level=level, count=count, of=of, says=says, thresholds=_THRESHOLDS)


def _has(images: Sequence[ImageRow], kind: str) -> bool:
    return any(_is(image, kind) for image in images)


def _is(image: ImageRow, kind: str) -> bool:
    return image.state == kind or kind in image.doubts


_OTHERS = {"low confidence": _measured, "not placed": _placed, "far from scale": _scaled}
"""Lights that need more than a count."""
