"""Tiles as `segment` will show them to a network, of the ground that crops hold together.

A network sees more at once when it segments than in training, and says other things of the same ground then (Touvron,
Vedaldi, Douze and Jegou, Fixing the train-test resolution discrepancy, NeurIPS 2019). So what is found when its weights
are trained is found by tiles, not by crops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segment.evaluation.metrics import Gain, Metrics
from segment.model.config import Normalisation
from segment.training.dataset import Crop, Shown
from segment.training.ground import Ground, Piece
from segment.training.views import kept, nearest, resized
from tiler.classes import NO_LABEL
from tiler.grid.fit import AUTO, TileSize
from tiler.grid.tiles import model_shape_of
from tiler.grid.tiling import Tiling
from tiler.grid.window import Window

LEAST_GAIN = 0.005
"""Mean IoU and accuracy, each from 0 to 1, are higher by more than this together where squares are worth it: more of
their labels depend on where tiles lie."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile."""

    ground: Ground
    """What holds it."""
    window: Window
    """Source pixels; may reach beyond the ground."""
    shape: tuple[int, int]
    """(height, width), model pixels."""

    def shows(self, piece: Piece) -> bool:
        """Return whether the middle of a crop of the same image lies in it."""
        row, col = _middle(piece)
        within = self.window
        return within.row_off <= row < within.row_stop and within.col_off <= col < within.col_stop


class TileDataset(Shown):
    """Tiles as pairs of normalised pixels and labels, see `Shown`; labels beyond the ground are 255.

    Parameters
    ----------
    tiles : sequence of Tile
        One per item.
    classes : int
        Number of classes in the masks.
    normalisation : Normalisation
        How the network wants its input.
    lookup : ndarray of uint8, shape (256,), or None
        The label to show for each id in the masks; None: the id itself.
    """

    def __init__(
        self, tiles: Sequence[Tile], *, classes: int, normalisation: Normalisation,
        lookup: NDArray[np.uint8] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(normalisation, lookup)
        self._tiles = tuple(tiles)
        self._classes = classes

    def __len__(self) -> int:
        return len(self._tiles)

    @property
    def windows(self) -> list[Window]:
        """What the tiles show, source pixels."""
        return [tile.window for tile in self._tiles]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        tile = self._tiles[index]
        window, bounds = tile.window, tile.ground.bounds
        pixels, labels = tile.ground.read(window, self._classes)
        rows, cols = np.arange(window.row_off, window.row_stop), np.arange(window.col_off, window.col_stop)
        labels[(rows < bounds.row_off) | (rows >= bounds.row_stop)] = NO_LABEL
        labels[:, (cols < bounds.col_off) | (cols >= bounds.col_stop)] = NO_LABEL
        return self.tensors(resized(pixels, tile.shape), nearest(labels, tile.shape))


def choose_tiles(
    crops: Sequence[Crop], tiling: Tiling, balance_px: float, *, most_px: float = np.inf, seed: int = 0
) -> list[Tile]:
    """Return tiles that show crops, of as many images as can be, until all crops are shown or the area is enough.

    A tile is as large as one of a whole image of the crop's ground. Where the ground has gaps there, it is the crop.

    Parameters
    ----------
    crops : sequence of Crop
        What is to be seen.
    tiling : Tiling
        How images are cut.
    balance_px : float
        What the network says of the cost of tiles, see `tiler.grid.fit.fit_tile`.
    most_px : float
        No tile is added to tiles of this area or more, model pixels.
    seed : int
        Says which crops come first.
    """
    chosen: dict[int, list[Tile]] = defaultdict(list)
    left = most_px
    for crop in _in_turns(crops, seed):
        if left <= 0:
            break
        tiles = chosen[id(crop.ground)]
        if not any(tile.shows(crop.piece) for tile in tiles):
            tiles.append(_tile_around(crop, tiling, balance_px))
            left -= tiles[-1].shape[0] * tiles[-1].shape[1]
    return [tile for tiles in chosen.values() for tile in tiles]


def _in_turns(crops: Sequence[Crop], seed: int) -> Iterator[Crop]:
    """Yield a crop of each image in turn, images and crops in an order by chance."""
    images: dict[int, list[Crop]] = defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(crops)):
        images[id(crops[index].ground)].append(crops[index])
    while images:
        for key in [*images]:
            yield images[key].pop()
            if not images[key]:
                del images[key]


def _tile_around(crop: Crop, tiling: Tiling, balance_px: float) -> Tile:
    piece, bounds = crop.piece, crop.ground.bounds
    scale = tiling.input_px / piece.side
    height, width = tiling.tile_for(model_shape_of((bounds.height, bounds.width), scale), balance_px)
    rows, cols = round(height / scale), round(width / scale)
    row, col = _middle(piece)
    window = Window(
        kept(row - rows // 2, rows, bounds.row_off, bounds.row_stop),
        kept(col - cols // 2, cols, bounds.col_off, bounds.col_stop),
        rows,
        cols,
    )
    if crop.ground.holds(window):
        return Tile(crop.ground, window, (height, width))
    itself = Window(piece.window.row_off, piece.window.col_off, piece.side, piece.side)
    return Tile(Ground([piece]), itself, (tiling.input_px, tiling.input_px))


def _middle(piece: Piece) -> tuple[int, int]:
    return piece.window.row_off + piece.window.height // 2, piece.window.col_off + piece.window.width // 2


@dataclass(frozen=True, slots=True)
class FoundTile:
    """Which tiles a network labels best by: those that suit each image, or squares as it was trained on.

    Large tiles meet along few lines, and each shows more of what lies around. But a network that saw crops of one size
    may label better by squares of that size. One training ends so and the next one otherwise (benchmarks/README.md).
    """

    squares: TileSize
    """Squares of the size of its training crops."""
    gain: Gain
    """What squares bring, each judged alone, beside tiles that suit each image."""

    @classmethod
    def judged(cls, input_px: int, before: Metrics, after: Metrics) -> FoundTile:
        """Return what follows from the scores by tiles that suit each image, and by squares of a side."""
        return cls(TileSize((input_px, input_px)), Gain.between(before, after))

    @property
    def tile(self) -> TileSize:
        """The tile that the network is to be shown."""
        return self.squares if self.gain.total > LEAST_GAIN else AUTO

    def __str__(self) -> str:
        chosen = "the squares" if self.tile == self.squares else "tiles chosen for each image"
        compared = f"by squares of {self.squares} px, not tiles chosen for each image, {self.gain}"
        return f"{compared}; the model asks for {chosen}"
