"""Output folders of `segment`, made without a model: photos, masks, and where these are in doubt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from rasterio import Affine

from tests.make import UTM, noise, write_tif
from tests.models import class_table
from tiler.classes import ClassTable, write_class_table

CLASSES = 4
CROP_PX = 64


def survey(
    folder: Path, *names: str, shape: tuple[int, int] = (128, 192), measure: str = "confidence",
    window_px: int = CROP_PX,
) -> Path:  # fmt: skip
    """Write photos to `photos` and masks of them to `masks`, and return `masks`; image after image holds less doubt."""
    masks = folder / "masks"
    for index, name in enumerate(names or ("a/IMG_1.jpg", "b/IMG_1.jpg")):
        photo = folder / "photos" / name
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*shape, 3, seed=index)).save(photo)
        labels = labels_of(shape, index)
        doubt = np.full(shape, 254, np.uint8)
        doubt[40:60, 70:100] = 20 * index  # a blob of doubt
        doubts = {measure: doubt if measure == "confidence" else 254 - doubt}
        write_masks(masks, name, labels, doubts, window_px=window_px)
    (masks / ".noseam.survey.json").write_text(json.dumps({"folders": [str(folder / "photos")]}))
    write_class_table(masks / "classes.csv", class_table(CLASSES))
    return masks


def labels_of(shape: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Return labels in patches; a corner has none, nor has a hole where surveys are in doubt."""
    labels = np.random.default_rng(seed).integers(0, CLASSES, (shape[0] // 16, shape[1] // 16)).astype(np.uint8)
    labels = labels.repeat(16, axis=0).repeat(16, axis=1)
    labels[:24, :24] = labels[44:50, 74:82] = 255
    return labels


def write_masks(
    masks: Path, name: str, labels: NDArray[np.uint8], doubts: dict[str, NDArray[np.uint8]], classes: int = CLASSES,
    window_px: int = CROP_PX,
) -> Path:  # fmt: skip
    """Write the masks of an image as `segment` writes them, and return the label mask."""
    label = masks / Path(name).with_name(f"{Path(name).stem}_label.png")
    label.parent.mkdir(parents=True, exist_ok=True)
    text = PngImagePlugin.PngInfo()
    for key, value in tags(name, class_table(classes), window_px).items():
        text.add_itxt(key, value)
    Image.fromarray(labels).save(label, pnginfo=text)
    for measure, doubt in doubts.items():
        Image.fromarray(doubt).save(label.with_name(f"{Path(name).stem}_{measure}.png"))
    return label


def tags(name: str, classes: ClassTable, window_px: int = CROP_PX) -> dict[str, str]:
    """Return what such a mask says of itself."""
    recipe: dict[str, Any] = {"channels": [], "value_range": None, "cut": {"window": window_px, "input": 64}}
    return {
        "SOURCE": name, "NOSEAM_FINGERPRINT": "0" * 32, "NOSEAM_RECIPE": json.dumps(recipe),
        "CLASS_NAMES": json.dumps(classes.names),
    }  # fmt: skip


def placed_survey(folder: Path, shape: tuple[int, int] = (128, 192)) -> Path:
    """Write a photo that says where it lies and its masks, as GeoTIFFs, and return the folder of the masks."""
    masks = folder / "masks"
    (folder / "photos").mkdir(parents=True)
    masks.mkdir()
    place = {"crs": UTM, "transform": Affine(0.5, 0.1, 500_000, 0.1, -0.5, 5_000_000)}
    write_tif(folder / "photos/ortho.tif", noise(3, *shape, seed=0), **place)
    doubt = np.full(shape, 254, np.uint8)
    doubt[40:60, 70:100] = 0
    write_tif(masks / "ortho_label.tif", labels_of(shape, 0)[np.newaxis], nodata=255, **place)
    write_tif(masks / "ortho_confidence.tif", doubt[np.newaxis], nodata=255, **place)
    with rasterio.open(masks / "ortho_label.tif", "r+") as dataset:
        dataset.update_tags(**tags("ortho.tif", class_table(CLASSES)))
    (masks / ".noseam.survey.json").write_text(json.dumps({"folders": [str(folder / "photos")]}))
    write_class_table(masks / "classes.csv", class_table(CLASSES))
    return masks
