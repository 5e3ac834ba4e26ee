"""What goes through the network at once: a rectangle that the user names, or the one that suits an image best."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Literal, NamedTuple

from tiler.errors import GridError
from tiler.grid.tiles import LATTICE_PX, MIN_TILE_PX, axis_positions, on_lattice

DEFAULT_BALANCE_PX = 750_000.0
"""Area of a tile at which attention costs as much as all else, where the network is not known; model pixels."""
MOST_TILE_PX = 2_400_000
"""Largest area of a tile that is chosen without being asked for, model pixels: the network's memory follows it."""
MOST_ROW_PX = 2**24
"""Largest area of a row of tiles that is chosen, model pixels; what an image holds in memory follows it."""
Quality = Literal["fast", "balanced", "best"]
"""What counts where a tile is chosen."""
DEFAULT_QUALITY: Quality = "balanced"
BUDGETS: Mapping[Quality, float] = {"fast": 0.7, "balanced": 0.9, "best": 2.0}
"""Most work for an image, as a multiple of that for squares of the trained size; see `fit_tile`. Beside such squares,
large tiles take up to a tenth longer than the formula says (benchmarks/README.md); so 0.9 is no more time."""
_FORM = re.compile(r"([1-9]\d{0,6})(?:[xX]([1-9]\d{0,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TileSize:
    """What was asked to go through the network at once."""

    shape: tuple[int, int] | None = None
    """(height, width), model pixels, multiples of 32, at least 64; None: what suits each image best."""

    def __post_init__(self) -> None:
        for side in self.shape or ():
            if side % LATTICE_PX or side < MIN_TILE_PX:
                raise GridError(
                    f"the sides of a tile are multiples of {LATTICE_PX} px and at least {MIN_TILE_PX} px, got {self}"
                )

    def __str__(self) -> str:
        if self.shape is None:
            return "auto"
        height, width = self.shape
        return f"{height}" if height == width else f"{height}x{width}"


AUTO = TileSize()


def parse_tile(text: str) -> TileSize:
    """Return what a text asks for: `auto`, the side of a square, or height x width such as `768x1024`.

    Raises
    ------
    GridError
        If it has another form, or names a side that no tile has.
    """
    if text == "auto":
        return AUTO
    found = _FORM.fullmatch(text)
    if found is None:
        raise GridError(f"auto, a side such as 512, or height x width such as 768x1024 expected, got {text!r}")
    height = int(found[1])
    return TileSize((height, int(found[2] or height)))


@lru_cache(maxsize=1024)
def fit_tile(
    model_shape: tuple[int, int], *, trained_px: int, overlap_px: int, balance_px: float, budget: float = 1.0
) -> tuple[int, int]:
    """Return the tile that leaves the fewest labels to where tiles meet, within a budget of work; then the largest.

    Splitting the long side of an image harms most. How many labels depend on where tiles lie follows the sum, over both
    axes, of the lines across an axis times the square of its length. That put all grids that were measured into the
    right order: strips along the long side of a photo come before blocks, and large blocks before small ones.

    A tile of A pixels costs `A (1 + A / balance_px)`: attention looks from every place of a tile at all of it, so its
    work grows with the square of the area. Many small tiles repeat pixels in their overlaps instead.

    Parameters
    ----------
    model_shape : tuple of int
        (height, width) of the image, model pixels.
    trained_px : int
        Side of the crops that the network was trained on, model pixels. No tile has a smaller area than such a crop, or
        a side shorter than half of it.
    overlap_px : int
        Total overlap of the squares that the budget is a multiple of, model pixels. Tiles share at least half as much,
        and more where the budget lets them be larger.
    balance_px : float
        Area of a tile at which attention costs as much as all else, model pixels.
    budget : float
        Most work, as a multiple of that for squares of `trained_px`. Where no tile is within it, the least work counts.

    Returns
    -------
    tuple of int
        (height, width), model pixels. The choice depends on these arguments alone, so every machine makes the same.
    """
    whole = on_lattice(model_shape[0]), on_lattice(model_shape[1])
    squares = prod(_count(length, trained_px, overlap_px) for length in whole)
    rows, cols = (list(_sides(length, trained_px, least_overlap(overlap_px))) for length in whole)
    choices = [
        _Choice(
            harm=(down - 1) * whole[0] ** 2 + (across - 1) * whole[1] ** 2,
            unseen_px=-min(height, whole[0]) * min(width, whole[1]),
            cost=down * across * tile_cost(height * width, balance_px),
            tile=(height, width),
        )
        for (height, down), (width, across) in product(rows, cols)
        if trained_px**2 <= height * width <= max(MOST_TILE_PX, trained_px**2)
        and height <= max(MOST_ROW_PX // whole[1], trained_px)
    ]
    within = budget * squares * tile_cost(trained_px**2, balance_px)
    within = max(within, min(choice.cost for choice in choices))
    return min(choice for choice in choices if choice.cost <= within).tile


class _Choice(NamedTuple):
    """A tile that may be chosen; the least is the best."""

    harm: int
    """How much the lines harm where tiles meet."""
    unseen_px: int
    """How little of the image a tile sees: minus the area, without what is only reflected."""
    cost: float
    """Work for all tiles."""
    tile: tuple[int, int]


def least_overlap(overlap_px: int) -> int:
    """Return the least overlap of tiles that are chosen, for that of squares of the trained size; model pixels."""
    return overlap_px // 2


def _count(length: int, side: int, overlap_px: int) -> int:
    return len(axis_positions(length, side, overlap_px, align=LATTICE_PX))


def _sides(length: int, trained_px: int, overlap_px: int) -> Iterator[tuple[int, int]]:
    """Yield the sides that a tile may have along an axis, and how many tiles then cover it, down from the longest."""
    least = max(on_lattice(trained_px // 2), MIN_TILE_PX)
    longest = min(length, MOST_TILE_PX // least // LATTICE_PX * LATTICE_PX)
    for side in range(max(longest, trained_px), least - 1, -LATTICE_PX):
        yield side, _count(length, side, overlap_px)


def tile_cost(area: int, balance_px: float) -> float:
    """Return the work for a tile, in that of one pixel without attention."""
    return area * (1 + area / balance_px)
