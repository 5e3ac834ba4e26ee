"""Tell by their pictures which photos see the same ground: features that match, all by one view of a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiler.crops.connected import Groups
from tiler.errors import TilerError
from tiler.extra import require_extra
from tiler.grid.tiles import Grid, model_shape_of
from tiler.source.image import open_image
from tiler.source.options import ReadingOptions

SIDE_PX = 600
"""Longest side at which photos are compared."""
FEATURES = 600
"""Most features of a photo; the strongest count."""
CANDIDATES = 100
"""With so many photos that are most alike each photo is compared."""
LEAST_INLIERS = 16
"""Two photos see the same ground if so many features agree on one homography, and more than 8 + 0.3 n of n that match
(Brown and Lowe 2007, section 3.2)."""
_SPREAD = 0.06
"""Features that agree lie apart by this part of the longest side (standard deviation along the longer axis): one thing
that is seen in two places, such as a car or a marker, is smaller."""
_RATIO = 0.8
"""A match is much better than the second best (Lowe 2004, section 7.1)."""
_MISS_PX = 4.0
_LEAST_AREA, _MOST_AREA = 1 / 64, 64.0
"""By how much one photo may show the ground larger than the other: areas."""
_WORDS = 32
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a photo is compared by."""

    points: NDArray[np.float32]
    """Column and row of each feature, at `SIDE_PX`; shape (n, 2)."""
    features: NDArray[np.float16]
    """SIFT descriptors (Lowe 2004), each the square root of its share of a sum of 1 (Arandjelovic and Zisserman 2012);
    shape (n, 128). The product of two is 1 where they are equal."""


def link_pictures(
    paths: Sequence[Path],
    groups: Groups,
    reading: ReadingOptions,
    *,
    known: frozenset[int] = frozenset(),
    jobs: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> frozenset[int]:
    """Join the groups of photos that see the same ground, and return the indices of photos that cannot be compared.

    Each photo is compared with the `CANDIDATES` photos that are most alike it as wholes. Photos that are in one group
    already are not compared.

    Parameters
    ----------
    paths : sequence of Path
        The photos.
    groups : Groups
        Groups of their indices; they are joined here.
    reading : ReadingOptions
        How photos become 8-bit colours.
    known : frozenset of int
        Photos whose place is known; two of these are not compared.
    jobs : int
        Number of threads.
    advance : callable
        Called with (photos looked at, photos in all).

    Raises
    ------
    MissingExtraError
        If OpenCV is missing.
    """
    require_extra("place")
    with ThreadPoolExecutor(jobs) as pool:
        sketches: list[Sketch | None] = []
        for sketch in pool.map(lambda path: draw_sketch(path, reading), paths):
            sketches.append(sketch)
            advance(len(sketches), len(paths))
        usable = [index for index, sketch in enumerate(sketches) if sketch is not None]
        pairs = _candidates([sketch for sketch in sketches if sketch is not None])
        in_photos = ((usable[one], usable[other]) for one, other in pairs)
        # Those most alike come first, so most of the rest are of one group before their turn comes.
        waiting = (pair for pair in in_photos if not (known.issuperset(pair) or groups.together(*pair)))
        while now := list(islice(waiting, 4 * jobs)):
            for pair, same in zip(now, pool.map(lambda pair: _same(sketches, pair), now), strict=True):
                if same:
                    groups.join(*pair)
    return frozenset(range(len(paths))) - frozenset(usable)


def draw_sketch(path: Path, reading: ReadingOptions) -> Sketch | None:
    """Return what a photo is compared by; None where it cannot be read, or shows too little to be compared."""
    import cv2

    try:
        with open_image(path, channels=reading.channels, value_range=reading.value_range) as image:
            shape = model_shape_of(image.info.shape, min(SIDE_PX / max(image.info.shape), 1.0))
            pixels = image.model_rows(Grid(image.info.shape, shape, shape, (0,), (0,)), 0, shape[0])[:, :, : shape[1]]
    except TilerError:  # it fails again when it is cut, with its reason
        return None
    gray = cv2.cvtColor(np.ascontiguousarray(pixels.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    found, features = cv2.SIFT.create(nfeatures=FEATURES).detectAndCompute(gray, None)
    if features is None or len(features) < LEAST_INLIERS:
        return None
    shares = features / np.maximum(features.sum(axis=1, keepdims=True), 1e-9)
    points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
    return Sketch(points, np.sqrt(shares).astype(np.float16))


def _same(sketches: Sequence[Sketch | None], pair: tuple[int, int]) -> bool:
    one, other = sketches[pair[0]], sketches[pair[1]]
    assert one is not None
    assert other is not None
    return agreeing(one, other) > 0


def agreeing(one: Sketch, other: Sketch) -> int:
    """Return how many features of two photos match and agree on one view of the ground; 0 where too few do."""
    import cv2

    ours, theirs = _matches(one.features.astype(np.float32), other.features.astype(np.float32))
    if len(ours) < LEAST_INLIERS:
        return 0
    here, there = one.points[ours], other.points[theirs]
    view, inliers = cv2.findHomography(here, there, cv2.USAC_MAGSAC, _MISS_PX, maxIters=2000, confidence=0.999)
    if view is None:
        return 0
    agree = inliers.ravel() > 0
    count = int(agree.sum())
    if count < max(LEAST_INLIERS, 8 + 0.3 * len(ours)) or not _plausible(view, here[agree]):
        return 0
    return count if min(_spread(here[agree]), _spread(there[agree])) >= _SPREAD * SIDE_PX else 0


def _spread(points: NDArray[np.float32]) -> float:
    """Return the standard deviation of points along the line on which they lie farthest apart."""
    return float(np.sqrt(np.linalg.eigvalsh(np.cov(points.T)).max()))


def _matches(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return features that are each other's best match, by far."""
    alike = ours @ theirs.T
    best = alike.argmax(axis=1)
    rows = np.arange(len(ours))
    first = alike[rows, best]
    alike_else = alike.copy()
    alike_else[rows, best] = -1
    distinct = 1 - first < _RATIO**2 * (1 - alike_else.max(axis=1))  # 2 - 2 x is the square of the distance
    good = np.flatnonzero(distinct & (alike.argmax(axis=0)[best] == rows))
    return good, best[good]


def _plausible(view: NDArray[np.float64], points: NDArray[np.float32]) -> bool:
    """Return whether a homography shows the points from the same side, not mirrored, and not shrunk to a line."""
    depth = points @ view[2, :2] + view[2, 2]
    area = np.linalg.det(view) / depth**3  # how a small area around each point grows
    before = (depth > 0).all() or (depth < 0).all()
    return bool(before and (area > _LEAST_AREA).all() and (area < _MOST_AREA).all())


def _candidates(sketches: Sequence[Sketch]) -> list[tuple[int, int]]:
    """Return pairs of photos to compare, those most alike as wholes first."""
    if len(sketches) <= CANDIDATES + 1:
        return [(one, other) for other in range(len(sketches)) for one in range(other)]
    whole = _wholes(sketches)
    pairs: dict[tuple[int, int], float] = {}
    for index, mine in enumerate(whole):
        alike = whole @ mine
        alike[index] = -np.inf
        for other in np.argsort(-alike, kind="stable")[:CANDIDATES].tolist():
            pairs[min(index, other), max(index, other)] = float(alike[other])
    return sorted(pairs, key=lambda pair: (-pairs[pair], pair))


def _wholes(sketches: Sequence[Sketch]) -> NDArray[np.float32]:
    """Return one vector for each photo, shape (n, words x 128), whose products say how alike photos are.

    They are VLAD (Jegou, Douze, Schmid and Perez 2010): for each of some typical features, the sum of how those of the
    photo next to it differ from it; with signed square roots, and of length 1.
    """
    words = _typical(sketches)
    whole = np.zeros((len(sketches), *words.shape), np.float32)
    for vector, sketch in zip(whole, sketches, strict=True):
        features = sketch.features.astype(np.float32)
        nearest = _nearest(features, words)
        np.add.at(vector, nearest, features - words[nearest])
    flat = whole.reshape(len(sketches), -1)
    flat = np.sign(flat) * np.sqrt(np.abs(flat))
    unit: NDArray[np.float32] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return unit


def _typical(sketches: Sequence[Sketch]) -> NDArray[np.float32]:
    """Return typical features by Lloyd's algorithm, from a sample that is always the same."""
    drawn = np.random.default_rng(0)
    sample = np.concatenate([sketch.features[drawn.permutation(len(sketch.features))[:50]] for sketch in sketches])
    sample = sample[drawn.permutation(len(sample))[:20_000]].astype(np.float32)
    words = sample[:_WORDS].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, words)
        for word in range(len(words)):
            if (mine := nearest == word).any():
                words[word] = sample[mine].mean(axis=0)
    return words


def _nearest(features: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = ((words**2).sum(axis=1) - 2 * features @ words.T).argmin(axis=1)
    return nearest
