"""How many workers a run of this machine gets."""

from __future__ import annotations

import logging

import pytest

from segment.engine.request import EngineOptions
from segment.run.request import Resource, WorkerOptions, parse_resource, parse_workers
from segment.workers import count
from segment.workers.count import count_workers
from tiler.errors import MissingExtraError


@pytest.mark.parametrize(
    ("gpus", "cores", "images", "engine", "expected"),
    [
        (0, 64, 10_000, {}, 1),
        (1, 16, 10_000, {}, 4),
        (1, 2, 10_000, {}, 1),
        (4, 16, 10_000, {}, 4),
        (4, 8, 10_000, {}, 4),
        (2, 24, 10_000, {}, 6),
        (3, 16, 10_000, {}, 3),
        (1, 16, 40, {}, 2),
        (1, 16, 20, {}, 1),
        (4, 32, 10_000, {"device": "cuda:1"}, 8),
        (4, 32, 10_000, {"device": "cpu"}, 1),
        (4, 32, 10_000, {"engine": "openvino"}, 1),
        (1, 64, 10_000, {"threads": 8}, 2),
    ],
)
def test_auto_follows_gpus_cores_and_images(
    monkeypatch: pytest.MonkeyPatch, gpus: int, cores: int, images: int, engine: dict[str, object], expected: int
) -> None:
    monkeypatch.setattr(count, "count_gpus", lambda: gpus)
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr(count, "require_extra", lambda extra: None)
    assert count_workers(WorkerOptions(), EngineOptions(**engine), images) == expected  # type: ignore[arg-type]
    assert count_workers(WorkerOptions(workers=3), EngineOptions(), images) == 3


def test_auto_does_without_the_extra_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(extra: str) -> None:
        raise MissingExtraError(extra)

    monkeypatch.setattr(count, "count_gpus", lambda: 1)
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    monkeypatch.setattr(count, "require_extra", missing)
    with caplog.at_level(logging.INFO):
        assert count_workers(WorkerOptions(), EngineOptions(), 1000) == 1
    assert "4 workers would be faster here than one; pip install 'noseam[cluster]'" in caplog.text


def test_more_workers_than_cores_are_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    assert count_workers(WorkerOptions(workers=8), EngineOptions(), 1000) == 8
    assert not caplog.text
    assert count_workers(WorkerOptions(workers=99), EngineOptions(), 1000) == 99
    assert "--workers 99: more than the 8 cores of this machine" in caplog.text


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tls://gpu-1.local:1", "localhost:8786", "tcp://[::1]:9"])
def test_addresses_of_schedulers(address: str) -> None:
    assert WorkerOptions(scheduler=address).scheduler == address


def test_texts_of_options() -> None:
    assert [parse_workers(text) for text in ("auto", "1", "12")] == ["auto", 1, 12]
    assert parse_resource("GPU=1") == Resource("GPU", 1)
    assert str(parse_resource("big.mem=0.5")) == "big.mem=0.5"
    for wrong in ("", "0", "-1", "1.5", "two", "10000"):
        with pytest.raises(ValueError, match="a number from 1, or auto expected"):
            parse_workers(wrong)
    for wrong in ("GPU", "GPU=", "GPU=0", "=1", "GPU=-1", "GPU=1,CPU=2"):
        with pytest.raises(ValueError, match="NAME=N with N above 0 expected"):
            parse_resource(wrong)
