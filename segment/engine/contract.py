"""What the pipeline needs of a network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiler.grid.parts import Span
from tiler.grid.tiles import Grid, Tile
from tiler.stitch.upsample import MaskRows

Tiles = NDArray[np.uint8]


class Stitcher(Protocol):
    """Turn the logits of one image's tiles into rows of its masks; tiles come in row-major order."""

    def add(self, tile: Tile, logits: Any) -> Iterator[MaskRows]:
        """Blend one tile in; yield the rows that it finished."""

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        """Leave one tile out; yield the rows that it finished."""


class Engine(Protocol):
    """A network on a device. Logits stay on the device; only the engine's own stitcher takes them."""

    classes: int
    """Number of classes C."""
    name: str
    """Engine, device and precision, for the log and the fingerprint."""

    def submit(self, pixels: Tiles) -> Future[Any]:
        """Hand in one tile, uint8 of shape (3, h, w); the future gives its logits, shape (C, h / 4, w / 4).

        Tiles may come in several shapes; h and w are multiples of 32, at least 64. The caller limits how many tiles
        wait. After `close` the future is cancelled, or the call raises RuntimeError.
        """

    def tiles_ahead(self, shape: tuple[int, int]) -> int:
        """Return how many tiles of a shape (h, w) of one image should wait at once, so that the network never does."""

    def stitcher(
        self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None
    ) -> Stitcher:
        """Return what blends and labels one image, or some source rows of it, from the first of `rows_of_tiles` on."""

    def close(self) -> None:
        """Finish the tiles that are being computed, cancel those that wait, and stop."""
