"""The CPU engine gives each tile the same logits whatever else is in the batch; the batcher mixes images."""

from __future__ import annotations

import json
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import SegformerForSemanticSegmentation

from segment.engine.batcher import Batcher
from segment.engine.choose import has_cuda
from segment.engine.device import placed
from segment.engine.torch_engine import TorchEngine, _Watched
from segment.errors import DeviceError, DeviceLostError, DeviceMemoryError, EngineError
from segment.model.config import Normalisation
from segment.model.network import Normalised
from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.record.manifest import MANIFEST
from tests.grids import squares
from tests.models import MeanEngine, checkpoint, checkpoint_folder, runner_of, torch_engine
from tiler.files.walk import walk_survey
from tiler.grid.tiles import Tile
from tiler.grid.window import Window
from tiler.stitch.upsample import MaskRows


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    return torch_engine(checkpoint(tmp_path_factory.mktemp("model")), device="cpu")


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
    found = torch_engine(checkpoint(tmp_path / "again"), device="cpu")(tiles)
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
    exact = torch_engine(model, device="cpu", precision="fp32")(tiles)
    half = torch_engine(model, device="cpu", precision="bf16")(tiles)
    assert (half != exact).any()
    assert np.abs(half - exact).max() < 0.1 * np.ptp(exact)


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("gpu", "auto", "expected auto, cpu, cuda or cuda:N"),
        ("meta", "auto", "expected auto, cpu, cuda or cuda:N"),
        ("cuda:99", "auto", r"has \d+ usable CUDA devices; use --device auto"),
        ("cpu", "fp16", "fp16 needs a CUDA device"),
        ("cpu", "tf32", "tf32 needs a CUDA device"),
    ],
)
def test_impossible_devices_are_refused(tmp_path: Path, device: str, precision: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        torch_engine(checkpoint(tmp_path), device=device, precision=precision)


@pytest.mark.gpu
def test_cuda_labels_are_near_those_of_the_cpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, tiles = checkpoint(tmp_path, size="b0"), random_tiles(5, side=512)
    cpu = torch_engine(model, device="cpu")(tiles).argmax(axis=1)
    cuda = torch_engine(model, device="cuda")(tiles).float().cpu().numpy().argmax(axis=1)
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
            raise DeviceMemoryError("out of memory")
        return tiles[:, :1, ::4, ::4].astype(np.float32)

    def begin(self, tiles: Sequence[NDArray[np.uint8]]) -> Callable[[], NDArray[np.float32]]:
        logits = self(np.stack(tiles))
        return lambda: logits


def test_every_tile_gets_its_own_logits_back() -> None:
    tiles = random_tiles(23, side=64)
    with Batcher(Recorder(), 4) as batcher:
        futures = [batcher.submit(tile) for tile in tiles]
        for tile, future in zip(tiles, futures, strict=True):
            np.testing.assert_array_equal(future.result(), tile[:1, ::4, ::4])


def test_batches_are_filled_from_whoever_submits() -> None:
    engine = Shy()
    with Batcher(engine, 8) as batcher:
        threads = [threading.Thread(target=batcher.submit, args=(tile,)) for tile in random_tiles(16, side=64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.told.set()
        batcher.submit(random_tiles(1, side=64)[0]).result()
    assert sum(engine.batches) == 17
    assert max(engine.batches) == 8


class Shy(Recorder):
    """A network that starts its first batch only when a test says so, and remembers the shapes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.told.wait(60)
        self.shapes.append((len(tiles), tiles.shape[-1]))
        return super().__call__(tiles)


def test_a_batch_holds_one_shape_and_tiles_between_do_not_break_it_up() -> None:
    network = Shy()
    with Batcher(network, 4) as batcher:
        first = batcher.submit(random_tiles(1)[0])
        while batcher._queue.qsize():  # the batch of the first tile is under way when the others come
            time.sleep(0.001)
        time.sleep(0.05)
        tiles = [random_tiles(1, side=side)[0] for side in (64, 96, 64, 96, 64, 96, 64, 64)]
        futures = [batcher.submit(tile) for tile in tiles]
        network.told.set()
        assert first.result().shape == (1, 32, 32)
        for tile, future in zip(tiles, futures, strict=True):
            np.testing.assert_array_equal(future.result(), tile[:1, ::4, ::4])
    assert network.shapes == [(1, 128), (4, 64), (3, 96), (1, 64)]


def test_no_shape_waits_for_ever_while_another_keeps_coming() -> None:
    network = Recorder()
    with Batcher(network, 2) as batcher:
        rare = batcher.submit(random_tiles(1, side=96)[0])
        common = deque(batcher.submit(tile) for tile in random_tiles(4, side=64))
        for _ in range(20):
            common.append(batcher.submit(random_tiles(1, side=64)[0]))
            common.popleft().result()
        assert rare.done()
    assert rare.result().shape == (1, 24, 24)


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
    with Batcher(Recorder(most=0), 2) as batcher, pytest.raises(DeviceMemoryError, match="out of memory"):
        batcher.submit(random_tiles(1)[0]).result()


def test_the_smaller_batch_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with Batcher(Recorder(most=1), 16) as batcher:
        for future in [batcher.submit(tile) for tile in random_tiles(32, side=64)]:
            future.result()
    assert [record.getMessage() for record in caplog.records] == [
        "recorder: out of memory; batches are of 1 tiles from now on"
    ]


class Hoarder(Recorder):
    """A network that takes one tile at most. Each call counts a leak if memory of the call before is still held."""

    def __init__(self) -> None:
        super().__init__(most=1)
        self.held: weakref.ref[torch.Tensor] | None = None
        self.leaks = 0

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.leaks += self.held is not None and self.held() is not None
        activations = torch.zeros(9)
        self.held = weakref.ref(activations)
        return super().__call__(tiles)


def test_a_batch_is_tried_again_when_the_memory_of_the_failed_one_is_free() -> None:
    network = Hoarder()
    with Batcher(network, 8) as batcher:
        for future in [batcher.submit(tile) for tile in random_tiles(8, side=64)]:
            future.result()
    assert max(network.batches) > 1
    assert network.leaks == 0


class Slow(Recorder):
    """A network that begins at once, and finishes a batch when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Semaphore(0)

    def has_begun(self, count: int) -> bool:
        return len(self.batches) == count

    def begin(self, tiles: Sequence[NDArray[np.uint8]]) -> Callable[[], NDArray[np.float32]]:
        logits = self(np.stack(tiles))

        def finish() -> NDArray[np.float32]:
            self.told.acquire(timeout=60)
            return logits

        return finish


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, and a moment longer."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)


def test_two_batches_are_under_way_and_tiles_gather_meanwhile() -> None:
    network = Slow()
    with Batcher(network, 4) as batcher:
        futures = []
        for count in (1, 1, 1, 5):  # two tiles begin alone; the other six gather
            futures += [batcher.submit(tile) for tile in random_tiles(count, side=64)]
            until(partial(network.has_begun, min(len(futures), 2)))
        assert network.batches == [1, 1]
        network.told.release()
        until(partial(network.has_begun, 3))
        assert network.batches == [1, 1, 4]
        assert [future.done() for future in futures[:2]] == [True, False]
        network.told.release(9)
        for future in futures:
            future.result(60)
    assert network.batches == [1, 1, 4, 2]


def test_memory_that_is_short_only_at_the_end_halves_the_batch_too() -> None:
    class Late(Recorder):
        def begin(self, tiles: Sequence[NDArray[np.uint8]]) -> Callable[[], NDArray[np.float32]]:
            return lambda: self(np.stack(tiles))

    network, tiles = Late(most=2), random_tiles(16, side=64)
    with Batcher(network, 8) as batcher:
        futures = [batcher.submit(tile) for tile in tiles]
        for tile, future in zip(tiles, futures, strict=True):
            np.testing.assert_array_equal(future.result(60), tile[:1, ::4, ::4])
    assert batcher.batch_size == 2


def test_batches_of_large_tiles_are_smaller() -> None:
    network = Shy()
    with Batcher(network, 8, most_px=2 * 128 * 128) as batcher:
        futures = [batcher.submit(tile) for side in (64, 128, 256) for tile in random_tiles(9, side=side)]
        network.told.set()
        for future in futures:
            future.result(60)
    assert max(count for count, side in network.shapes if side == 64) == 8
    assert max(count for count, side in network.shapes if side == 128) == 2
    assert {count for count, side in network.shapes if side == 256} == {1}


class Bright(torch.nn.Module):
    """A network whose logits of bright cells are beyond the range of fp16."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor([[[1000.0]], [[-1000.0]]]), requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels[:, :1, ::4, ::4] * self.factor


def plain(network: torch.nn.Module) -> Normalised:
    """Return a network that sees samples as they are."""
    return Normalised(network, Normalisation(rescale=1, mean=(0, 0, 0), std=(1, 1, 1)))


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU compute in fp16, as only CUDA does otherwise."""
    monkeypatch.setattr(
        "segment.engine.torch_engine.choose_precision",
        lambda device, asked: "fp16" if asked in {"auto", "fp16"} else asked,
    )


@pytest.mark.usefixtures("half")
def test_a_batch_that_fp16_does_not_hold_is_computed_again_in_bf16(caplog: pytest.LogCaptureFixture) -> None:
    engine = TorchEngine(lambda: plain(Bright()), 2, device="cpu", precision="fp16")
    with closing(engine):
        for value in (33, 100, 33, 200, 33):
            logits = engine(np.full((3, 3, 64, 64), value, np.uint8))
            rounded = np.asarray(
                torch.tensor(value * 1000.0).to(torch.bfloat16 if value > 65 else torch.float16).float()
            )
            np.testing.assert_array_equal(logits[:, 0], rounded)
            np.testing.assert_array_equal(logits[:, 1], -rounded)
    assert engine.name == "torch cpu fp16"
    assert [record.getMessage() for record in caplog.records] == [
        "some logits in fp16 are not finite; batches with such are computed again in bf16"
    ]


@pytest.mark.usefixtures("half")
def test_a_network_that_fp16_does_not_hold_at_all_computes_in_bf16(caplog: pytest.LogCaptureFixture) -> None:
    with closing(TorchEngine(lambda: plain(Bright()), 2, device="cpu")) as engine:
        assert engine.name == "torch cpu bf16"
    assert [record.getMessage() for record in caplog.records] == [
        "the network's numbers are too large for fp16, so it computes in bf16"
    ]


def test_logits_that_no_precision_holds_reach_the_stitcher_which_names_the_tile() -> None:
    class Nothing(Bright):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return super().forward(pixels) * float("nan")

    with closing(TorchEngine(lambda: plain(Nothing()), 2, device="cpu")) as engine:
        assert np.isnan(engine(random_tiles(2, side=64))).all()


def test_fp32_on_cuda_is_exact_and_tf32_is_asked_for() -> None:
    for precision, rounded in (("tf32", True), ("fp32", False), ("tf32", True), ("fp16", False)):
        placed(plain(torch.nn.Conv2d(3, 3, 1)), torch.device("cpu"), precision)  # type: ignore[arg-type]
        assert torch.backends.cudnn.allow_tf32 is rounded
        assert torch.backends.cuda.matmul.allow_tf32 is rounded


SHORT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacity of 8.00 GiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
LOST = [
    RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported asynchronously"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
]
if hasattr(torch, "AcceleratorError"):  # since PyTorch 2.8
    SHORT_OF_MEMORY.append(torch.AcceleratorError("CUDA error: out of memory"))
    LOST.append(torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], TorchEngine]:
    """Return what makes an engine whose network raises an error."""

    def make(error: Exception) -> TorchEngine:
        def fail(batch: torch.Tensor) -> torch.Tensor:
            raise error

        engine = torch_engine(checkpoint(tmp_path), device="cpu", batch_size=4)
        monkeypatch.setattr(engine, "_network", fail)
        return engine

    return make


@pytest.mark.parametrize("error", SHORT_OF_MEMORY, ids=str)
def test_too_little_memory_names_the_device_and_the_way_out(
    failing: Callable[[Exception], TorchEngine], error: Exception
) -> None:
    with closing(failing(error)) as engine, pytest.raises(DeviceMemoryError) as caught:
        engine.submit(random_tiles(1)[0]).result()
    assert re.fullmatch(
        r"cpu: CUDA.*(memory|GiB|handle\)`); smaller tiles \(--input\) need less memory, or use --device cpu",
        str(caught.value),
    )


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_device_is_named(failing: Callable[[Exception], TorchEngine], error: Exception) -> None:
    with closing(failing(error)) as engine, pytest.raises(DeviceLostError) as caught:
        engine.submit(random_tiles(1)[0]).result()
    assert str(caught.value).startswith(f"cpu is lost and the run ends here: {str(error).splitlines()[0]}; see to the")


def test_other_errors_of_a_network_stay_as_they_are(failing: Callable[[Exception], TorchEngine]) -> None:
    with closing(failing(RuntimeError("shapes do not fit"))) as engine, pytest.raises(RuntimeError, match=r"^shapes"):
        engine.submit(random_tiles(1)[0]).result()


class Late:
    """A stitcher that learns of the device's fault when it is used, or only when its rows are drawn."""

    def __init__(self, error: Exception, *, drawn: bool) -> None:
        self.error, self.drawn = error, drawn

    def add(self, tile: Tile, logits: Any) -> Iterator[MaskRows]:
        if not self.drawn:
            raise self.error
        return self._rows()

    def skip(self, tile: Tile) -> Iterator[MaskRows]:
        return self.add(tile, None)

    def _rows(self) -> Iterator[MaskRows]:
        yield MaskRows(np.zeros((1, 1), np.uint8), None)
        raise self.error


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("method", ["add", "skip"])
@pytest.mark.parametrize(
    ("error", "expected"), [(SHORT_OF_MEMORY[0], DeviceMemoryError), (LOST[0], DeviceLostError)], ids=["memory", "lost"]
)
def test_what_fails_while_stitching_names_the_device(
    drawn: bool, method: str, error: Exception, expected: type[Exception]
) -> None:
    tile = Tile(0, 0, Window(0, 0, 64, 64))
    stitcher = _Watched(Late(error, drawn=drawn), torch.device("cuda", 1))
    with pytest.raises(expected, match=r"^cuda:1"):
        list(stitcher.skip(tile) if method == "skip" else stitcher.add(tile, None))


def test_a_model_too_large_for_the_device_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = checkpoint(tmp_path)

    def fail(module: torch.nn.Module, *arguments: object) -> torch.nn.Module:
        raise SHORT_OF_MEMORY[0]

    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(DeviceMemoryError, match=r"cpu: CUDA out of memory\. Tried to allocate 9\.00 GiB; smaller"):
        torch_engine(model, device="cpu")


class Losing(MeanEngine):
    """A network that answers for three tiles, and loses its device once a test says that they are recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = threading.Event()

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(self.batches) >= 3:
            self.recorded.wait(60)
            raise DeviceLostError("cuda:0 is lost")
        return super().__call__(tiles)


def test_a_run_ends_when_its_device_is_lost_and_blames_no_image(tmp_path: Path) -> None:
    (tmp_path / "survey").mkdir()
    for index in range(30):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / f"survey/{index}.png")
    request = Request(tiling=squares(64, 64), out=tmp_path / "out")
    plan = plan_survey(walk_survey([tmp_path / "survey"], out=request.out), request)
    engine = Losing()
    run = runner_of(engine, batch_size=1).run(plan, request)
    outcomes = [next(run) for _ in range(3)]
    engine.recorded.set()
    with pytest.raises(DeviceLostError, match="cuda:0 is lost"):
        next(run)
    states = [json.loads(line)["state"] for line in (request.out / MANIFEST).read_text("utf-8").splitlines()]
    assert states == [outcome.state for outcome in outcomes] == ["done"] * 3
    assert len(list(request.out.glob("*_label.png"))) == 3
    assert not list(request.out.glob(".*"))


def test_a_driver_that_pytorch_cannot_use_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert not has_cuda()
    assert "PyTorch cannot use it, so the network runs on the CPU" in caplog.text


def test_an_engines_error_reaches_whoever_waits_and_the_batcher_goes_on() -> None:
    engine = Recorder(error=RuntimeError("kernel failed"))
    with Batcher(engine, 2) as batcher:
        with pytest.raises(RuntimeError, match="kernel failed"):
            batcher.submit(random_tiles(1)[0]).result()
        engine.error = None
        assert batcher.submit(random_tiles(1)[0]).result().shape == (1, 32, 32)


class Talkative(Recorder):
    """A network that returns the logits of more tiles than it got."""

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().__call__(np.repeat(tiles, 2, axis=0))


def test_an_engine_that_does_not_answer_tile_for_tile_fails_the_batch() -> None:
    with Batcher(Talkative(), 2) as batcher:
        for _ in range(2):
            with pytest.raises(EngineError, match="logits of 1 tiles expected, of 2 found"):
                batcher.submit(random_tiles(1)[0]).result(timeout=10)


def test_a_closed_batcher_cancels_what_waits() -> None:
    batcher = Batcher(Recorder(), 2)
    batcher.close()
    with pytest.raises(CancelledError):
        batcher.submit(random_tiles(1)[0]).result(timeout=10)
