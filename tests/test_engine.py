"""The CPU engine gives each tile the same logits whatever else is in the batch; the batcher mixes images."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import SegformerForSemanticSegmentation

from segment.batcher import Batcher
from segment.errors import DeviceError, EngineError
from segment.torch_engine import TorchEngine
from tests.models import checkpoint, checkpoint_folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    return TorchEngine(checkpoint(tmp_path_factory.mktemp("model")), device="cpu")


def random_tiles(count: int, side: int = 128) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path)
    tiles = random_tiles(2)
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    pixels = (tiles.astype(np.float32) / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.inference_mode():
        network = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
        expected = network(pixel_values=torch.from_numpy(pixels)).logits.numpy()
    found = TorchEngine(checkpoint(tmp_path / "again"), device="cpu")(tiles)
    assert found.shape == (2, 24, 32, 32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16])
def test_logits_are_the_same_bits_in_any_batch(engine: TorchEngine, batch: int) -> None:
    tiles = random_tiles(16)
    alone = np.concatenate([engine(tile[np.newaxis]) for tile in tiles])
    mixed = np.concatenate([engine(tiles[start : start + batch]) for start in range(0, 16, batch)])
    np.testing.assert_array_equal(mixed, alone)


def test_logits_are_the_same_bits_beside_any_neighbour(engine: TorchEngine) -> None:
    tiles = random_tiles(9)
    for neighbour in tiles[1:]:
        np.testing.assert_array_equal(engine(np.stack([tiles[0], neighbour]))[0], engine(tiles[:1])[0])
        np.testing.assert_array_equal(engine(np.stack([neighbour, tiles[0]]))[1], engine(tiles[:1])[0])


def test_bf16_on_the_cpu_stays_near_fp32(tmp_path: Path) -> None:
    model, tiles = checkpoint(tmp_path), random_tiles(2)
    exact = TorchEngine(model, device="cpu", precision="fp32")(tiles)
    half = TorchEngine(model, device="cpu", precision="bf16")(tiles)
    assert (half != exact).any()
    assert np.abs(half - exact).max() < 0.1 * np.ptp(exact)


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("gpu", "auto", "expected auto, cpu, cuda or cuda:N"),
        ("meta", "auto", "expected auto, cpu, cuda or cuda:N"),
        ("cuda:99", "auto", "usable CUDA devices"),
        ("cpu", "fp16", "fp16 needs a CUDA device"),
    ],
)
def test_impossible_devices_are_refused(tmp_path: Path, device: str, precision: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        TorchEngine(checkpoint(tmp_path), device=device, precision=precision)  # type: ignore[arg-type]


@pytest.mark.gpu
def test_cuda_labels_are_near_those_of_the_cpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, tiles = checkpoint(tmp_path, size="b0"), random_tiles(5, side=512)
    cpu = TorchEngine(model, device="cpu")(tiles).argmax(axis=1)
    cuda = TorchEngine(model, device="cuda")(tiles).float().cpu().numpy().argmax(axis=1)
    assert (cpu == cuda).mean() > 0.98


class Recorder:
    """An engine that remembers its batches, and fails as it is told."""

    name = "recorder"

    def __init__(self, *, most: int = 99, error: Exception | None = None) -> None:
        self.batches: list[int] = []
        self.most = most
        self.error = error

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(tiles))
        if self.error:
            raise self.error
        if len(tiles) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return tiles[:, :1, ::4, ::4].astype(np.float32)


def test_every_tile_gets_its_own_logits_back() -> None:
    tiles = random_tiles(23, side=64)
    with Batcher(Recorder(), 4) as batcher:
        futures = [batcher.submit(tile) for tile in tiles]
        for tile, future in zip(tiles, futures, strict=True):
            np.testing.assert_array_equal(future.result(), tile[:1, ::4, ::4])


def test_batches_are_filled_from_whoever_submits() -> None:
    engine = Recorder()
    with Batcher(engine, 8) as batcher:
        threads = [threading.Thread(target=batcher.submit, args=(tile,)) for tile in random_tiles(16, side=64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        batcher.submit(random_tiles(1, side=64)[0]).result()
    assert sum(engine.batches) == 17
    assert max(engine.batches) == 8


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_running_out_of_memory_halves_the_batch_for_good(most: int) -> None:
    engine, tiles = Recorder(most=most), random_tiles(32, side=64)
    with Batcher(engine, 8) as batcher:
        futures = [batcher.submit(tile) for tile in tiles]
        for tile, future in zip(tiles, futures, strict=True):
            np.testing.assert_array_equal(future.result(), tile[:1, ::4, ::4])
        assert batcher.batch_size <= most
    too_big = [size for size in engine.batches if size > most]
    assert too_big == sorted(too_big, reverse=True)
    assert len(too_big) <= 3


def test_running_out_of_memory_with_one_tile_fails_that_tile() -> None:
    with Batcher(Recorder(most=0), 2) as batcher, pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        batcher.submit(random_tiles(1)[0]).result()


def test_an_engines_error_reaches_whoever_waits_and_the_batcher_goes_on() -> None:
    engine = Recorder(error=RuntimeError("kernel failed"))
    with Batcher(engine, 2) as batcher:
        with pytest.raises(RuntimeError, match="kernel failed"):
            batcher.submit(random_tiles(1)[0]).result()
        engine.error = None
        assert batcher.submit(random_tiles(1)[0]).result().shape == (1, 32, 32)


class Talkative(Recorder):
    """Answers with more logits than there were tiles."""

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().__call__(np.repeat(tiles, 2, axis=0))


def test_an_engine_that_does_not_answer_tile_for_tile_fails_the_batch() -> None:
    with Batcher(Talkative(), 2) as batcher:
        for _ in range(2):
            with pytest.raises(EngineError, match="1 tiles in, logits of 2 out"):
                batcher.submit(random_tiles(1)[0]).result(timeout=10)


def test_a_closed_batcher_cancels_what_waits() -> None:
    batcher = Batcher(Recorder(), 2)
    batcher.close()
    with pytest.raises(CancelledError):
        batcher.submit(random_tiles(1)[0]).result(timeout=10)
