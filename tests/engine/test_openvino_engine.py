"""OpenVINO gives PyTorch's logits, keeps what it converted, and sends nothing."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from segment.engine import choose, convert, openvino_engine
from segment.engine.choose import open_engine
from segment.engine.contract import Engine
from segment.engine.openvino_engine import OpenVinoEngine
from segment.engine.request import EngineOptions
from segment.errors import DeviceError, EngineError
from segment.guard import signals
from segment.model.checkpoint import Checkpoint, weights_digest
from segment.model.network import Normalised
from segment.model.segmenter import Stock
from tests.models import checkpoint, torch_engine

SIDE = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"), size="mini")


def random_tiles(count: int, height: int = SIDE, width: int = SIDE) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8)


def opened(model: Checkpoint, *, precision: Any = "fp32", threads: int = 2) -> OpenVinoEngine:
    digest = weights_digest(model.description)
    return OpenVinoEngine(model.description, digest, threads=threads, precision=precision)


def logits(engine: OpenVinoEngine, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.stack([future.result() for future in [engine.submit(tile) for tile in tiles]])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 160), (416, 288)])
def test_logits_are_those_of_pytorch(model: Checkpoint, height: int, width: int) -> None:
    tiles = random_tiles(5, height, width)
    expected = torch_engine(model, device="cpu")(tiles)
    found = logits(opened(model), tiles)
    assert found.shape == (5, 24, height // 4, width // 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_tiles_of_any_shapes_may_be_mixed(model: Checkpoint) -> None:
    shapes = [(64, 64), (64, 96), (64, 64), (96, 64), (64, 96)] * 3 + [(128, 64), (64, 64)]
    tiles = [random_tiles(1, *shape)[0] for shape in shapes]
    alone, engine = opened(model, threads=1), opened(model, threads=4)
    expected = [alone.submit(tile).result() for tile in tiles]
    for future, logit in zip([engine.submit(tile) for tile in tiles], expected, strict=True):
        np.testing.assert_array_equal(future.result(), logit)


def test_memory_for_tiles_of_a_shape_is_given_back_when_another_follows(
    model: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(compiled: Any) -> None:
        given_back.append((compiled.tiles, compiled))
        give_back(compiled)

    given_back: list[tuple[int, Any]] = []
    give_back = openvino_engine._Compiled.give_back
    monkeypatch.setattr(openvino_engine._Compiled, "give_back", note)
    engine = opened(model, threads=1)
    logits(engine, random_tiles(3))
    assert given_back == []
    expected = logits(engine, random_tiles(3, 64, 96))
    small, wide = engine._compiled[64, 64], engine._compiled[64, 96]
    assert given_back == [(0, small)]
    engine.submit(random_tiles(1)[0]).result()
    assert given_back == [(0, small), (0, wide)]
    np.testing.assert_array_equal(logits(engine, random_tiles(3, 64, 96)), expected)


def test_nothing_is_compiled_before_the_first_tile(model: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(model)
    compiled: list[tuple[int, int]] = []

    def count(network: Any, height: int, width: int) -> Any:
        compiled.append((height, width))
        return for_shape(network, height, width)

    for_shape = convert.for_shape
    monkeypatch.setattr("segment.engine.openvino_engine.for_shape", count)
    engine = opened(model)
    assert compiled == []
    logits(engine, random_tiles(5))
    logits(engine, random_tiles(5, 64, 96))
    logits(engine, random_tiles(5))
    assert compiled == [(64, 64), (64, 96)]


def test_a_shape_that_does_not_compile_fails_its_tiles_and_no_others(
    model: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_wide(network: Any, height: int, width: int) -> Any:
        if width > 64:
            raise RuntimeError("as the binding says it")
        return for_shape(network, height, width)

    for_shape = convert.for_shape
    monkeypatch.setattr("segment.engine.openvino_engine.for_shape", refuse_wide)
    engine = opened(model)
    wide, square = engine.submit(random_tiles(1, 64, 96)[0]), engine.submit(random_tiles(1)[0])
    with pytest.raises(EngineError, match=r"cannot run the network on tiles of 64 x 96 px; --engine torch may: as the"):
        wide.result()
    assert square.result().shape == (24, 16, 16)


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("bf16", 0.98)])
def test_labels_of_random_weights_are_those_of_transformers(tmp_path: Path, precision: str, least: float) -> None:
    """An untrained network is the hardest case, because its margins are small everywhere."""
    model = checkpoint(tmp_path, size="b0")
    coarse = np.random.default_rng(2).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    pictures = [Image.fromarray(picture).resize((512, 512), Image.Resampling.BICUBIC) for picture in coarse]
    tiles = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
    with torch.inference_mode():
        expected = Normalised(Stock(model.network), model.description.normalisation)(torch.from_numpy(tiles)).argmax(1)
    try:
        engine = open_by(model, device="cpu", engine="openvino", precision=precision)
    except DeviceError:
        pytest.skip("this processor has no bf16")
    found = np.stack([future.result() for future in [engine.submit(tile) for tile in tiles]]).argmax(1)
    share = np.mean(found == expected.numpy())
    print(f"labels equal to those of transformers in fp32: {precision} {share:.4%}")
    assert share >= least


def test_bf16_stays_near_fp32(model: Checkpoint) -> None:
    try:
        half = opened(model, precision="bf16")
    except DeviceError:
        pytest.skip("this processor has no bf16")
    tiles = random_tiles(4)
    exact, rounded = logits(opened(model), tiles), logits(half, tiles)
    assert (rounded != exact).any()
    assert np.abs(rounded - exact).max() < 0.1 * np.ptp(exact)
    assert half.name == "openvino cpu bf16"


@pytest.mark.parametrize("threads", [1, 3])
def test_logits_are_the_same_bits_in_any_company(model: Checkpoint, threads: int) -> None:
    tiles = random_tiles(8)
    alone = np.concatenate([logits(opened(model), tile[np.newaxis]) for tile in tiles])
    np.testing.assert_array_equal(logits(opened(model, threads=threads), tiles), alone)


def test_logits_handed_out_are_not_written_over(model: Checkpoint) -> None:
    engine = opened(model, threads=1)
    first = engine.submit(random_tiles(1)[0]).result()
    kept = first.copy()
    logits(engine, random_tiles(6)[1:])
    np.testing.assert_array_equal(first, kept)


def test_a_view_of_a_strip_will_do(model: Checkpoint) -> None:
    strip = np.random.default_rng(1).integers(0, 256, (3, SIDE, 3 * SIDE), dtype=np.uint8)
    engine, view = opened(model), strip[:, :, 32 : 32 + SIDE]
    np.testing.assert_array_equal(engine.submit(view).result(), engine.submit(view.copy()).result())


def test_precision_auto_takes_bf16_where_the_processor_has_it(model: Checkpoint) -> None:
    capabilities = convert.openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    expected = "openvino cpu bf16" if "BF16" in capabilities else "openvino cpu fp32"
    assert opened(model, precision="auto").name == expected


def test_fp16_is_refused(model: Checkpoint) -> None:
    with pytest.raises(DeviceError, match="fp16 needs a CUDA device"):
        opened(model, precision="fp16")


def test_a_closed_engine_takes_no_more(model: Checkpoint) -> None:
    engine = opened(model, threads=1)
    waiting = [engine.submit(tile) for tile in random_tiles(64)]
    engine.close()
    assert any(future.cancelled() for future in waiting)
    with pytest.raises((RuntimeError, CancelledError)):
        engine.submit(random_tiles(1)[0]).result()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("converted again")


def test_a_network_is_converted_once(model: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = logits(opened(model), random_tiles(2))
    assert len(list(cache.rglob("model.xml"))) == 1
    monkeypatch.setattr(convert, "_convert", refuse)
    np.testing.assert_array_equal(logits(opened(model), random_tiles(2)), first)


def test_one_converted_network_serves_all_shapes(model: Checkpoint, cache: Path) -> None:
    engine = opened(model)
    for height, width in ((64, 64), (64, 128), (96, 64)):
        assert logits(engine, random_tiles(1, height, width)).shape == (1, 24, height // 4, width // 4)
    assert len(list(cache.rglob("model.xml"))) == 1


def test_other_weights_are_converted_anew(model: Checkpoint, cache: Path, tmp_path: Path) -> None:
    opened(model)
    other = checkpoint(tmp_path / "other", classes=5, size="mini")
    assert logits(opened(other), random_tiles(1)).shape[1] == 5
    assert len(list(cache.rglob("model.xml"))) == 2


def test_a_damaged_entry_is_made_again(model: Checkpoint, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = logits(opened(model), random_tiles(2))
    (kept,) = cache.rglob("model.xml")
    kept.write_bytes(kept.read_bytes()[:1000])
    np.testing.assert_array_equal(logits(opened(model), random_tiles(2)), first)
    assert "is damaged and made again" in caplog.text


def test_a_signal_while_an_entry_is_read_does_not_make_it_damaged(
    model: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting:
        def read_model(self, path: Path) -> None:
            signals._received.append(signals.Interrupted(signal.SIGTERM))
            raise RuntimeError("as the binding says it")

    opened(model)
    monkeypatch.setattr(signals, "_received", [])
    monkeypatch.setattr(convert, "openvino_core", Interrupting)
    with pytest.raises(signals.Interrupted, match="SIGTERM"):
        convert.converted(model.description, weights_digest(model.description))
    assert len(list(cache.rglob("model.xml"))) == 1


def test_a_cache_that_cannot_be_written_costs_only_time(
    model: Checkpoint, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be")
    assert logits(opened(model), random_tiles(1)).shape == (1, 24, 16, 16)
    assert "cannot be kept" in caplog.text


@pytest.mark.usefixtures("cache")
def test_no_folder_for_temporary_files_is_told(
    model: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(
        EngineError, match=r"in the folder for temporary files, which the variable TMPDIR names: .*none"
    ):
        opened(model)


def test_logits_that_differ_from_pytorchs_are_refused(
    model: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: Any, **options: Any) -> Any:
        other = copy.deepcopy(network)
        other.gain.mul_(1.1)
        return stock(other, **options)

    openvino = convert.load_openvino()
    stock = openvino.convert_model
    monkeypatch.setattr(openvino, "convert_model", wrong)
    with pytest.raises(
        EngineError, match=r"OpenVINO's logits differ from PyTorch's by .* of the largest; at most 0\.001 expected"
    ):
        opened(model)
    assert not list(cache.rglob("model.xml"))


def open_by(model: Checkpoint, **options: Any) -> Engine:
    return open_engine(model.description, weights_digest(model.description), EngineOptions(**options), threads=2)


def test_the_cpu_gets_openvino_unless_told(model: Checkpoint) -> None:
    assert open_by(model, device="cpu").name.startswith("openvino cpu")
    assert open_by(model, device="cpu", engine="torch").name == "torch cpu fp32"


def test_where_openvino_fails_pytorch_runs_and_the_log_says_so(
    model: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("segment.engine.openvino_engine.openvino_core", convert.openvino_core.__wrapped__)
    assert open_by(model, device="cpu").name == "torch cpu fp32"
    assert "OpenVINO cannot run this network" in caplog.text
    with pytest.raises(EngineError, match="does not load"):
        open_by(model, device="cpu", engine="openvino")


def test_without_a_driver_pytorch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "CUDA_DRIVER", "no-such-library.so")
    monkeypatch.setattr(torch.cuda, "is_available", refuse)
    assert not choose.has_cuda()


def test_openvino_cannot_report_its_use() -> None:
    script = (
        "import sys; from segment.engine.convert import load_openvino; load_openvino(); "
        "print([name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_all_engines_share_one_core_for_the_stack_of_signal_handlers_is_its_own() -> None:
    assert convert.openvino_core() is convert.openvino_core()


def test_a_converted_network_needs_no_pytorch(model: Checkpoint) -> None:
    opened(model)
    script = (
        "import sys; from segment.run.model import open_model; "
        "from segment.model.checkpoint import describe_checkpoint; "
        f"model = open_model(describe_checkpoint({str(model.description.folder)!r})); "
        "import numpy; logits = model.engine.submit(numpy.zeros((3, 64, 96), numpy.uint8)).result(); "
        "model.engine.close(); print(logits.shape, [name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "(24, 16, 24) []"


def test_where_memory_is_short_fewer_tiles_run_at_once_and_give_the_same_bits(
    model: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = random_tiles(4)
    expected = logits(opened(model, threads=3), tiles)
    tile_bytes = SIDE * SIDE * model.description.cost.bytes_px
    monkeypatch.setattr(openvino_engine, "memory_bytes", lambda: 2 * 2.5 * tile_bytes)
    np.testing.assert_array_equal(logits(opened(model, threads=3), tiles), expected)
    assert "so 2 of 3 cores run the network" in caplog.text
