"""A small crop folder that the tests train on: two classes, told apart by their colour."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.models import class_table
from tiler.classes import write_class_table

SIDE = 64
_COLUMNS = ("split", "image", "mask", "source", "row_off", "col_off", "height", "width", "window_px", "repeat",
            "labelled")  # fmt: skip


def crop_folder(
    folder: Path, *, train: int = 8, val: int = 4, side: int = SIDE, repeat: int = 1, beside: int = 1
) -> Path:
    """Write crops whose bluish pixels are class 0 and whose reddish ones are class 1; one corner has no label.

    So many crops lie `beside` each other in an image.
    """
    folder.mkdir(parents=True)
    classes = class_table(2)
    write_class_table(folder / "classes.csv", classes)
    with (folder / "crops.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*_COLUMNS, *(f"px_{name}" for name in classes.names)))
        for index in range(train + val):
            split = "train" if index < train else "val"
            image, mask = f"{split}/images/{index}.png", f"{split}/masks/{index}.png"
            labels = _labels(index, side)
            for path, pixels in ((image, _paint(labels, index)), (mask, labels)):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / path)
            counts = [int((labels == value).sum()) for value in range(2)]
            place = (
                f"{index // beside}.JPG",
                0,
                index % beside * side,
                side,
                side,
                side,
                repeat if split == "train" else 1,
            )
            writer.writerow((split, image, mask, *place, sum(counts), *counts))
    return folder


def _labels(seed: int, side: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    split = int(np.random.default_rng(seed).integers(side // 4, 3 * side // 4))
    labels = np.zeros((side, side), np.uint8)
    labels[:, split:] = 1
    labels[: side // 8, : side // 8] = 255
    return labels


def _paint(labels: np.ndarray[tuple[int, int], np.dtype[np.uint8]], seed: int) -> np.ndarray[
    tuple[int, int, int], np.dtype[np.uint8]
]:  # fmt: skip
    noise = np.random.default_rng(seed).normal(0, 10, (*labels.shape, 3))
    colours = np.where((labels == 1)[..., np.newaxis], (190, 80, 60), (60, 90, 180))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)
