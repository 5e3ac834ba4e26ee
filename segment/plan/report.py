"""Say what a survey plan holds, as text for people and as a dict for programs."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segment.plan.estimate import is_writable
from segment.plan.figures import TYPICAL_COMPRESSION, Estimate, about_bytes, about_time
from segment.plan.gone import stay
from segment.plan.request import SurveyRequest
from segment.plan.survey import ImagePlan, SurveyPlan
from tiler.errors import TilerError
from tiler.files.outputs import all_paths
from tiler.files.walk import Survey
from tiler.grid.fit import TileSize
from tiler.photo.height import TAKE_OFF
from tiler.source.raster import UNREAD_SUFFIXES, read_info
from tiler.words import counted

_LISTED = 12
_SUFFIXES, _LONGEST_SUFFIX = 8, 8
"""So many suffixes are told of, and none with more characters, because that is none."""
_LITTLE, _LITTLE_BYTES = 0.1, 10**8
_BUSY = 0.8
"""With less than this fraction of the cores at hand, other programs are told of."""


def plan_as_dict(plan: SurveyPlan) -> dict[str, Any]:
    """Return a plan as JSON-able values; sizes in pixels, `output_bytes` before compression."""
    return {
        "images": len(plan.images),
        "megapixels": round(plan.pixels / 1e6, 6),
        "tiles": sum(len(image.grid) for image in plan.images),
        "output_bytes": sum(image.output_bytes for image in plan.images),
        "up_to_date": len(plan.current),
        "made_again": list(plan.again),
        "gone": list(plan.gone),
        "unreadable": len(plan.refused),
        "placed": sum(image.placement is not None for image in plan.images),
        "unplaced": sum(bool(image.unplaced) for image in plan.images),
        "estimate": None if plan.estimate is None else asdict(plan.estimate),
        "files": [_image_as_dict(image) for image in plan.images],
        "refused": [{"path": str(refused.path), "reason": refused.reason} for refused in plan.refused],
    }


def _image_as_dict(image: ImagePlan) -> dict[str, Any]:
    return {
        "path": str(image.found.path),
        "height": image.info.height,
        "width": image.info.width,
        "model_height": image.grid.model_shape[0],
        "model_width": image.grid.model_shape[1],
        "tiles": len(image.grid),
        "tile_height": image.grid.tile_shape[0],
        "tile_width": image.grid.tile_shape[1],
        "parts": len(image.parts),
        "outputs": [str(path) for path in all_paths(image.outputs)],
        "output_bytes": image.output_bytes,
        "notes": list(image.notes),
        "doubts": list(map(str, image.doubts)),
    }


def plan_as_lines(plan: SurveyPlan, out: Path) -> list[str]:
    """Return a plan as lines: the images by size, what is to be known of them, those that cannot be read, the estimate.

    Parameters
    ----------
    plan : SurveyPlan
        The plan.
    out : Path
        The output folder, for the line on the disk.
    """
    tiles, pixels = sum(len(image.grid) for image in plan.to_do), sum(image.pixels for image in plan.to_do)
    current = f"; {counted(len(plan.current), 'image')} up to date" if plan.current else ""
    size = f"{pixels / 1e6:,.1f} megapixels, {counted(tiles, 'tile')}"
    lines = [
        f"{counted(len(plan.to_do), 'image')} to segment{f': {size}' if plan.to_do else ''}{current}",
        *(f"  {line}" for line in plan.again),
        *([f"  {stay(plan.gone)}"] if plan.gone else []),
        *_sizes(plan),
        *_remarks(plan),
    ]
    lines += [note] if (note := place_note(plan)) else []
    if plan.refused:
        lines += [f"{counted(len(plan.refused), 'file')} cannot be segmented:"]
        lines += [f"  {refused.reason}" for refused in plan.refused]
    return lines + (list(_estimate(plan.estimate, out)) if plan.estimate and plan.to_do else [])


def passed_over(walked: Survey, plan: SurveyPlan, request: SurveyRequest) -> Iterator[tuple[int, str]]:
    """Yield what a walk passed over, in words, each after the level at which the log says it."""
    if photos := _photos_in(walked.in_out):
        some = f"{counted(len(photos), 'image')}, such as {photos[0]}"
        yield (
            logging.WARNING,
            f"not segmented, because {request.out} is the output folder: {some}; choose another --out",
        )
    unread = Counter({suffix: count for suffix, count in walked.alone.items() if suffix in UNREAD_SUFFIXES})
    if unread:
        some = f"{counted(unread.total(), 'photo')} in formats that noseam does not read: {_by_suffix(unread)}"
        it = "it" if unread.total() == 1 else "them"
        yield logging.WARNING, f"passed over {some}; convert {it} to TIFF, PNG or JPEG"
    if others := walked.ignored - unread:
        are = "is" if others.total() == 1 else "are"
        some = f"{counted(others.total(), 'file')} that {are} not JPEG, PNG or TIFF by name: {_by_suffix(others)}"
        yield logging.INFO, f"passed over {some}"
    if plan.masks:
        yield logging.INFO, f"passed over {counted(plan.masks, 'mask')} that noseam wrote"
    if alone := [image.found.path for image in plan.images if request.disagreement and len(image.grid) == 1]:
        some = f"{len(alone)} of {counted(len(plan.images), 'image')}, such as {alone[0]}"
        yield (
            logging.WARNING,
            f"--disagreement: one tile covers the whole of {some}, so nothing can disagree with it; --tile, such as "
            "--tile 512, makes tiles that overlap",
        )
    if plan.elsewhere:
        yield logging.INFO, f"shard {request.shard}: {plan.inputs} of {plan.inputs + plan.elsewhere} inputs"


def _photos_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return those of some files that are images, by their headers, and that noseam did not make."""
    found = []
    for path in paths:
        with suppress(TilerError):
            found += [] if read_info(path).made_by_noseam else [path]
    return tuple(found)


def _by_suffix(files: Counter[str]) -> str:
    """Return how many files there are of the commonest suffixes, and how many others; a whole name is no suffix."""
    known = Counter({key: count for key, count in files.items() if key[0] == "." and len(key) <= _LONGEST_SUFFIX})
    told = known.most_common(_SUFFIXES)
    others = files.total() - sum(count for _, count in told)
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in told)
    return " and ".join(filter(None, [kinds, counted(others, "other") if others else ""]))


def _sizes(plan: SurveyPlan) -> Iterator[str]:
    kinds = Counter((image.info.width, image.info.height, _tiles(image), _forms(image)) for image in plan.to_do)
    for (width, height, tiles, forms), count in kinds.most_common(_LISTED):
        each = " each" if count > 1 else ""
        yield f"  {count:,} of {width} x {height} px: {tiles}{each}, {forms}"
    if len(kinds) > _LISTED:
        yield f"  and {len(kinds) - _LISTED} more sizes"


def _remarks(plan: SurveyPlan) -> Iterator[str]:
    """Yield what is to be known of images; what holds for several is said once."""
    said: dict[str, list[Path]] = defaultdict(list)
    for image in plan.images:
        for remark in (*map(str, image.doubts), *image.notes):
            said[remark].append(image.found.path)
    for remark, paths in said.items():
        yield f"{paths[0]}: {remark}" if len(paths) == 1 else f"{len(paths)} images, such as {paths[0]}: {remark}"


def place_note(plan: SurveyPlan) -> str:
    """Return how many photos are placed by their poses, and how well; empty where no pose was asked for."""
    placed = [image.placement for image in plan.images if image.placement]
    unplaced = sum(bool(image.unplaced) for image in plan.images)
    if not (placed or unplaced):
        return ""
    whose = "its" if len(placed) == 1 else "their"
    note = f"{counted(len(placed), 'photo')} placed by {whose} pose, {unplaced} could not be"
    if placed:
        note += f"; corners may be off by {max(each.error_m for each in placed):.1f} m"
    if any(each.height.source == TAKE_OFF for each in placed):
        note += ", more where the ground is not level with the place of take-off (--flying-height, --dem)"
    return note


def _estimate(found: Estimate, out: Path) -> Iterator[str]:
    measured = found.calibration
    if measured is None or found.seconds is None or found.memory_bytes is None:
        yield f"time and memory: not known {found.unknown}"
    else:
        rate = f"{_per_second(found.images_per_s)} on this machine, " if found.images > 1 else ""
        yield f"time: about {about_time(found.seconds)} ({rate}calibrated on {counted(measured.samples, 'image')})"
        if measured.cores < _BUSY * measured.cores_in_all:
            cores = counted(measured.cores_in_all, "core")
            yield f"  other programs are at work: the time counts on {measured.cores:.1f} of {cores}, as found now"
        each = f" in each of {found.workers} workers" if found.workers > 1 else ""
        yield f"memory: about {about_bytes(found.memory_bytes)}{each}"
    files, free = about_bytes(found.mask_bytes), about_bytes(found.free_bytes)
    typical = "" if found.seconds else f" if, as is typical, {TYPICAL_COMPRESSION} pixels take one byte"
    room = f"{free} free" if found.fits else f"that does not fit, only {free} are free"
    room = room if is_writable(out) else "it cannot be written"
    files += f" of masks and {about_bytes(found.report_bytes)} for the report" if found.report_bytes else " of masks"
    more = f", and {about_bytes(found.scratch_bytes)} more while they are made" if _tells(found) else ""
    yield f"disk: about {files}{more}{typical}; {room} in {out}"


def _tells(found: Estimate) -> bool:
    """Return whether the files that are there for a while are worth a word."""
    return found.scratch_bytes > max(_LITTLE * found.mask_bytes, _LITTLE_BYTES)


def _per_second(rate: float) -> str:
    return f"{rate:.2g} images per second" if rate >= 0.1 else f"{60 * rate:.2g} images per minute"


def _tiles(image: ImagePlan) -> str:
    """Return how many tiles an image has, which option would give such tiles, and its parts if it has several."""
    parts = f" in {len(image.parts)} parts" if len(image.parts) > 1 else ""
    return f"{counted(len(image.grid), 'tile')}{parts} (--tile {TileSize(image.grid.tile_shape)})"


def _forms(image: ImagePlan) -> str:
    return " + ".join(f"{output.kind} {output.format}" for output in image.outputs)
