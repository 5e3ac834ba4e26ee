"""Write the previews of an image, and tell of which masks they are."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiler.classes import NO_LABEL, ClassTable
from tiler.files.atomic import write_whole
from tiler.files.previews import PreviewFiles
from tiler.masks.blend import blended
from tiler.previews.canvas import centres

_PHOTO_QUALITY, _THUMB_QUALITY, _LEVELS_QUALITY = 75, 70, 60
_THUMB_PX = 320
_LEVELS_STEP, _OF_A_LEVEL = 2, 16
_HEAD = re.compile(rb'noseamLayers\(\{"of": "([^"]*)", "size": \[(\d+), (\d+)\]')
_HEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """An image and its masks in one small size."""

    photo: NDArray[np.uint8]
    """Red, green and blue, shape (height, width, 3)."""
    labels: NDArray[np.uint8]
    """Class ids, shape (height, width); 255 = no label."""
    levels: Mapping[str, NDArray[np.uint8]]
    """What else was measured, such as `confidence`, each in the shape of the labels: 0 to 254, 255 = nothing."""


def write_previews(files: PreviewFiles, preview: Preview, classes: ClassTable, of: str) -> None:
    """Write the previews of an image. The one that says of which masks they are comes last.

    What has no label is black in the photo, because its pixels may never have been read.

    Parameters
    ----------
    files : PreviewFiles
        Where they go; their folder is made.
    preview : Preview
        What they show.
    classes : ClassTable
        Colours of the classes.
    of : str
        Fingerprint of the label mask; see `previews_of`.

    Raises
    ------
    OSError
        If a file cannot be written. Each is there whole or not at all.
    """
    files.photo.parent.mkdir(parents=True, exist_ok=True)
    if (unlabelled := preview.labels == NO_LABEL).any():
        preview = replace(preview, photo=np.where(unlabelled[..., np.newaxis], np.uint8(0), preview.photo))
    write_whole(files.photo, _jpeg(preview.photo, _PHOTO_QUALITY))
    write_whole(files.thumb, _jpeg(_thumb(preview, classes), _THUMB_QUALITY))
    write_whole(files.layers, _layers(preview, of))


def previews_of(files: PreviewFiles) -> tuple[str, tuple[int, int]] | None:
    """Return the fingerprint of the mask that previews show, and their (height, width); None where one is missing."""
    try:
        with files.layers.open("rb") as file:
            found = _HEAD.match(file.read(_HEAD_BYTES))
        whole = files.photo.stat().st_size and files.thumb.stat().st_size
    except OSError:
        return None
    return (found[1].decode("ascii", "replace"), (int(found[3]), int(found[2]))) if found and whole else None


def _layers(preview: Preview, of: str) -> bytes:
    """Return the masks as a script: labels without loss, what was measured in half the size.

    Where that has no value although there is a label, it is a PNG of 16 levels, in which 255 stays; else it is a JPEG.
    """
    height, width = preview.labels.shape
    layers = {"labels": _url("png", _png(preview.labels))}
    for name, values in preview.levels.items():
        small = values[::_LEVELS_STEP, ::_LEVELS_STEP]
        missing = small == NO_LABEL
        if (missing & (preview.labels[::_LEVELS_STEP, ::_LEVELS_STEP] != NO_LABEL)).any():
            layers[name] = _url("png", _png(np.where(missing, small, small // _OF_A_LEVEL * _OF_A_LEVEL)))
        else:
            layers[name] = _url("jpeg", _jpeg(np.where(missing, 0, small), _LEVELS_QUALITY))
    return f"noseamLayers({json.dumps({'of': of, 'size': [width, height], **layers})});\n".encode("ascii")


def _thumb(preview: Preview, classes: ClassTable) -> NDArray[np.uint8]:
    height, width = preview.labels.shape
    scale = min(_THUMB_PX / max(height, width), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    photo = np.asarray(Image.fromarray(preview.photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=2))
    labels = preview.labels[np.ix_(centres(height, size[1]), centres(width, size[0]))]
    return blended(photo, labels, classes)


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _png(values: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", compress_level=6)
    return file.getvalue()


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
