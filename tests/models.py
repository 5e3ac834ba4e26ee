"""Checkpoints and engines that the tests make; a test that asks for one is skipped where PyTorch is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from segment.engine.contract import Engine
from segment.model.checkpoint import Checkpoint, describe_checkpoint, load_checkpoint, weights_digest
from segment.model.presets import Size, write_untrained
from segment.run.cores import share_cores
from segment.run.local import LocalWorkers
from segment.run.model import OpenModel
from segment.run.runner import Runner
from tiler.classes import ClassTable, distinct_colours
from tiler.grid.parts import Span
from tiler.grid.tiles import LOGITS_STRIDE, Grid
from tiler.grid.tiling import Tiling
from tiler.stitch.stitcher import Stitcher

if TYPE_CHECKING:
    from segment.engine.torch_engine import TorchEngine

NEEDS_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
"""Marks a test that runs a network which it does not make itself: `.ci/newest` has no PyTorch."""


def _need_torch() -> None:
    pytest.importorskip("torch", reason="needs PyTorch")


def class_table(count: int) -> ClassTable:
    """Return a table of so many classes."""
    return ClassTable(tuple(f"class {index}" for index in range(count)), distinct_colours(count))


def checkpoint_folder(folder: Path, *, classes: int = 24, tiling: Tiling | None = None, size: Size = "nano") -> Path:
    """Write an untrained checkpoint and return its folder."""
    _need_torch()
    write_untrained(folder, class_table(classes), tiling or Tiling(), preset=size)
    return folder


def overflowing(model: Path, folder: Path) -> Path:
    """Write a checkpoint of the same function as `model` (nano), whose values pass the range of float16 on the way.

    The values of its last attention are 2 ** 16 times as large, and what follows takes as much back. So in float32
    every logit has the same bits, in bfloat16 it is as near as ever, and in float16 it is no number.
    """
    _need_torch()
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    weights = load_file(model / "model.safetensors")
    attention = "segformer.encoder.block.3.0.attention."
    for name in ("self.value.weight", "self.value.bias"):
        weights[attention + name] *= 2**16
    weights[attention + "output.dense.weight"] /= 2**16
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def checkpoint(folder: Path, *, classes: int = 24, size: Size = "nano") -> Checkpoint:
    """Write and load an untrained checkpoint."""
    return load_checkpoint(describe_checkpoint(str(checkpoint_folder(folder, classes=classes, size=size))))


def torch_engine(model: Checkpoint, **options: Any) -> TorchEngine:
    """Return PyTorch's engine for a checkpoint."""
    from segment.engine.torch_engine import TorchEngine
    from segment.model.segmenter import load_segmenter

    description = model.description
    return TorchEngine(
        lambda: load_segmenter(description, weights_digest(description)), len(description.classes), **options
    )


class MeanEngine:
    """A network without weights: cell (y, x) votes for the class that its mean red level says.

    Each cell sees its own 4 x 4 pixels alone, so the answer cannot depend on the tiling.
    """

    name = "mean"

    def __init__(self, classes: int = 4) -> None:
        self.classes = classes
        self.batches: list[int] = []

    def __call__(self, tiles: NDArray[Any]) -> NDArray[np.float32]:
        """Return the negative distance of each cell's mean red to each class's level, (N, C, h / 4, w / 4)."""
        self.batches.append(len(tiles))
        count, _, height, width = tiles.shape
        rows, cols = height // LOGITS_STRIDE, width // LOGITS_STRIDE
        red = tiles[:, 0].reshape(count, rows, LOGITS_STRIDE, cols, LOGITS_STRIDE).mean(axis=(2, 4))
        levels = np.linspace(0, 255, self.classes)[:, np.newaxis, np.newaxis]
        logits: NDArray[np.float32] = -np.abs(red[:, np.newaxis] - levels).astype(np.float32)
        return logits

    def begin(self, tiles: Sequence[NDArray[np.uint8]]) -> Callable[[], NDArray[np.float32]]:
        """Compute the logits of a batch at once."""
        logits = self(np.stack(tiles))
        return lambda: logits


class TileEngine(MeanEngine):
    """A network whose answer depends on the tile: to the red level of a cell it adds that of the whole tile."""

    name = "tile"

    def __call__(self, tiles: NDArray[Any]) -> NDArray[np.float32]:
        """Return the logits of `MeanEngine` for tiles of that red level."""
        of_tile = tiles[:, :1].mean(axis=(2, 3), keepdims=True)
        return super().__call__((0.5 * tiles[:, :1] + 0.5 * of_tile).astype(np.float32))


class Classifier(Protocol):
    """A network that says how many classes it has."""

    name: str
    classes: int

    def begin(self, tiles: Sequence[NDArray[np.uint8]]) -> Callable[[], Any]:
        """Return what waits for logits, (N, C, h / 4, w / 4)."""


class BatchEngine:
    """An engine around anything that takes whole batches of tiles."""

    def __init__(self, network: Classifier, batch_size: int = 4) -> None:
        _need_torch()
        from segment.engine.batcher import Batcher

        self.classes = network.classes
        self.name = network.name
        self._batch_size = batch_size
        self._batcher = Batcher(network, batch_size)

    def submit(self, pixels: NDArray[np.uint8]) -> Future[Any]:
        """Hand in one tile."""
        return self._batcher.submit(pixels)

    def tiles_ahead(self, shape: tuple[int, int]) -> int:
        """Return the tiles of two batches."""
        return 2 * self._batch_size

    def stitcher(
        self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None
    ) -> Stitcher:
        """Return what blends and labels one image."""
        return Stitcher(grid, self.classes, confidence=confidence, disagreement=disagreement, span=span)

    def close(self) -> None:
        """Cancel what waits."""
        self._batcher.close()


def model_of(engine: Engine | MeanEngine, *, batch_size: int = 4, digest: str = "0" * 32) -> OpenModel:
    """Return a model around an engine, or a network that takes whole batches, that needs no checkpoint."""
    if isinstance(engine, MeanEngine):
        engine = BatchEngine(engine, batch_size)
    return OpenModel("made by a test", digest, class_table(engine.classes), engine, share_cores())


def runner_of(engine: Engine | MeanEngine, *, batch_size: int = 4, digest: str = "0" * 32) -> Runner:
    """Return a runner for a model around an engine, see `model_of`."""
    return Runner(LocalWorkers(model_of(engine, batch_size=batch_size, digest=digest)))
