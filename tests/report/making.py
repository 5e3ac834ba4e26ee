"""Reports made up from nothing: content, and the small pictures that it names."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.report.content import Bin, ClassRow, Confusion, Content, ImageRow, Level, Light

HOSTILE = (
    "<b>bold</b>.jpg",
    "</script><script>window.broken = true</script>.jpg",
    '"><img src=x onerror="window.broken = true">.jpg',
    "'; window.broken = true; '.jpg",
    "line\nbreak\u2028and\u2029more\r.jpg",
    "abc\u202egpj.exe",
    "&lt;i&gt; &amp; {{ 7 * 7 }} {% raw %}.jpg",
    "<!-- comment --> ]]> <svg onload=alert(1)>.jpg",
    "not utf-8 \udcff.jpg",
    "100% #image=2 ?a=b&c.jpg",
)
"""Names that are markup, scripts, breaks of lines, marks of direction, or no text at all."""
CLASSES = ("road", "grass", "roof", "water", "car")
COLOURS = ((128, 64, 128), (0, 102, 0), (178, 70, 60), (28, 42, 168), (9, 143, 150))
PREVIEW = (240, 160)


def labels_of(seed: int = 0) -> NDArray[np.uint8]:
    """Return labels of a preview: quarters of the classes 0 to 3, a strip without data, a car in the middle."""
    width, height = PREVIEW
    labels = np.zeros((height, width), np.uint8)
    labels[:, width // 2 :] = 1
    labels[height // 2 :, : width // 2] = 2
    labels[height // 2 :, width // 2 :] = 3
    labels[70:90, 110:130] = 4
    labels[:4] = 255
    return np.roll(labels, seed, axis=1)


def image(name: str, **others: object) -> ImageRow:
    """Return an image that is done, with all its previews where `write_previews` puts them."""
    row = ImageRow(
        name=name,
        state="done",
        size=(6000, 4000),
        seconds=1.5,
        thumb="images/thumb.jpg",
        photo="images/photo.jpg",
        layers="images/layers.js",
        preview=PREVIEW,
        masks=(("label", "../" + quote(name, safe="/", errors="surrogateescape") + "_label.png"),),
        classes=((1, 0.26), (3, 0.25), (2, 0.24), (0, 0.24), (4, 0.01)),
        confidence=0.9,
        low=0.05,
        disagreement=0.02,
    )
    return replace(row, **others)  # type: ignore[arg-type]


def content(images: Sequence[ImageRow], **others: object) -> Content:
    """Return what a report of these images says, with everything that one may have."""
    made = Content(
        title="Survey of the harbour",
        made="2026-11-27T09:30:00+00:00",
        low_below=0.5,
        run=(("Model", "bundled:demo"), ("Device", "CPU, 2 cores"), ("Engine", "OpenVINO"), ("Duration", "31 s")),
        settings=(("window", "1024"), ("overlap", "0.25")),
        versions=(("noseam", "0.1.0"), ("torch", "2.13.0")),
        lights=lights(images),
        classes=class_rows(),
        area_note="Ground that several images show is counted once.",
        images=tuple(images),
        learning_curve=(
            ("epoch", (1.0, 2.0, 3.0, 4.0)),
            ("train_loss", (0.9, 0.5, 0.35, 0.3)),
            ("val_loss", (0.8, 0.55, None, 0.4)),
            ("miou", (0.3, 0.5, 0.6, 0.65)),
        ),
        confusion=Confusion(
            classes=CLASSES,
            pixels=tuple(tuple(900 if i == j else 25 for j in range(5)) for i in range(5)),
            iou=(0.8, 0.7, 0.75, 0.9, None),
            miou=0.79,
        ),
        reliability=tuple(
            Bin(confidence=c, accuracy=c - 0.05, pixels=int(1e4 * c)) for c in (0.3, 0.5, 0.7, 0.9, 0.98)
        ),
    )
    return replace(made, **others)  # type: ignore[arg-type]


def class_rows() -> tuple[ClassRow, ...]:
    """Return the classes with the shares that `image` has, and one that does not occur."""
    pixels = (240, 260, 240, 250, 10)
    seen = (
        ClassRow(id=i, name=name, colour=colour, pixels=n, percent=n / 10, m2=n * 40.0, confidence=0.9, low=0.1)
        for i, (name, colour, n) in enumerate(zip(CLASSES, COLOURS, pixels, strict=True))
    )
    return (*seen, ClassRow(id=5, name="dog", colour=(102, 51, 0), pixels=0, percent=0.0, m2=None))


def lights(images: Sequence[ImageRow]) -> tuple[Light, ...]:
    """Return lights that count what the images say of themselves."""
    failed = sum(one.state == "failed" for one in images)
    suspect = sum("suspect" in one.doubts for one in images)
    low = sum(one.confidence is not None and one.confidence < 0.5 for one in images)
    of = len(images)
    return (
        light("failed", "red", failed, of, "Give the same command again after mending the files."),
        light("suspect", "amber", suspect, of, "GDAL complained of pixels that it decoded all the same."),
        light("low confidence", "amber", low, of, "Look at these images before you use their masks."),
    )


def light(which: str, level: Level, count: int, of: int, says: str) -> Light:
    """Return a light that is green where it counts nothing."""
    return Light(
        id=which,
        label=which.capitalize(),
        level=level if count else "green",
        count=count,
        of=of,
        says=f"{count} of {of} images. {says}" if count else "None found.",
        counts="An image counts if somebody says so.",
        thresholds="Green: none. Amber: up to 5 %. Red: more.",
    )


def mixed(count: int = 12) -> list[ImageRow]:
    """Return images of which one failed, one is doubtful, and confidence rises from 0.3, side by side on the map."""
    rows = [
        image(
            f"day{1 + number % 2}/IMG_{number:04}.JPG",
            confidence=0.3 + 0.69 * number / count,
            seconds=float(number % 7 + 1),
            footprint=corners(number),
        )
        for number in range(count)
    ]
    rows[3] = replace(rows[3], doubts=("suspect",), warnings=("suspect: premature end of data",), classes=((0, 0.9),))
    rows[5] = ImageRow(name=rows[5].name, state="failed", reason="It is cut.", advice="Copy it again.")
    return sorted(rows, key=lambda row: row.name)


def corners(number: int) -> tuple[tuple[float, float], ...]:
    """Return the corners of a footprint, turned a little, in a grid of forty to a row."""
    row, column = divmod(number, 40)
    lat, lon, turn = 47.0 - row * 0.0004, 8.0 + column * 0.0008, 0.0001
    return (
        (lat, lon), (lat - turn, lon + 0.0008), (lat - turn - 0.0005, lon + 0.0008 - turn), (lat - 0.0005, lon - turn),
    )  # fmt: skip


def write_previews(
    folder: Path, kinds: Sequence[str] = ("labels", "confidence", "disagreement"), *, small: bool = False
) -> None:
    """Write the pictures that images of `image` share: photo, thumb and layers.

    Where they are `small`, what was measured comes as a JPEG of half the size, and labels as they are.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    width, height = PREVIEW
    y, x = np.mgrid[:height, :width]
    photo = Image.fromarray(np.stack([x, y + 60, 255 - x], axis=2).astype(np.uint8))
    photo.save(folder / "images/photo.jpg", quality=90)
    photo.resize((96, 64)).save(folder / "images/thumb.jpg")
    heat = {"confidence": np.where(y < 80, x, 254), "disagreement": np.where(x < 120, 255, y)}
    layers = {"labels": labels_of(), **{kind: values.astype(np.uint8) for kind, values in heat.items()}}
    addresses = {kind: _address(layers[kind], small and kind != "labels") for kind in kinds}
    head = {"of": "39e7c7f5", "size": list(PREVIEW)}
    (folder / "images/layers.js").write_text(f"noseamLayers({json.dumps({**head, **addresses})});\n", encoding="ascii")


def _address(values: NDArray[np.uint8], small: bool) -> str:
    file, kind = io.BytesIO(), "jpeg" if small else "png"
    Image.fromarray(values[::2, ::2] if small else values).save(file, kind.upper())
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
