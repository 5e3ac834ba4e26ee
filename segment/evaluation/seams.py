"""Scores in the zones where tiles meet, elsewhere, and at the same places in masks whose tiles meet elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segment.evaluation.metrics import Metrics, confusion, measure


@dataclass(frozen=True, slots=True)
class SeamCounts:
    """Confusion matrices of an image or a part of it; see `segment.evaluation.metrics.confusion`."""

    seam: NDArray[np.int64]
    """In the zones where tiles meet."""
    interior: NDArray[np.int64]
    """Outside the zones, in the judged mask."""
    control: NDArray[np.int64] | None
    """At the places of `seam`, each in the other mask, whose tiles do not meet there; None: there is no other mask."""

    def __add__(self, other: SeamCounts) -> SeamCounts:
        control = None if self.control is None or other.control is None else self.control + other.control
        return SeamCounts(self.seam + other.seam, self.interior + other.interior, control)


def count_seams(
    truth: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    classes: int,
    shifted: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None = None,
) -> SeamCounts:
    """Return the counts of one image or a part of it.

    With a shifted mask every place of the zones is scored twice: in the mask whose tiles meet there, and in the other
    one. So truth and position are the same in both sums, and what sets them apart is the seam. Each mask is judged in
    its own zones, and is the control in those of the other. Pixels in the zones of both are left out.

    Parameters
    ----------
    truth, labels : ndarray of uint8
        Class ids; 255 = no label.
    inside : ndarray of bool
        The zones where the tiles of `labels` meet.
    classes : int
        Number of classes.
    shifted : tuple, optional
        Labels of the shifted mask, and the zones where its tiles meet.
    """

    def counts(ids: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.int64]:
        return confusion(truth[where], ids[where], classes)

    if shifted is None:
        return SeamCounts(counts(labels, inside), counts(labels, ~inside), None)
    others, theirs = shifted
    here, there = inside & ~theirs, theirs & ~inside
    return SeamCounts(
        seam=counts(labels, here) + counts(others, there),
        interior=counts(labels, ~(inside | theirs)),
        control=counts(others, here) + counts(labels, there),
    )


@dataclass(frozen=True, slots=True)
class SeamScores:
    """How the zones where tiles meet fare, over all images that have any."""

    images: int
    """How many these are."""
    width_px: int
    """Width of the zones, model pixels."""
    seam: Metrics
    """Scores in the zones."""
    interior: Metrics
    """Scores outside."""
    control: Metrics | None
    """Scores at the places of the zones, in masks whose tiles do not meet there; None: there are no such masks."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Classes present in the truth of the zones and of the interiors; means over classes take these."""
        return tuple(sorted(set(self.seam.present) & set(self.interior.present)))

    def miou_of(self, scores: Metrics) -> float:
        """Return the mean IoU of one of the scores over `classes`; nan for none."""
        return scores.miou_over(self.classes)


def measure_seams(counts: Iterable[SeamCounts], width_px: int) -> SeamScores | None:
    """Return the scores of all images together; None for no image."""
    each = list(counts)
    if not each:
        return None
    total = sum(each[1:], each[0])
    control = None if total.control is None else measure(total.control)
    return SeamScores(len(each), width_px, measure(total.seam), measure(total.interior), control)
