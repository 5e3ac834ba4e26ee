"""A network is compiled once, kept, held against PyTorch's own, and left aside where anything is wrong with it."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segment.engine import compiled as module
from segment.engine.compile import _reason
from segment.engine.compiled import CompiledNetworks, Forward, Wanted
from segment.engine.device import noise
from segment.engine.request import EngineOptions, WhenToCompile
from segment.model.checkpoint import Checkpoint
from segment.model.kept import kept_folder
from tests.models import checkpoint

SHAPE = (64, 96)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture
def wanted(model: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    """Return what a test compiles, with a cache folder of its own."""
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "cache"))
    return Wanted(model.description.folder, "0" * 32, "cpu", "fp32")


def double(tiles: torch.Tensor) -> torch.Tensor:
    """Stand for a network as PyTorch runs it."""
    return tiles[:, :1, ::4, ::4].float() * 2


def serves(found: Forward | None) -> bool:
    """Return whether a compiled network was found, and gives what PyTorch's gives."""
    tiles = noise(*SHAPE, torch.device("cpu"))
    return found is not None and torch.equal(found(tiles), double(tiles))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Return what replaces the compiler's process and the loader of its packages, and lists the calls."""

    def replace(*, forward: Callable[[torch.Tensor], torch.Tensor] = double, writes: bool = True) -> list[Any]:
        calls: list[Any] = []

        def run(self: CompiledNetworks, shape: tuple[int, int], package: Path) -> str:
            calls.append(shape)
            if writes:
                package.write_bytes(b"a package")
            return "SyntaxError: no compiler here"

        monkeypatch.setattr(CompiledNetworks, "_run_compiler", run)
        monkeypatch.setattr(module, "_load", lambda package, device: forward)
        return calls

    return replace


def networks(wanted: Wanted, when: WhenToCompile = "always") -> CompiledNetworks:
    return CompiledNetworks(wanted, lambda shape: 4, double, when)


def test_what_was_compiled_is_found_by_the_next_run(wanted: Wanted, compiler: Callable[..., list[Any]]) -> None:
    calls = compiler()
    assert serves(networks(wanted).get(SHAPE))
    assert serves(networks(wanted).get(SHAPE))
    assert serves(networks(wanted).get((96, 64)))
    assert calls == [SHAPE, (96, 64)]


@pytest.mark.parametrize("other", [{"digest": "1" * 32}, {"precision": "bf16"}])
def test_another_network_or_precision_is_compiled_anew(
    wanted: Wanted, compiler: Callable[..., list[Any]], other: dict[str, Any]
) -> None:
    calls = compiler()
    networks(wanted).get(SHAPE)
    networks(Wanted(**{**{name: getattr(wanted, name) for name in Wanted.__slots__}, **other})).get(SHAPE)
    assert calls == [SHAPE] * 2


@pytest.mark.parametrize(("when", "device"), [("never", "cpu"), ("auto", "cpu")])
def test_nothing_is_compiled_unasked(
    wanted: Wanted, compiler: Callable[..., list[Any]], when: WhenToCompile, device: str
) -> None:
    calls = compiler()
    found = networks(wanted, when)
    found.spent(SHAPE, 1e6)
    assert found.get(SHAPE) is None
    assert calls == []


def on_cuda(monkeypatch: pytest.MonkeyPatch, wanted: Wanted) -> CompiledNetworks:
    """Return the compiled forms for a device that is not there; tiles of noise are on the CPU."""
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "A Device 1g.10gb")
    monkeypatch.setattr(module, "noise", lambda height, width, device: noise(height, width, torch.device("cpu")))
    return networks(Wanted(wanted.folder, wanted.digest, "cuda:1", "fp16"), "auto")


def test_a_small_run_compiles_nothing_and_a_long_one_beside_its_work(
    wanted: Wanted, compiler: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler()
    found = on_cuda(monkeypatch, wanted)
    assert found.get(SHAPE) is None
    found.spent(SHAPE, 19)
    assert found.get(SHAPE) is None
    assert calls == []
    found.spent(SHAPE, 2)
    deadline = time.monotonic() + 60
    while found.get(SHAPE) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert serves(found.get(SHAPE))
    assert calls == [SHAPE]
    (folder,) = (path for path in (Path(wanted.folder), *_kept()) if "A_Device_1g.10gb" in path.name)
    assert "-fp16-64x96-4-" in folder.name


def _kept() -> list[Path]:
    return [path for path in kept_folder("compiled").iterdir() if path.is_dir()]


def test_a_compiled_network_that_differs_is_left_aside_and_not_kept(
    wanted: Wanted, compiler: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    compiler(forward=lambda tiles: double(tiles).flip(2))
    assert networks(wanted).get(SHAPE) is None
    assert "the compiled network differs by 1." in caplog.text
    assert _kept() == []


@pytest.mark.parametrize(
    "message", ["C++ compile error\n\nOutput:\na.cpp:1: fatal error: cuda.h", "fatal error: 1\nmore"]
)
def test_of_a_long_message_the_line_with_the_error_is_told(message: str) -> None:
    assert "fatal error" in _reason(RuntimeError(message))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_compiled_network_without_numbers_is_left_aside(
    wanted: Wanted, compiler: Callable[..., list[Any]], value: float
) -> None:
    compiler(forward=lambda tiles: double(tiles) * value)
    assert networks(wanted).get(SHAPE) is None


def test_where_a_compiled_network_fails_pytorch_runs_the_batch_and_in_the_end_all(
    wanted: Wanted, compiler: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """A package says of memory that is short only that some call failed."""
    runs: list[int] = []

    def short(tiles: torch.Tensor) -> torch.Tensor:
        runs.append(len(tiles))
        if len(tiles) > 2:
            raise RuntimeError("run_func_(...) API call failed at model_container_runner.cpp, line 144")
        return double(tiles)

    compiler(forward=short)
    found = networks(wanted)
    tiles = noise(*SHAPE, torch.device("cpu")).repeat(2, 1, 1, 1)
    for _ in range(3):
        forward = found.get(SHAPE)
        assert forward is not None
        assert torch.equal(forward(tiles), double(tiles))
        assert torch.equal(forward(tiles[:2]), double(tiles[:2]))
    assert found.get(SHAPE) is None
    assert runs == [2, *[4, 2] * 3]  # the first is the trial
    assert "the compiled network failed 3 times" in caplog.text


def test_a_compiler_that_fails_is_named_once(
    wanted: Wanted, compiler: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    calls = compiler(writes=False)
    found = networks(wanted)
    assert found.get(SHAPE) is found.get(SHAPE) is None
    assert calls == [SHAPE]
    (warning,) = (record.message for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.startswith("the network cannot be compiled, so PyTorch runs it, more slowly")
    assert warning.endswith(": SyntaxError: no compiler here")


def test_a_damaged_package_is_removed(wanted: Wanted, caplog: pytest.LogCaptureFixture) -> None:
    package = wanted.kept(SHAPE, 4) / "network.pt2"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"damaged")
    assert networks(wanted, "always").get(SHAPE) is None
    assert "the compiled network cannot be used" in caplog.text
    assert _kept() == []


def test_a_cache_that_cannot_be_written_to_costs_only_speed(
    wanted: Wanted, compiler: Callable[..., list[Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiler()
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert networks(wanted).get(SHAPE) is None
    assert "cannot be kept" in caplog.text


def test_closing_ends_the_compiler(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def slow(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(["sleep", "600"], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", slow)
    found = on_cuda(monkeypatch, wanted)
    found.spent(SHAPE, 21)
    assert found.get(SHAPE) is None
    while not started:
        time.sleep(0.01)
    found.close()
    assert started[0].wait(60) != 0


def test_a_network_that_is_really_compiled_gives_the_logits_of_pytorch(
    model: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way: a process compiles, a package is kept and loaded, and batches of 1 to 5 tiles run."""
    from segment.engine.choose import open_engine
    from segment.model.checkpoint import weights_digest

    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.INFO)
    tiles = np.random.default_rng(1).integers(0, 256, (5, 3, *SHAPE), np.uint8)
    found = []
    for when in ("never", "always"):
        options = EngineOptions(engine="torch", device="cpu", precision="bf16", compile=when)
        engine: Any = open_engine(model.description, weights_digest(model.description), options, threads=2)
        found.append([engine(tiles[:count]) for count in (1, 2, 5)])
        engine.close()
    assert "the compiled network runs tiles of 64 x 96" in caplog.text
    for eager, compiled in zip(*found, strict=True):
        assert not np.array_equal(eager, compiled)
        np.testing.assert_allclose(compiled, eager, atol=0.1 * np.ptp(eager))
