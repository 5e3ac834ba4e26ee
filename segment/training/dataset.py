"""Training crops as the network takes them, read by the code that reads tiles for inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.enums import Resampling
from torch import Tensor
from torch.utils.data import Dataset

from segment.errors import TrainError
from segment.model.config import Normalisation
from segment.training.augment import augment
from tiler.classes import NO_LABEL
from tiler.grid.tiles import plan_grid
from tiler.source.image import open_image
from tiler.source.raster import open_raster, reading


@dataclass(frozen=True, slots=True)
class Crop:
    """One image with its mask."""

    image: Path
    """8-bit, square."""
    mask: Path
    """Class ids, 255 = no label; of the size of the image."""


class CropDataset(Dataset[dict[str, Tensor]]):
    """Crops as pairs of normalised pixels and labels.

    An item is `pixel_values`, float32 of shape (3, input, input), and `labels`, int64 of shape
    (input, input) with 255 = no label. What an item holds follows from seed, epoch and index alone,
    whichever worker reads it and whatever was read before.

    Parameters
    ----------
    crops : sequence of Crop
        One per item; a crop that is used several times an epoch stands there as often.
    classes : int
        Number of classes.
    input_px : int
        Side of an item, model pixels.
    normalisation : Normalisation
        How the network wants its input.
    seed : int or None
        Augment, from this seed; None: show the crops as they are.
    """

    def __init__(
        self, crops: Sequence[Crop], *, classes: int, input_px: int, normalisation: Normalisation, seed: int | None
    ) -> None:
        # In memory that the loader's workers share: those that stay for several epochs see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._crops = tuple(crops)
        self._classes = classes
        self._input_px = input_px
        self._seed = seed
        std = np.array(normalisation.std, np.float32).reshape(3, 1, 1)
        self._gain = np.float32(normalisation.rescale) / std
        self._bias = -np.array(normalisation.mean, np.float32).reshape(3, 1, 1) / std

    @property
    def epoch(self) -> int:
        """The epoch, from which augmentation follows; set it before the loader begins one."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        crop = self._crops[index]
        pixels = read_pixels(crop.image, self._input_px)
        labels = read_labels(crop.mask, self._input_px, self._classes)
        if self._seed is not None:
            pixels, labels = augment(pixels, labels, np.random.default_rng((self._seed, self.epoch, index)))
        values = pixels.astype(np.float32) * self._gain + self._bias
        return {"pixel_values": torch.from_numpy(values), "labels": torch.from_numpy(labels.astype(np.int64))}


def read_pixels(path: Path, input_px: int) -> NDArray[np.uint8]:
    """Return a square image as the network would see it in a survey, shape (3, input_px, input_px).

    Raises
    ------
    RasterReadError
        If the file cannot be decoded.
    TrainError
        If the crop is not square.
    """
    with open_image(path) as image:
        height, width = image.info.shape
        if height != width:
            raise TrainError(f"{path}: a square crop expected, {height} x {width} pixels found")
        grid = plan_grid(image.info.shape, scale=input_px / height, tile=(input_px, input_px), overlap=(0, 0))
        return image.model_rows(grid, 0, input_px)


def read_labels(path: Path, input_px: int, classes: int) -> NDArray[np.uint8]:
    """Return the nearest label of every model pixel, shape (input_px, input_px); 255 = no label.

    Raises
    ------
    RasterReadError
        If the mask cannot be decoded.
    TrainError
        If the mask is not 8-bit with one channel, or holds an id that is no class.
    """
    with open_raster(path) as dataset:
        if dataset.count != 1 or dataset.dtypes[0] != "uint8":
            raise TrainError(f"{path}: one 8-bit channel expected, {dataset.count} of {dataset.dtypes[0]} found")
        if dataset.height != dataset.width:
            raise TrainError(f"{path}: a square mask expected, {dataset.height} x {dataset.width} pixels found")
        with reading(path, "the labels"):
            labels: NDArray[np.uint8] = dataset.read(1, out_shape=(input_px, input_px), resampling=Resampling.nearest)
    foreign = labels[(labels >= classes) & (labels != NO_LABEL)]
    if foreign.size:
        raise TrainError(f"{path}: class id {foreign[0]} found, expected 0 to {classes - 1}, or {NO_LABEL} = no label")
    return labels
