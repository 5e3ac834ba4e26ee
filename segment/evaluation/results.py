"""What a comparison of masks found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.evaluation.blocks import Blocks
from segment.evaluation.grid_dependence import Dependence
from segment.evaluation.image import ImageCounts
from segment.evaluation.metrics import Metrics, measure
from segment.evaluation.reliability import Reliability, no_levels, of_levels
from segment.evaluation.seams import SeamScores, measure_seams
from segment.evaluation.sides import Match
from tiler.doubt import Doubt


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What was found of one image."""

    name: str
    """Its name, without folder of the side and suffix."""
    pixels: int
    """Pixels that have a true label."""
    accuracy: float
    """See `Metrics`; nan without such a pixel."""
    miou: float
    """See `Metrics`; nan without such a pixel."""
    dependence: Dependence | None
    """How many of its labels depend on the grid; None without a shifted mask."""
    blocks: Blocks | None
    """How far tiles show; None for one tile, or if nobody knows where tiles lay."""
    doubts: tuple[Doubt, ...] = ()
    """What makes its mask doubtful, as `segment` found it."""


@dataclass(frozen=True, slots=True)
class FailedPair:
    """Masks of one image that could not be compared."""

    name: str
    """Their common name."""
    reason: str
    """Why, in full."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a comparison of predicted masks with the truth, with masks of another grid, or with both found."""

    classes: tuple[str, ...]
    """Names of the classes, by id."""
    judged: bool
    """Whether there is truth."""
    confusion: NDArray[np.int64]
    """Pixels of all images by true class and predicted class, see `segment.evaluation.metrics.confusion`."""
    metrics: Metrics
    """Scores of all images together."""
    images: tuple[ImageScore, ...]
    """The images that were compared."""
    seams: SeamScores | None
    """Scores where tiles meet and elsewhere; None without truth, or if no image has seams."""
    dependence: Dependence | None
    """Labels that depend on the grid, in images of several tiles; None without shifted masks."""
    one_tile: Dependence | None
    """The same in images of one tile each, which have no grid; labels that differ there have another cause."""
    blocks: Blocks | None
    """Label changes where tiles meet; None if no image has several tiles."""
    control: Blocks | None
    """The same at the same places of the shifted masks, whose tiles meet elsewhere; None without such masks."""
    reliability: Reliability | None
    """What confidence came to, over the images that have it; None without truth, or if none has."""
    failed: tuple[FailedPair, ...]
    """Images whose masks could not be compared; they count nowhere else."""
    only_predicted: tuple[Path, ...]
    """Predicted masks without truth, where truth was given."""
    only_truth: tuple[Path, ...]
    """Truth without predicted masks."""
    without_shifted: tuple[Path, ...]
    """Predicted masks without a shifted one, where shifted ones were given."""
    only_shifted: tuple[Path, ...]
    """Shifted masks without predicted ones."""
    truth_model: str = ""
    """The model by which a run of noseam made what was given as truth; empty where none did."""

    @property
    def seam_miou(self) -> float:
        """Mean IoU where tiles meet, over the classes present there and elsewhere; nan for none."""
        return self.seams.miou_of(self.seams.seam) if self.seams else np.nan

    @property
    def interior_miou(self) -> float:
        """Mean IoU elsewhere, over the same classes; nan for none."""
        return self.seams.miou_of(self.seams.interior) if self.seams else np.nan

    @property
    def in_tiles(self) -> tuple[tuple[str, float], ...]:
        """Images of several tiles, and which share of their labels depends on the grid; those with most first."""
        found = [(each.name, each.dependence.share) for each in self.images if each.blocks and each.dependence]
        return tuple(sorted(found, key=lambda pair: -np.nan_to_num(pair[1])))

    @property
    def in_one_tile(self) -> int:
        """How many images with a shifted mask lay in one tile."""
        return sum(image.dependence is not None and image.blocks is None for image in self.images)


def summed(
    counts: Sequence[ImageCounts],
    failed: Sequence[FailedPair],
    matched: Match,
    *,
    classes: tuple[str, ...],
    judged: bool,
    shifted: bool,
    seam_px: int,
) -> Evaluation:
    """Return what was found of all images together.

    Parameters
    ----------
    counts : sequence of ImageCounts
        What was counted of each image.
    failed : sequence of FailedPair
        Images that could not be counted.
    matched : Match
        Which masks belonged together.
    classes : tuple of str
        Names of the classes, by id.
    judged, shifted : bool
        Whether truth and shifted masks were given. With shifted ones, images without such a mask are in no zones.
    seam_px : int
        Width of the zones where tiles meet, model pixels.
    """
    none = np.zeros((len(classes), len(classes) + 1), np.int64)
    total = sum((each.total for each in counts if each.total is not None), none)
    seams = [each.seams for each in counts if each.seams and not (shifted and each.seams.control is None)]
    blocks = [each.blocks for each in counts if each.blocks]
    control = [each.control for each in counts if each.control]
    levels = sum((each.levels for each in counts if each.levels is not None), no_levels())
    moved = [(each.dependence, each.blocks is not None) for each in counts if each.dependence]

    def depending(*, tiled: bool) -> Dependence | None:
        each = (found for found, several in moved if several == tiled)
        return sum(each, Dependence.none(len(classes))) if shifted else None

    return Evaluation(
        classes=classes,
        judged=judged,
        confusion=total,
        metrics=measure(total),
        images=tuple(_score(each, none) for each in counts),
        seams=measure_seams(seams, seam_px),
        dependence=depending(tiled=True),
        one_tile=depending(tiled=False),
        blocks=sum(blocks, Blocks()) if blocks else None,
        control=sum(control, Blocks()) if control else None,
        reliability=of_levels(levels) if levels.any() else None,
        failed=tuple(failed),
        only_predicted=matched.without_truth,
        only_truth=matched.only_truth,
        without_shifted=matched.without_shifted,
        only_shifted=matched.only_shifted,
        truth_model=matched.truth_model,
    )


def _score(counts: ImageCounts, none: NDArray[np.int64]) -> ImageScore:
    metrics = measure(none if counts.total is None else counts.total)
    return ImageScore(
        counts.name, metrics.pixels, metrics.accuracy, metrics.miou, counts.dependence, counts.blocks, counts.doubts
    )
