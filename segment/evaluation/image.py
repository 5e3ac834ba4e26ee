"""One image counted: its masks are read side by side, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segment.errors import EvaluateError
from segment.evaluation.blocks import BlockCounter, Blocks
from segment.evaluation.grid_dependence import Dependence, count_dependence, differences, grids_of
from segment.evaluation.meaning import Meaning
from segment.evaluation.metrics import confusion
from segment.evaluation.reliability import Levels, count_levels, no_levels
from segment.evaluation.seams import SeamCounts, count_seams
from segment.evaluation.sides import Sides
from tiler.doubt import Doubt, read_doubts
from tiler.errors import TilerError
from tiler.grid.parts import BLOCK_PX
from tiler.grid.seams import SeamBands, bands_of, read_grid
from tiler.grid.window import Window
from tiler.masks.labels import open_labels
from tiler.masks.view import LabelView, same_aspect, size_in_words

COUNTED_PX = 2**22
"""Most pixels that are counted at once: 32 MB of indices."""


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """What was counted of one image."""

    name: str
    """Name of the image."""
    total: NDArray[np.int64] | None
    """Confusion matrix; None without truth."""
    seams: SeamCounts | None
    """Counts where tiles meet and elsewhere; None without truth or with one tile, or if tiles are not known."""
    dependence: Dependence | None
    """Labels that differ in the shifted mask; None without such a mask."""
    blocks: Blocks | None
    """Label changes where tiles meet; None with one tile, or if tiles are not known."""
    control: Blocks | None
    """Label changes at the same places of the shifted mask, whose tiles meet elsewhere; None where there is none."""
    levels: Levels | None = None
    """Labels by what the raster of confidence says of them; None without truth or such a raster."""
    doubts: tuple[Doubt, ...] = ()
    """What makes the judged mask doubtful, as its tags tell it."""


@dataclass(frozen=True, slots=True)
class ImageMasks:
    """The open masks of one image; they belong to one thread."""

    predicted: LabelView
    """The mask that is judged."""
    truth: LabelView | None
    """The truth."""
    shifted: LabelView | None
    """The mask under another grid."""
    confidence: LabelView | None
    """The confidence of the mask that is judged; None where there is none, or it is of another making."""


@contextmanager
def open_masks(sides: Sides, meant: Meaning, *, scale_masks: bool = False) -> Iterator[ImageMasks]:
    """Open the masks of one image, in the classes that are compared.

    Parameters
    ----------
    sides : Sides
        The masks.
    meant : Meaning
        What their ids mean, and which classes are left of them.
    scale_masks : bool
        Whether truth of another size is sampled at the size of the predicted mask.

    Raises
    ------
    TilerError
        If a mask cannot be opened, see `open_labels`, or has another size; `RequestError` if it has other classes.
    """
    with ExitStack() as stack:
        predicted = meant.open(sides.predicted, stack.enter_context)
        shifted = None if sides.shifted is None else meant.open(sides.shifted, stack.enter_context)
        truth = None
        if sides.truth is not None:
            shape = predicted.shape if scale_masks else None
            truth = meant.open(sides.truth, stack.enter_context, shape=shape, checked=False)
        confidence = None
        if sides.confidence is not None:
            with nullcontext() if shifted else suppress(TilerError):  # whatever else has such a name is none
                confidence = LabelView(stack.enter_context(open_labels(sides.confidence, None)))
        if not shifted:
            confidence = _of_one_making(predicted, confidence)
        yield ImageMasks(predicted, truth, shifted, confidence)


def _of_one_making(labels: LabelView, confidence: LabelView | None) -> LabelView | None:
    """Return a raster of confidence if noseam made it with the labels."""
    if confidence is None or "CONFIDENCE" not in confidence.tags or confidence.shape != labels.shape:
        return None
    return None if list(differences(labels.tags, confidence.tags)) else confidence


def count_image(name: str, masks: ImageMasks, classes: int, seam_px: int) -> ImageCounts:
    """Return what there is to count in the masks of one image.

    Parameters
    ----------
    name : str
        Name of the image.
    masks : ImageMasks
        Its masks.
    classes : int
        Number of classes.
    seam_px : int
        Width of the zones where tiles meet, model pixels.

    Raises
    ------
    EvaluateError
        If the masks differ in size, a label is no class, or the shifted mask differs in more than the grid or in
        nothing; see `grids_of`.
    TilerError
        If a mask cannot be read, or does not say well where its tiles lay.
    """
    _check_sizes(masks)
    bands, theirs = _bands(masks, seam_px)
    total = np.zeros((classes, classes + 1), np.int64)
    seams, dependence, levels = [], Dependence.none(classes), no_levels()
    counter = None if bands is None else BlockCounter(bands)
    control = None if bands is None or theirs is None else BlockCounter(bands)
    for window in _row_blocks(masks.predicted.shape):
        labels, true, shifted = masks.predicted.read(window), _read(masks.truth, window), _read(masks.shifted, window)
        sure = _read(masks.confidence, window)
        if true is not None and sure is not None:
            levels += count_levels(true, labels, sure)
        if shifted is not None:
            dependence += count_dependence(labels, shifted, sure, classes)
            if control is not None:
                control.add(shifted, window)
        if counter is not None:
            counter.add(labels, window)
        if true is not None:
            total += confusion(true, labels, classes)
        if true is not None and bands is not None:
            other = None if shifted is None or theirs is None else (shifted, theirs.zone(window))
            seams.append(count_seams(true, labels, bands.zone(window), classes, other))
    return ImageCounts(
        name,
        total if masks.truth else None,
        sum(seams[1:], seams[0]) if seams else None,
        dependence if masks.shifted else None,
        counter.blocks() if counter else None,
        control.blocks() if control else None,
        levels if masks.truth and masks.confidence else None,
        read_doubts(masks.predicted.tags),
    )


def _read(mask: LabelView | None, window: Window) -> NDArray[np.uint8] | None:
    return None if mask is None else mask.read(window)


def _check_sizes(masks: ImageMasks) -> None:
    one = masks.predicted
    for other in (masks.truth, masks.shifted, masks.confidence):
        if other and other.shape != one.shape:
            raise EvaluateError(
                f"{one.info.path} has {size_in_words(one.shape)}, but {other.info.path} has "
                f"{size_in_words(other.shape)}; expected one size"
                + "; --scale-masks samples truth at the size of masks"
                * (other is masks.truth and same_aspect(one.shape, other.shape))
            )


def _bands(masks: ImageMasks, seam_px: int) -> tuple[SeamBands | None, SeamBands | None]:
    """Return where the tiles of the judged and of the shifted mask meet; None where they do not, or nobody knows."""
    if masks.shifted is None:
        grid = read_grid(masks.predicted.tags, masks.predicted.shape)
        return (bands_of(grid, seam_px) if grid is not None and len(grid) > 1 else None), None
    here, there = grids_of(masks.predicted, masks.shifted)
    if masks.confidence is not None and list(differences(masks.predicted.tags, masks.confidence.tags)):
        raise EvaluateError(f"{masks.confidence.info.path} is of another run than {masks.predicted.info.path}")
    return (bands_of(here, seam_px), bands_of(there, seam_px)) if len(here) > 1 else (None, None)


def _row_blocks(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield windows of full-width rows, top to bottom; none straddles two rows of a GeoTIFF's blocks."""
    height, width = shape
    rows = BLOCK_PX
    while rows > 1 and rows * width > COUNTED_PX:
        rows //= 2
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)
