"""Which windows are most worth labelling: pure arithmetic on how much doubt each window holds.

The worth of a set of windows is `f(S) = sum over classes of sqrt(D_c(S)) + sum over images of sqrt(D_i(S))`, where
`D_c(S)` is the doubt, in pixels, that the windows hold in pixels labelled c, and `D_i(S)` the doubt that they hold in
image i. The root makes more of the same worth less and less, so the choice spreads over classes and images by itself.
Such a sum of concave functions is submodular (Lin and Bilmes 2011, A Class of Submodular Functions for Document
Summarization, section 3.2; used to choose what is labelled by Wei, Iyer and Bilmes 2015). So to take the window that
adds most, again and again, reaches at least 1 - 1/e of the best that there is (Nemhauser, Wolsey and Fisher 1978), and
the first of N windows are those that fewer would be.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.grid.window import Window


@dataclass(frozen=True, slots=True)
class ImageDoubt:
    """The windows that an image could be labelled in, and how much doubt each holds."""

    name: str
    """The image, by its path below the survey."""
    windows: tuple[Window, ...]
    """Where they lie, source pixels; they may overlap."""
    doubt: NDArray[np.float64]
    """Shape (windows, classes): doubt in pixels of each class; a pixel adds 0 to 1."""
    valid: NDArray[np.int64]
    """Shape (windows,): pixels that carry a label."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A window that is worth labelling."""

    image: str
    """The image, by its path below the survey."""
    window: Window
    """Where it lies, source pixels."""
    score: float
    """Doubt of its labelled pixels in the mean, 0 to 1."""
    classes: tuple[tuple[int, float], ...]
    """(class id, share of the window's doubt) of the classes that hold most of it, at most three; the largest first."""


def choose(images: Sequence[ImageDoubt], count: int, taken: Mapping[str, Collection[Window]]) -> list[Chosen]:
    """Return the windows that are most worth labelling, the worthiest first; fewer where no more hold any doubt.

    Parameters
    ----------
    images : sequence of ImageDoubt
        What there is to choose from.
    count : int
        How many windows are wanted.
    taken : mapping of str to collection of Window
        Windows that are labelled already, by image. No chosen window overlaps one of them, or another chosen one.
    """
    if not images:
        return []
    by_class, by_image = np.zeros(images[0].doubt.shape[1]), np.zeros(len(images))

    def worth(image: int, window: int) -> float:
        doubt = images[image].doubt[window]
        of_classes = np.sqrt(by_class + doubt) - np.sqrt(by_class)
        return float(of_classes.sum() + np.sqrt(by_image[image] + doubt.sum()) - np.sqrt(by_image[image]))

    # What a window adds can only fall, so the best of old values that is still best when counted anew is the best.
    heap = [(-worth(*place), *place) for place in _places(images)]
    heapq.heapify(heap)
    apart, chosen = _Apart(taken), list[Chosen]()
    while heap and len(chosen) < count:
        known, image, window = heapq.heappop(heap)
        if not known or not apart.fits(images[image].name, images[image].windows[window]):
            continue
        now = -worth(image, window)
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, image, window))
            continue
        by_class += images[image].doubt[window]
        by_image[image] += images[image].doubt[window].sum()
        apart.add(images[image].name, images[image].windows[window])
        chosen.append(_chosen(images[image], window))
    return chosen


def choose_at_random(
    images: Sequence[ImageDoubt], count: int, taken: Mapping[str, Collection[Window]], seed: int
) -> list[Chosen]:
    """Return windows of which each was as likely as any other, in the order in which they were drawn; see `choose`.

    What they show of errors is true of all windows alike, which is not so of windows that were chosen for their doubt.
    """
    places = list(_places(images))
    random.Random(seed).shuffle(places)
    apart, chosen = _Apart(taken), list[Chosen]()
    for image, window in places:
        if len(chosen) < count and apart.fits(images[image].name, images[image].windows[window]):
            apart.add(images[image].name, images[image].windows[window])
            chosen.append(_chosen(images[image], window))
    return chosen


def overlap(one: Window, other: Window) -> bool:
    """Return whether two windows share a pixel."""
    return (
        one.row_off < other.row_stop
        and other.row_off < one.row_stop
        and one.col_off < other.col_stop
        and other.col_off < one.col_stop
    )


class _Apart:
    """Windows that share no pixel."""

    def __init__(self, taken: Mapping[str, Collection[Window]]) -> None:
        self._taken = {image: list(windows) for image, windows in taken.items()}

    def fits(self, image: str, window: Window) -> bool:
        return not any(overlap(window, other) for other in self._taken.get(image, ()))

    def add(self, image: str, window: Window) -> None:
        self._taken.setdefault(image, []).append(window)


def _places(images: Sequence[ImageDoubt]) -> Iterator[tuple[int, int]]:
    """Yield (image, window) of every window with a labelled pixel."""
    for image, found in enumerate(images):
        yield from ((image, int(window)) for window in found.valid.nonzero()[0])


def _chosen(image: ImageDoubt, window: int) -> Chosen:
    doubt = image.doubt[window]
    total = float(doubt.sum())
    most = [int(index) for index in np.argsort(-doubt, kind="stable")[:3] if doubt[index] > 0]
    shares = tuple((index, float(doubt[index]) / total) for index in most)
    return Chosen(image.name, image.windows[window], total / int(image.valid[window]), shares)
