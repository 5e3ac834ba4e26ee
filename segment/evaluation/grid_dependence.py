"""Labels that depend on the grid: two masks of one photo, made alike but for where the tiles lay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment.errors import EvaluateError
from segment.evaluation.metrics import confusion
from tiler.classes import NO_LABEL
from tiler.grid.seams import MODEL_SHAPE_KEY, TILE_KEY, read_grid
from tiler.grid.tiles import Grid
from tiler.masks.provenance import DIGEST_KEY, ENGINE_KEY, MODEL_KEY, read_recipe
from tiler.masks.view import LabelView

CONFIDENCE_BOUNDS = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Confidence is counted between these: the lead of the best class over the second, (p1 - p2) / (p1 + p2)."""
_CERTAIN = 254
"""What a mask of confidence holds for 1."""
_TOLD = {
    MODEL_SHAPE_KEY: "size of the model image",
    TILE_KEY: "tile",
    ENGINE_KEY: "engine",
    "NOSEAM_CHANNELS": "channels",
    "NOSEAM_VALUES": "value range",
}
"""Tags that must be alike, and what they are called."""
_FREE = {"source", "tiling", "georeference", "classes", "strict", "polygons", "cut", "model", "engine", "temperature"}
"""Parts of a recipe that change no label, may differ, or are told by tags."""
_FREE_CUT = {"window", "gsd", "tile", "quality", "grid shift"}
"""Settings of a recipe's cut that may differ: the size of the model image and of the tile say what came of them."""


@dataclass(frozen=True, slots=True)
class Level:
    """The labels whose confidence lies between two bounds."""

    least: float
    """Confidence from here on, 0 to 1."""
    below: float
    """Confidence below this; 1 counts too where this is 1."""
    pixels: int
    """How many labels there are."""
    differing: int
    """How many of them depend on the grid."""

    @property
    def share(self) -> float:
        """Share of them that depends on the grid; nan for none."""
        return self.differing / self.pixels if self.pixels else math.nan


@dataclass(frozen=True, slots=True)
class Dependence:
    """How many labels depend on the grid; sums of images are sums of their counts."""

    by_class: NDArray[np.int64]
    """Shape (C, 2): pixels that are valid in both masks, by the class of the judged mask; those whose labels differ."""
    by_confidence: NDArray[np.int64]
    """Shape (256, 2): the same by the value in the mask of confidence; all 0 where there is none."""

    @classmethod
    def none(cls, classes: int) -> Dependence:
        """Return the counts of no image."""
        return cls(np.zeros((classes, 2), np.int64), np.zeros((256, 2), np.int64))

    def __add__(self, other: Dependence) -> Dependence:
        return Dependence(self.by_class + other.by_class, self.by_confidence + other.by_confidence)

    @property
    def pixels(self) -> int:
        """Pixels that are valid in both masks."""
        return int(self.by_class[:, 0].sum())

    @property
    def differing(self) -> int:
        """Those of them whose labels differ."""
        return int(self.by_class[:, 1].sum())

    @property
    def share(self) -> float:
        """Share of the labels that depends on the grid; nan without any."""
        return self.differing / self.pixels if self.pixels else math.nan

    def classes(self, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
        """Return the classes whose labels depend on the grid, and their shares; first those with most such labels."""
        found = [(differing, pixels, name) for name, (pixels, differing) in zip(names, self.by_class, strict=True)]
        return tuple((name, differing / pixels) for differing, pixels, name in sorted(found, reverse=True) if differing)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The labels by their confidence, from ties to certain ones; empty where no confidence is known."""
        if not self.by_confidence.any():
            return ()
        starts = [math.ceil(bound * _CERTAIN) for bound in CONFIDENCE_BOUNDS[:-1]]
        spans = pairwise([*starts, _CERTAIN + 1])
        sums = [self.by_confidence[first:stop].sum(axis=0).tolist() for first, stop in spans]
        return tuple(Level(*bounds, *counts) for bounds, counts in zip(pairwise(CONFIDENCE_BOUNDS), sums, strict=True))


def count_dependence(
    labels: NDArray[np.uint8], shifted: NDArray[np.uint8], confidence: NDArray[np.uint8] | None, classes: int
) -> Dependence:
    """Return how many labels of some rows differ between two masks.

    Parameters
    ----------
    labels, shifted : ndarray of uint8
        Class ids of one shape; 255 = no label. A pixel without a label in either is not counted.
    confidence : ndarray of uint8 or None
        Confidence of `labels`, 0 to 254; 255 = no label.
    classes : int
        Number of classes.

    Raises
    ------
    EvaluateError
        If the shapes differ, or a label is neither a class id nor 255.
    """
    pairs = confusion(labels, shifted, classes, sides=("predicted mask", "shifted mask"))[:, :-1]
    pixels = pairs.sum(axis=1)
    by_confidence = np.zeros((256, 2), np.int64)
    if confidence is not None:
        valid = (labels != NO_LABEL) & (shifted != NO_LABEL)
        keys = confidence[valid].astype(np.uint16) << 1 | (labels != shifted)[valid]
        equal, differing = np.bincount(keys, minlength=512).reshape(256, 2).T
        by_confidence = np.column_stack((equal + differing, differing))
    return Dependence(np.column_stack((pixels, pixels - pairs.diagonal())), by_confidence)


def grids_of(labels: LabelView, shifted: LabelView) -> tuple[Grid, Grid]:
    """Return the grids of two masks that differ in nothing else.

    Raises
    ------
    EvaluateError
        If a mask does not say where its tiles lay, if the masks were made with different models or settings, or if
        several tiles lay at the same places in both.
    GridError
        If a tag of the grid is malformed.
    """
    grids = []
    for mask in (labels, shifted):
        grid = read_grid(mask.tags, mask.shape)
        if grid is None:
            raise EvaluateError(
                f"{mask.info.path} does not say where its tiles lay; expected a mask as noseam wrote it"
            )
        grids.append(grid)
    paths = f"{labels.info.path} and {shifted.info.path}"
    if found := list(differences(labels.tags, shifted.tags)):
        raise EvaluateError(f"{paths} differ in more than the grid: {'; '.join(found)}")
    if len(grids[0]) > 1 and grids[0] == grids[1]:
        raise EvaluateError(f"{paths} were cut by the same tiles; make the second with another --grid-shift")
    return grids[0], grids[1]


def differences(tags: Mapping[str, str], others: Mapping[str, str]) -> Iterator[str]:
    """Yield in words what sets the making of two masks apart, other than where tiles lay, from their tags."""
    if tags.get(DIGEST_KEY) != others.get(DIGEST_KEY):
        names = [found.get(MODEL_KEY, "none") for found in (tags, others)]
        yield _difference("model", *names) if names[0] != names[1] else f"model {names[0]}, whose weights changed"
    for key, name in _TOLD.items():
        if tags.get(key) != others.get(key):
            yield _difference(name, tags.get(key), others.get(key))
    recipe, other = read_recipe(tags), read_recipe(others)
    if recipe is not None and other is not None:
        yield from _recipe_differences(recipe, other)


def _recipe_differences(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    sizes = [(found.get("source") or [None])[0] for found in (recipe, other)]
    if sizes[0] != sizes[1]:
        yield _difference("bytes of the photo", *sizes)
    for one, two, free in ((recipe, other, _FREE), (recipe.get("cut", {}), other.get("cut", {}), _FREE_CUT)):
        for name in sorted((one.keys() | two.keys()) - free):
            if one.get(name) != two.get(name):
                yield _difference(name.replace("_", " "), one.get(name), two.get(name))


def _difference(name: str, one: Any, two: Any) -> str:
    return f"{name} {'none' if one is None else one} and {'none' if two is None else two}"
