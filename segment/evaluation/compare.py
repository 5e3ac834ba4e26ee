"""Compare predicted masks with the truth, and with masks of the same photos under another grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from segment.errors import EvaluateError
from segment.evaluation.image import ImageCounts, count_image, open_masks
from segment.evaluation.meaning import Meaning, meaning_of
from segment.evaluation.request import SEAM_PX
from segment.evaluation.results import Evaluation, FailedPair, summed
from segment.evaluation.sides import Sides, match
from tiler.classes import ClassTable
from tiler.errors import reason_of
from tiler.remap.options import AS_IT_IS, RemapOptions

MAX_THREADS = 8
"""Images compared at once at most; each takes about 100 MB."""


def evaluate(
    predicted: Path,
    truth: Path | None = None,
    *,
    shifted: Path | None = None,
    classes: ClassTable | None = None,
    remap: RemapOptions = AS_IT_IS,
    scale_masks: bool = False,
    seam_px: int = SEAM_PX,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Compare predicted masks with the truth, with masks of the same photos under another grid, or with both.

    Parameters
    ----------
    predicted : Path
        A file, or a folder.
    truth, shifted : Path or None
        Files, or folders whose files are paired with the predicted ones by name, see `pair_files`. The shifted masks
        are made as the predicted ones, but for `--grid-shift`.
    classes : ClassTable or None
        Names and colours; None: the names that the predicted masks carry, and no colours.
    remap : RemapOptions
        Which classes are left out or merged, in all masks. A pixel whose true class is left out counts nowhere. Where
        such a class is predicted and the truth is another, the pixel counts as one without a prediction: it is wrong,
        and counts against the true class alone. Masks that say they hold the classes that are left are read as they
        are.
    scale_masks : bool
        Whether truth of another size is sampled at the size of the predicted mask, see `LabelView`.
    seam_px : int
        Width of the zones where tiles meet, model pixels.
    advance : callable
        Called in the calling thread with (images done, images in all).

    Returns
    -------
    Evaluation
        An image whose masks cannot be compared stands in `failed`, and the others go on.

    Raises
    ------
    EvaluateError
        If `seam_px` is below 1, or there are neither truth nor shifted masks.
    RequestError
        If no class names are known, or the class table is of other classes than the masks.
    ClassTableError
        If `remap` does not fit the classes.
    PairError
        If the sides cannot be paired; `NoPairError` if two have no file in common.
    """
    if seam_px < 1:
        raise EvaluateError(f"the seam zones must be at least 1 px wide, got {seam_px}")
    if truth is None and shifted is None:
        raise EvaluateError("nothing to compare the masks with; expected truth, shifted masks, or both")
    matched = match(predicted, truth, shifted)
    comparison = _Comparison(meaning_of(matched.images, classes, remap), scale_masks, seam_px)
    results = comparison.run(matched.images, advance)
    return summed(
        [result for result in results if isinstance(result, ImageCounts)],
        [result for result in results if isinstance(result, FailedPair)],
        matched,
        classes=comparison.meant.names,
        judged=truth is not None,
        shifted=shifted is not None,
        seam_px=seam_px,
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What all images share."""

    meant: Meaning
    scale_masks: bool
    seam_px: int

    def run(self, images: Sequence[Sides], advance: Callable[[int, int], None]) -> list[ImageCounts | FailedPair]:
        """Compare the masks of every image, several at once; results in the order of the images."""
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS))
        try:
            futures = [pool.submit(self.count, sides) for sides in images]
            for done, _ in enumerate(as_completed(futures), start=1):
                advance(done, len(images))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)

    def count(self, sides: Sides) -> ImageCounts | FailedPair:
        try:
            with open_masks(sides, self.meant, scale_masks=self.scale_masks) as masks:
                return count_image(sides.name, masks, len(self.meant.names), self.seam_px)
        except Exception as error:  # one bad image costs only itself, whatever it raised
            others = [path for path in (sides.truth, sides.shifted) if path is not None]
            return FailedPair(sides.name, reason_of(error, sides.predicted, *others))
