"""The crops of a training: which train, which validate, and how often each class shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from segment.errors import TrainError
from segment.training.dataset import Crop
from tiler.classes import ClassTable
from tiler.crops.index import CLASSES, INDEX, read_crop_index


@dataclass(frozen=True, slots=True)
class Split:
    """The crops of one side of the split."""

    crops: tuple[Crop, ...]
    """The crops, each as often as it is used per epoch."""
    pixels: NDArray[np.int64]
    """Labelled source pixels of each entry of `crops` and each class, shape (crops, classes)."""
    files: int
    """Number of different crops."""
    sources: int
    """Number of images that they were cut from."""
    labelled: int
    """Labelled source pixels of the different crops."""


@dataclass(frozen=True, slots=True)
class CropSet:
    """A folder that `noseam crop` made."""

    folder: Path
    """Where it is."""
    classes: ClassTable
    """What the masks' ids mean."""
    window_px: int
    """Side of a crop, source pixels."""
    train: Split
    """Crops to train on."""
    val: Split
    """Crops to validate on, each once."""
    gsd_m: tuple[float, float] | None
    """Least and greatest ground sample distance of the images of training crops, metres per source pixel, of those
    that say theirs; None if none does."""
    digest: str
    """32 hex digits that change with the index or the class table."""


def read_crop_set(folder: Path) -> CropSet:
    """Return the crops of a folder that `noseam crop` made.

    Raises
    ------
    CropIndexError
        If the index of the folder is missing or malformed.
    TrainError
        If the crops have several sizes, or one side of the split has no labelled pixel.
    """
    table, classes = read_crop_index(folder)
    windows = sorted(set(table["window_px"]))
    if len(windows) != 1:
        raise TrainError(f"{folder / INDEX}: crops of one window expected, found {windows or 'no crops'}")
    hasher = hashlib.sha256((folder / INDEX).read_bytes())
    hasher.update((folder / CLASSES).read_bytes())
    return CropSet(
        folder=folder,
        classes=classes,
        window_px=int(windows[0]),
        train=_split(folder, table[table["split"] == "train"], classes, name="train"),
        val=_split(folder, table[table["split"] == "val"].assign(repeat=1), classes, name="val"),
        gsd_m=_gsd_range(table[table["split"] == "train"]),
        digest=hasher.hexdigest()[:32],
    )


def _gsd_range(table: pandas.DataFrame) -> tuple[float, float] | None:
    known = table["gsd_m"].dropna()
    return None if known.empty else (float(known.min()), float(known.max()))


def _count_columns(classes: ClassTable) -> list[str]:
    return [f"px_{name}" for name in classes.names]


def _split(folder: Path, table: pandas.DataFrame, classes: ClassTable, *, name: str) -> Split:
    repeated = table.loc[table.index.repeat(table["repeat"])]
    pixels = repeated[_count_columns(classes)].to_numpy(np.int64)
    if not pixels.any():
        raise TrainError(
            f"{folder / INDEX}: {len(table)} {name} crops, none with a labelled pixel; at least 1 needed "
            "(the split is by image: crop two at least)"
        )
    crops = tuple(
        Crop(folder / image, folder / mask) for image, mask in zip(repeated["image"], repeated["mask"], strict=True)
    )
    labelled = int(table[_count_columns(classes)].to_numpy(np.int64).sum())
    return Split(crops, pixels, files=len(table), sources=table["source"].nunique(), labelled=labelled)
