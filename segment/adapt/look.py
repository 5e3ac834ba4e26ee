"""What the batch norm of a decode head sees in a survey: mean and variance over tiles as `segment` cuts them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.model.checkpoint import Checkpoint
from segment.model.network import Normalised
from segment.model.segmenter import Stock
from segment.plan.request import Request
from segment.plan.sample import MOST_PIXELS, part_to_try, places, spread
from segment.plan.survey import ImagePlan
from tiler.errors import TilerError
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile
from tiler.source.image import ImageReader, open_image
from tiler.source.raster import gdal_environment
from tiler.source.tiles import read_tiles, sampled, shape_inside

_MOST, _EACH = 256, 4
"""So many squares of the size that the network was trained at are looked at in all, and of each image where there are
many."""
_OF_PART = 8
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Moments:
    """Mean and variance of what passed by, per channel."""

    channels: int
    """How many there are."""
    images: int = 0
    """Images that were looked at."""
    cells: int = 0
    """Cells of the logits grid that show a valid pixel."""
    _sum: Tensor = field(init=False)
    _squares: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._sum, self._squares = torch.zeros(2, self.channels, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Take in features of shape (channels, cells)."""
        found = features.double()
        self.cells += found.shape[1]
        self._sum += found.sum(dim=1).cpu()
        self._squares += found.square().sum(dim=1).cpu()

    @property
    def mean(self) -> Tensor:
        """Mean, float64 of shape (channels,)."""
        return self._sum / self.cells

    @property
    def variance(self) -> Tensor:
        """Variance, float64 of shape (channels,)."""
        return (self._squares / self.cells - self.mean.square()).clamp(min=0)


@torch.inference_mode()
def look(
    checkpoint: Checkpoint,
    images: Sequence[ImagePlan],
    request: Request,
    device: torch.device,
    advance: Callable[[int, int], None],
) -> Moments:
    """Return what the batch norm sees in images, or in some that are evenly spread over them where there are many.

    An image that cannot be read costs a warning.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    images : sequence of ImagePlan
        The survey.
    request : Request
        How its images are read.
    device : torch.device
        Where the network runs.
    advance : callable
        Called with (images done, images in all).
    """
    stock: Any = checkpoint.network.to(device)
    network = Normalised(Stock(stock), checkpoint.description.normalisation).to(device).eval()
    norm = stock.decode_head.batch_norm
    found, features = Moments(norm.num_features), []
    hook = norm.register_forward_pre_hook(lambda _, given: features.append(given[0][0]))
    side = request.tiling.input_px
    each = max(_EACH, _MOST // max(len(images), 1))
    chosen = spread(len(images), math.ceil(_MOST / _EACH))
    with gdal_environment():
        for done, index in enumerate(chosen):
            advance(done, len(chosen))
            try:
                for image, grid, tile, pixels in _tiles(images[index], request, each * side**2):
                    network(torch.from_numpy(np.ascontiguousarray(pixels[np.newaxis])).to(device))
                    found.add(_of_image(features.pop(), image, grid, tile))
            except TilerError as error:
                _log.warning("passed over: %s", error)
            else:
                found.images += 1
    hook.remove()
    return found


def _tiles(
    image: ImagePlan, request: Request, most_px: int
) -> Iterator[tuple[ImageReader, Grid, Tile, NDArray[np.uint8]]]:
    """Yield tiles of an image, evenly spread over it, that hold about so many model pixels together."""
    tiles = max(most_px // math.prod(image.grid.tile_shape), 1)
    if image.pixels <= MOST_PIXELS:
        pieces, of_piece = [image], tiles
    else:
        some = islice(places(), math.ceil(tiles / _OF_PART) if image.random_access else 1)
        pieces = [part_to_try(image, place, _OF_PART, request.tiling) for place in some]
        of_piece = _OF_PART
    for piece in pieces:
        wanted = set(spread(len(piece.grid), of_piece))
        reading, limits = request.reading, request.limits
        with open_image(
            piece.found.path, channels=reading.channels, value_range=reading.value_range, limits=limits,
            within=piece.within,
        ) as reader:  # fmt: skip
            for number, (tile, pixels) in enumerate(read_tiles(reader, piece.grid)):
                if number in wanted and pixels is not None:
                    yield reader, piece.grid, tile, pixels


def _of_image(features: Tensor, image: ImageReader, grid: Grid, tile: Tile) -> Tensor:
    """Return the features, shape (channels, cells), of those cells of a tile that lie on valid pixels of the image."""
    height, width = (max(length // LOGITS_STRIDE, 1) for length in shape_inside(grid, tile))
    inside = features[:, :height, :width].flatten(1)
    if not image.maybe_invalid:
        return inside
    valid = sampled(image.valid(grid.source_window(tile.window)), height, width)
    return inside[:, torch.from_numpy(valid.ravel()).to(inside.device)]
