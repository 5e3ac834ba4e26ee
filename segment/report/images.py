"""What the report says of each image: from its mask's tags, the records, and the previews beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from PIL import Image

from segment.report.content import ClassShare, ImageRow
from segment.report.standing import Standing
from tiler.doubt import JUDGED_GSD_KEY, read_doubts
from tiler.errors import TilerError
from tiler.files.beside import sidecar_path
from tiler.files.names import PNG, product_kind
from tiler.files.previews import REPORT
from tiler.files.walk import natural
from tiler.masks.coverage import Confidence, Coverage, read_coverage
from tiler.previews.write import previews_of
from tiler.source.footprint import Footprint, corners
from tiler.source.raster import read_info

_THREADS = 8
_DIGITS = 4
"""How sure an image is of each class is told with so many digits, because there are many of these."""


def image_rows(out: Path, images: Sequence[Standing]) -> tuple[ImageRow, ...]:
    """Return what the report says of images, in natural order of their names."""
    ordered = sorted(images, key=lambda image: [natural(part) for part in image.name.split("/")])
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(lambda image: _row(out, image), ordered))


def _row(out: Path, image: Standing) -> ImageRow:
    line = image.line
    told = {
        "name": image.name, "state": _state(image), "seconds": float(line.get("seconds", 0.0)),
        "warnings": tuple(map(str, line.get("warnings", ()))), "doubts": tuple(map(str, line.get("doubts", ()))),
        "reason": str(line.get("reason", "")), "advice": str(line.get("advice", "")),
    }  # fmt: skip
    return ImageRow(**{**told, **_of_masks(out, image)})


def _state(image: Standing) -> Literal["done", "skipped", "failed", "left"]:
    match image.line.get("state"):
        case "done":
            return "done"
        case "failed":
            return "failed"
    return "left" if image.masks is None else "skipped"


def _of_masks(out: Path, image: Standing) -> dict[str, Any]:
    """Return what the masks of an image and its previews say; nothing where it has none, or failed now."""
    masks = image.masks
    if masks is None or _state(image) == "failed":
        return {}
    found: dict[str, Any] = {"masks": tuple(_urls(out, masks.products)), **_place(masks.label)}
    if (coverage := read_coverage(masks.tags)) is not None:
        found["classes"] = tuple(_shares(coverage))
        if (sure := coverage.sure) is not None:
            found |= {"confidence": sure.mean, "low": sure.low_share}
        if (apart := coverage.disagreement) is not None:
            found |= {"disagreement": apart.mean}
    found["judged_gsd_m"] = masks.tags.get(JUDGED_GSD_KEY, "")
    if not image.line:
        doubts = read_doubts(masks.tags)
        found |= {"doubts": tuple(doubt.kind for doubt in doubts), "warnings": tuple(map(str, doubts))}
    return found | _of_previews(out, image)


def _of_previews(out: Path, image: Standing) -> dict[str, Any]:
    files = image.previews(out)
    if files is None or (known := previews_of(files)) is None:
        return {}
    height, width = known[1]
    urls = {kind: url_of(getattr(files, kind), out / REPORT) for kind in ("photo", "thumb", "layers")}
    return {**urls, "preview": (width, height)}


def _urls(out: Path, products: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for path in products:
        if (kind := product_kind(path)) is not None:
            yield kind, url_of(path, out / REPORT)


def url_of(path: Path, folder: Path) -> str:
    """Return the relative URL of a file for a page in a folder; bytes that a URL cannot hold are escaped."""
    return quote(os.fsencode(os.path.relpath(path, folder)))


def _shares(coverage: Coverage) -> Iterator[ClassShare]:
    labelled = sum(coverage.pixels)
    there = [(label, pixels) for label, pixels in enumerate(coverage.pixels) if pixels]
    for label, pixels in sorted(there, key=lambda each: -each[1]):
        sure = coverage.confidence[label] if coverage.confidence else Confidence()
        if sure.mean is None or sure.low_share is None:
            yield label, pixels / labelled
        else:
            yield label, pixels / labelled, round(sure.mean, _DIGITS), round(sure.low_share, _DIGITS)


def _place(label: Path) -> dict[str, Any]:
    """Return the size of a mask, and the corners of its ground where it says where it lies."""
    with suppress(TilerError, OSError):
        if label.suffix == PNG and not sidecar_path(label, "world").exists():  # read by Pillow in a tenth of the time
            with Image.open(label) as mask:
                return {"size": mask.size}
        info = read_info(label)
        return {"size": (info.width, info.height), "footprint": corners(Footprint(info.georeference, info.shape))}
    return {}
