"""Training crops as the network takes them, read by the code that reads tiles for inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from segment.model.config import Normalisation
from segment.training.augment import augment
from segment.training.crop_files import read_labels, read_pixels
from segment.training.ground import Ground, Piece
from segment.training.variation import Variation
from segment.training.views import draw_view, show

_USUAL = Variation()

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Crop:
    """One image with its mask, and what lies around it."""

    piece: Piece
    """Its files, and its place."""
    ground: Ground
    """What all crops of its image on its side of the split hold."""


class Shown(Dataset[dict[str, Tensor]]):
    """What a network is shown, as pairs of normalised pixels and labels.

    An item is `pixel_values`, float32 of shape (3, h, w), and `labels`, int64 of shape (h, w) with 255 = no label.

    Parameters
    ----------
    normalisation : Normalisation
        How the network wants its input.
    lookup : ndarray of uint8, shape (256,), or None
        The label to show for each id in the masks; None: the id itself.
    """

    def __init__(self, normalisation: Normalisation, lookup: NDArray[np.uint8] | None = None) -> None:
        std = np.array(normalisation.std, np.float32).reshape(3, 1, 1)
        self._gain = np.float32(normalisation.rescale) / std
        self._bias = -np.array(normalisation.mean, np.float32).reshape(3, 1, 1) / std
        self._lookup = lookup

    def tensors(self, pixels: Pixels, labels: Pixels) -> dict[str, Tensor]:
        """Return an item of samples 0 to 255 and ids."""
        if self._lookup is not None:
            labels = self._lookup[labels]
        values = pixels.astype(np.float32) * self._gain + self._bias
        return {"pixel_values": torch.from_numpy(values), "labels": torch.from_numpy(labels.astype(np.int64))}


class CropDataset(Shown):
    """Crops as pairs of normalised pixels and labels, squares of `input_px`, see `Shown`.

    What an item holds follows from seed, epoch and index alone, whichever worker reads it and whatever was read before.

    Parameters
    ----------
    crops : sequence of Crop
        One per item; a crop that is used several times an epoch stands there as often.
    classes : int
        Number of classes in the masks.
    input_px : int
        Side of an item, model pixels.
    normalisation : Normalisation
        How the network wants its input.
    seed : int or None
        Augment, from this seed; None: show the crops as they are.
    variation : Variation
        How to augment.
    lookup : ndarray of uint8, shape (256,), or None
        The label to show for each id in the masks; None: the id itself.
    """

    def __init__(
        self,
        crops: Sequence[Crop],
        *,
        classes: int,
        input_px: int,
        normalisation: Normalisation,
        seed: int | None,
        variation: Variation = _USUAL,
        lookup: NDArray[np.uint8] | None = None,
    ) -> None:
        super().__init__(normalisation, lookup)
        # In memory that the loader's workers share: those that stay for several epochs see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._crops = tuple(crops)
        self._classes = classes
        self._input_px = input_px
        self._seed = seed
        self._variation = variation

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
        if self._seed is None:
            pixels, labels = self._as_it_is(crop)
        else:
            pixels, labels = self._varied(crop, np.random.default_rng((self._seed, self.epoch, index)))
        return self.tensors(pixels, labels)

    def _as_it_is(self, crop: Crop) -> tuple[Pixels, Pixels]:
        pixels = read_pixels(crop.piece.image, self._input_px)
        return pixels, read_labels(crop.piece.mask, self._input_px, self._classes)

    def _varied(self, crop: Crop, generator: np.random.Generator) -> tuple[Pixels, Pixels]:
        if not self._variation.moves:
            return augment(*self._as_it_is(crop), self._variation, generator)
        view = draw_view(crop.piece, crop.ground, self._variation, generator)
        ground = crop.ground if crop.ground.holds(view.window) else Ground([crop.piece])
        shown = show(view, *ground.read(view.window, self._classes), self._input_px)
        return augment(*shown, self._variation, generator)
