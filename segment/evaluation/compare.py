"""Compare predicted masks with the truth: pixel counts, scores, seam zones against interiors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.errors import EvaluateError, RequestError
from segment.evaluation.metrics import Metrics, confusion, measure
from segment.evaluation.seams import Breaks, Seams
from tiler.classes import ClassTable
from tiler.errors import NoPairError, TilerError, reason_of
from tiler.files.pairs import Pair, pair_files
from tiler.grid.seams import read_grid
from tiler.grid.window import Window
from tiler.masks.geotiff_sink import BLOCK_PX
from tiler.masks.labels import LabelReader, open_labels

COUNTED_PX = 2**22
"""Most pixels that are counted at once: 32 MB of indices."""
MAX_THREADS = 8
"""Pairs compared at once at most; each takes about 100 MB."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How well the labels of one image agree with its truth."""

    name: str
    """Its name, without folder of the side and suffix."""
    pixels: int
    """Pixels that have a true label."""
    accuracy: float
    """See `Metrics`; nan without such a pixel."""
    miou: float
    """See `Metrics`; nan without such a pixel."""


@dataclass(frozen=True, slots=True)
class FailedPair:
    """Two masks that could not be compared."""

    name: str
    """Their common name."""
    reason: str
    """Why, in full."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a comparison of predicted masks with the truth found."""

    classes: tuple[str, ...]
    """Names of the classes, by id."""
    confusion: NDArray[np.int64]
    """Pixels of all images by true class and predicted class, see `segment.evaluation.metrics.confusion`."""
    metrics: Metrics
    """Scores of all images together."""
    images: tuple[ImageScore, ...]
    """The images that were compared."""
    seam_images: int
    """How many of them have seams: their masks say where tiles lay, and there are several."""
    seam_px: int | None
    """Width of the seam zones, model pixels; None: where tiles overlap, see `tiler.grid.seams.seam_bands`."""
    seam: Metrics | None
    """Scores in the seam zones of these images; None if no image has seams."""
    interior: Metrics | None
    """Scores in the rest of these images; None if no image has seams."""
    line_breaks: Breaks
    """Neighbours of one true class with two labels, across the lines where tiles meet: what an eye sees as a seam."""
    other_breaks: Breaks
    """The same everywhere else in these images."""
    failed: tuple[FailedPair, ...]
    """Pairs that could not be compared; they count nowhere else."""
    only_predicted: tuple[Path, ...]
    """Predicted masks without truth."""
    only_truth: tuple[Path, ...]
    """Truth without predicted masks."""

    @property
    def seam_classes(self) -> tuple[int, ...]:
        """Classes present in the truth of the seam zones and of the interiors."""
        if self.seam is None or self.interior is None:
            return ()
        return tuple(sorted(set(self.seam.present) & set(self.interior.present)))

    @property
    def seam_miou(self) -> float:
        """Mean IoU in the seam zones over `seam_classes`; nan for none. Compare it with `interior_miou`."""
        return self.seam.miou_over(self.seam_classes) if self.seam else np.nan

    @property
    def interior_miou(self) -> float:
        """Mean IoU in the interiors over `seam_classes`; nan for none."""
        return self.interior.miou_over(self.seam_classes) if self.interior else np.nan


def evaluate(
    predicted: Path,
    truth: Path,
    *,
    classes: ClassTable | None = None,
    seam_px: int | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Compare predicted masks with the truth.

    Parameters
    ----------
    predicted, truth : Path
        Two files, or two folders whose files are paired by name, see `pair_files`.
    classes : ClassTable or None
        Names and colours; None: the names that the predicted masks carry, and no colours.
    seam_px : int or None
        Width of the seam zones, model pixels; None: where tiles overlap.
    advance : callable
        Called in the calling thread with (pairs done, pairs in all).

    Returns
    -------
    Evaluation
        A pair that cannot be compared stands in `failed`, and the others go on.

    Raises
    ------
    EvaluateError
        If `seam_px` is below 1.
    RequestError
        If no class names are known, or the class table is of other classes than the masks.
    PairError
        If the two sides cannot be paired; `NoPairError` if they have no file in common.
    """
    if seam_px is not None and seam_px < 1:
        raise EvaluateError(f"the seam zones must be at least 1 px wide, got {seam_px}")
    pairs = pair_files(predicted, truth)
    if not pairs.pairs:
        raise NoPairError(
            f"{predicted} and {truth} have no image in common: "
            f"{len(pairs.only_first)} predicted and {len(pairs.only_second)} true masks without partner"
            + "".join(f", such as {path}" for path in (*pairs.only_first[:1], *pairs.only_second[:1]))
        )
    comparison = _Comparison(_class_names(pairs.pairs, classes), classes, seam_px)
    results = comparison.run(pairs.pairs, advance)
    counts = [result for result in results if isinstance(result, _Counts)]
    seams = [count.seam for count in counts if count.seam is not None]
    interiors = [count.total - count.seam for count in counts if count.seam is not None]
    total = comparison.add(count.total for count in counts)
    return Evaluation(
        classes=comparison.names,
        confusion=total,
        metrics=measure(total),
        images=tuple(count.score() for count in counts),
        seam_images=len(seams),
        seam_px=seam_px,
        seam=measure(comparison.add(seams)) if seams else None,
        interior=measure(comparison.add(interiors)) if seams else None,
        line_breaks=sum((count.line_breaks for count in counts), Breaks()),
        other_breaks=sum((count.other_breaks for count in counts), Breaks()),
        failed=tuple(result for result in results if isinstance(result, FailedPair)),
        only_predicted=pairs.only_first,
        only_truth=pairs.only_second,
    )


def _class_names(pairs: Sequence[Pair], table: ClassTable | None) -> tuple[str, ...]:
    """Return the class names of the table, else those of the first mask that carries any.

    A table is compared with the first mask at once. So a table of another model is one error, not one per pair.
    """
    for pair in pairs[:1] if table else pairs:
        with suppress(TilerError), open_labels(pair.first, table) as labels:  # such a mask fails again in its turn
            if own := labels.class_names:
                _check_names(pair.first, own, table.names if table else own, given=table is not None)
                return table.names if table else own
    if table is None:
        raise RequestError(
            f"{pairs[0].first}: the mask does not say its class names; give them with --classes, a CSV with name,r,g,b"
        )
    return table.names


def _check_names(path: Path, own: tuple[str, ...], expected: tuple[str, ...], *, given: bool) -> None:
    """Raise if a mask's ids do not mean the expected classes; a given table may name them in other words."""
    if own and len(own) != len(expected):
        raise RequestError(f"{path}: the mask has {len(own)} classes; expected {len(expected)}, as in the class table")
    for index, name in enumerate(own):
        if name in expected and expected.index(name) != index:
            raise RequestError(f"{path}: class {name} is {index} in the mask, {expected.index(name)} in the table")
    if own and own != expected and not given:
        raise RequestError(f"{path}: the mask has the classes {', '.join(own)}; expected {', '.join(expected)}")


@dataclass(frozen=True, slots=True)
class _Counts:
    """Confusion matrices of one image."""

    name: str
    total: NDArray[np.int64]
    seam: NDArray[np.int64] | None
    line_breaks: Breaks
    other_breaks: Breaks

    def score(self) -> ImageScore:
        metrics = measure(self.total)
        return ImageScore(self.name, metrics.pixels, metrics.accuracy, metrics.miou)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What all pairs share."""

    names: tuple[str, ...]
    table: ClassTable | None
    seam_px: int | None

    def run(self, pairs: Sequence[Pair], advance: Callable[[int, int], None]) -> list[_Counts | FailedPair]:
        """Compare every pair, several at once; results in the order of the pairs."""
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS))
        try:
            futures = [pool.submit(self.pair, pair) for pair in pairs]
            for done, _ in enumerate(as_completed(futures), start=1):
                advance(done, len(pairs))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)

    def add(self, matrices: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
        return sum(matrices, np.zeros((len(self.names), len(self.names) + 1), np.int64))

    def pair(self, pair: Pair) -> _Counts | FailedPair:
        name = pair.name.as_posix()
        try:
            with open_labels(pair.first, self.table) as predicted, open_labels(pair.second, self.table) as truth:
                return self._count(name, predicted, truth)
        except Exception as error:  # one bad pair costs only itself, whatever it raised
            return FailedPair(name, reason_of(error, pair.first, pair.second))

    def _count(self, name: str, predicted: LabelReader, truth: LabelReader) -> _Counts:
        path = predicted.info.path
        _check_names(path, predicted.class_names, self.names, given=self.table is not None)
        if predicted.shape != truth.shape:
            sizes = "{1} x {0} px but {2} is {4} x {3} px".format(*predicted.shape, truth.info.path, *truth.shape)
            raise EvaluateError(f"{path} is {sizes}; expected one size")
        grid = read_grid(predicted.tags, predicted.shape)
        seams = Seams(grid, self.seam_px) if grid is not None and len(grid) > 1 else None
        total, seam = self.add(()), self.add(())
        for window in _row_blocks(predicted.shape):
            labels, true = predicted.read(window), truth.read(window)
            total += confusion(true, labels, len(self.names))
            if seams is not None:
                inside = seams.zone(window)
                seam += confusion(true[inside], labels[inside], len(self.names))
                seams.count_breaks(true, labels, window)
        if seams is None:
            return _Counts(name, total, None, Breaks(), Breaks())
        return _Counts(name, total, seam, seams.line_breaks, seams.other_breaks)


def _row_blocks(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield windows of full-width rows, top to bottom; none straddles two rows of a GeoTIFF's blocks."""
    height, width = shape
    rows = BLOCK_PX
    while rows > 1 and rows * width > COUNTED_PX:
        rows //= 2
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)
