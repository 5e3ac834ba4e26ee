"""The traffic lights of a report: what they count, and from when on they turn amber and red."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segment.report.content import ImageRow, Level, Light
from tiler.doubt import KINDS
from tiler.extra import install_command, is_installed
from tiler.grid.tiling import FAR
from tiler.masks.coverage import LOW_BELOW, MOST_LOW
from tiler.words import counted

_FEW = 0.05
"""Share of the images up to which a light is amber; photogrammetry's reports draw the line there too."""
_THRESHOLDS = f"green: none; amber: up to {100 * _FEW:g} % of the images; red: more"
_COUNTS: Mapping[str, str] = {
    "failed": "An image counts if an error kept it from getting a mask.",
    "left": "An image counts if the run ended before its turn.",
    "suspect": "An image counts if the decoder complained of pixels that it gave all the same.",
    "not placed": "An image counts if a place was asked for and it does not say well enough where it lies.",
    "far from scale": (
        f"An image counts if its pixels are {FAR:g} or more times as large or as small as those that the model was "
        "trained on."
    ),
    "low confidence": (
        f"An image counts if more than {100 * MOST_LOW:g} % of its labels have a confidence below {LOW_BELOW:g}."
    ),
    "stretched": "An image counts if its values were stretched to a range that was guessed from the file.",
    "mask not read": "An image counts if a file beside it marks pixels as invalid and is not read.",
    "one value": "An image counts if all its valid pixels are the same.",
    "empty": "An image counts if none of its pixels is valid.",
}
_HELPS: Mapping[str, str] = {
    "failed": "The table of failures says why, and what helps.",
    "left": "The same command goes on.",
    "suspect": "The decoder complained there: look at the masks, or copy the photos again.",
    "not placed": "What has no place is not on the map; each image says why.",
    "far from scale": "The model was trained on ground of another resolution; each image says what helps.",
    "low confidence": "The model is often unsure there: look there first, or label some of it (noseam review).",
    "stretched": "The range of values was guessed; --value-range sets it.",
    "mask not read": "What marks pixels as invalid lies beside the image; put it inside the file.",
    "one value": "One colour is everywhere; look whether that is a blank photo.",
    "empty": "No pixel is valid there; look at nodata and alpha.",
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
    return replace(_light(kind, (), ()), level="unknown", says=says)


def _placed(kind: str, images: Sequence[ImageRow]) -> Light:
    """Return the light of places, which is unknown while nobody has asked where images lie that do not say it."""
    silent = sum(bool(image.masks) and not image.footprint and kind not in image.doubts for image in images)
    says = f"Without a place: {silent:,} of {counted(len(images), 'image')}; "
    says += "--georef photo places drone photos by their pose."
    return _with_silent(_of_all(kind, images), silent, says, unknown=True)


def _scaled(kind: str, images: Sequence[ImageRow]) -> Light:
    """Return the light of scales, which is unknown where no image says its own."""
    silent = sum(bool(image.masks) and not image.judged_gsd_m and kind not in image.doubts for image in images)
    its = "its" if silent == 1 else "their"
    says = f"Not judged: {silent:,} of {counted(len(images), 'image')}; {its} scale or that of the model is not known."
    if not is_installed("photo"):
        says += f" Drone photos may say theirs once this is installed: {install_command('photo')}"
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
    return Light(
        id=kind, label=label, level=level, count=count, of=of, says=says, counts=_COUNTS[kind], thresholds=_THRESHOLDS,
    )  # fmt: skip


def _has(images: Sequence[ImageRow], kind: str) -> bool:
    return any(_is(image, kind) for image in images)


def _is(image: ImageRow, kind: str) -> bool:
    return image.state == kind or kind in image.doubts


_OTHERS = {"low confidence": _measured, "not placed": _placed, "far from scale": _scaled}
"""Lights that need more than a count."""
