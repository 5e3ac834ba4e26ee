"""Say what a survey plan holds, as text for people and as a dict for programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from segment.plan.survey import ImagePlan, SurveyPlan
from tiler.files.outputs import all_paths
from tiler.photo.height import TAKE_OFF

_LISTED_SIZES = 12


def plan_as_dict(plan: SurveyPlan) -> dict[str, Any]:
    """Return a plan as JSON-able values; sizes in pixels, `output_bytes` before compression."""
    return {
        "images": len(plan.images),
        "megapixels": round(plan.pixels / 1e6, 6),
        "tiles": sum(len(image.grid) for image in plan.images),
        "output_bytes": sum(image.output_bytes for image in plan.images),
        "unreadable": len(plan.refused),
        "placed": sum(image.placement is not None for image in plan.images),
        "unplaced": sum(bool(image.unplaced) for image in plan.images),
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
        "outputs": [str(path) for path in all_paths(image.outputs)],
        "output_bytes": image.output_bytes,
        "notes": list(image.notes),
        "doubts": list(map(str, image.doubts)),
    }


def plan_as_lines(plan: SurveyPlan) -> list[str]:
    """Return a plan as lines: one per size of image, then the unreadable files, then the sums."""
    kinds = Counter((image.info.width, image.info.height, len(image.grid), _forms(image)) for image in plan.images)
    lines = [
        f"{count:6} of {width} x {height} px: {tiles} tiles each, {forms}"
        for (width, height, tiles, forms), count in kinds.most_common(_LISTED_SIZES)
    ]
    if len(kinds) > _LISTED_SIZES:
        lines.append(f"       and {len(kinds) - _LISTED_SIZES} more sizes")
    lines += [f"{image.found.path}: {note}" for image in plan.images for note in (*image.doubts, *image.notes)]
    lines += [note] if (note := place_note(plan)) else []
    lines += [f"unreadable: {refused.reason}" for refused in plan.refused]
    total = plan_as_dict(plan)
    lines.append(
        f"{total['images']} images, {total['megapixels']:.1f} megapixels, {total['tiles']} tiles, "
        f"{total['unreadable']} unreadable; masks {total['output_bytes'] / 1e6:.1f} MB before compression"
    )
    return lines


def place_note(plan: SurveyPlan) -> str:
    """Return how many photos are placed by their poses, and how well; empty where no pose was asked for."""
    placed = [image.placement for image in plan.images if image.placement]
    unplaced = sum(bool(image.unplaced) for image in plan.images)
    if not (placed or unplaced):
        return ""
    note = f"{len(placed)} photos placed by their pose, {unplaced} could not be"
    if placed:
        note += f"; corners may be off by {max(each.error_m for each in placed):.1f} m"
    if any(each.height.source == TAKE_OFF for each in placed):
        note += ", more where the ground is not level with the place of take-off (--flying-height, --dem)"
    return note


def _forms(image: ImagePlan) -> str:
    return " + ".join(f"{output.kind} {output.format}" for output in image.outputs)
