"""A checkpoint is loaded as noseam's own network, compared once with transformers', and then without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from segment.errors import CheckpointError
from segment.model import segmenter
from segment.model.checkpoint import describe_checkpoint, load_checkpoint, weights_digest
from segment.model.config import Normalisation
from segment.model.network import Normalised, Segformer
from segment.model.presets import make_config
from segment.model.save import write_checkpoint
from segment.model.segmenter import Stock, load_segmenter, noise
from tests.models import checkpoint_folder, class_table
from tiler.grid.tiling import Tiling


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return trained(tmp_path / "model")


def trained(folder: Path, **config: Any) -> Path:
    """Write a checkpoint of which no part does nothing, as the norms of an untrained one do."""
    from transformers import SegformerForSemanticSegmentation

    torch.manual_seed(0)
    network = SegformerForSemanticSegmentation(make_config("nano", class_table(5), Tiling(), **config))
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.ndim == 1:
                tensor.copy_(torch.rand(tensor.shape) + 0.2)
    write_checkpoint(network, folder, Normalisation(mean=(0.4, 0.5, 0.6)), 512)
    return folder


def load(folder: Path) -> Normalised:
    description = describe_checkpoint(str(folder))
    return load_segmenter(description, weights_digest(description))


def stock(folder: Path) -> Normalised:
    model = load_checkpoint(describe_checkpoint(str(folder)))
    return Normalised(Stock(model.network), model.description.normalisation)


@torch.inference_mode()
def error(folder: Path) -> float:
    """Return by how much logits differ from those of transformers, in parts of the largest."""
    tile = torch.from_numpy(noise(128, 64))
    found, expected = load(folder)(tile), stock(folder)(tile)
    assert found.shape == expected.shape == (1, 5, 32, 16)
    return float((found - expected).abs().max() / expected.abs().max())


def edit(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    "config",
    [{}, {"hidden_act": "relu"}, {"hidden_act": "gelu_new"}, {"sr_ratios": [4, 2, 1, 1], "mlp_ratios": [2, 3, 4, 1]},
     {"patch_sizes": [5, 3, 3, 1], "strides": [4, 2, 2, 1]}, {"layer_norm_eps": 0.5}],
    ids=str,
)  # fmt: skip
def test_logits_are_those_of_transformers(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = trained(tmp_path / "model", **config)
    assert isinstance(load(folder).network, Segformer)
    assert error(folder) < 1e-5


def test_weights_of_half_the_bytes_are_those_of_transformers(tmp_path: Path) -> None:
    folder = trained(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    halved = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in weights.items()}
    save_file(halved, folder / "model.safetensors", {"format": "pt"})
    assert {tensor.dtype for tensor in load(folder).state_dict().values()} == {torch.float32}
    assert error(folder) < 1e-5


def test_it_is_ready_to_run(folder: Path) -> None:
    loaded = load(folder)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_bundled_model_runs_as_noseams_own(caplog: pytest.LogCaptureFixture) -> None:
    description = describe_checkpoint("demo")
    assert isinstance(load_segmenter(description, weights_digest(description)).network, Segformer)
    assert caplog.text == ""


def test_only_the_first_run_compares(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder)
    (note,) = cache.rglob("agreed/*")
    assert float(note.read_text()) < 1e-5
    monkeypatch.setattr(segmenter, "load_checkpoint", lambda _: pytest.fail("compared again"))
    load(folder)


def test_a_later_run_imports_no_transformers(folder: Path) -> None:
    load(folder)
    script = (
        "import sys; from segment.engine.choose import open_engine; from segment.engine.request import EngineOptions; "
        "from segment.model.checkpoint import describe_checkpoint, weights_digest; "
        f"described = describe_checkpoint({str(folder)!r}); "
        "options = EngineOptions(engine='torch', device='cpu'); "
        "open_engine(described, weights_digest(described), options, threads=1).close(); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "['torch']"


def test_where_nothing_can_be_kept_every_run_compares(folder: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert isinstance(load(folder).network, Segformer)
    assert isinstance(load(folder).network, Segformer)


def test_weights_of_other_names_are_run_by_transformers(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = stock(folder)(torch.from_numpy(noise(64, 64)))
    weights = load_file(folder / "model.safetensors")
    renamed = {name.removeprefix("segformer."): tensor for name, tensor in weights.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    assert isinstance(load(folder).network, Stock)
    assert "noseam's own network cannot be made from it, so that of transformers runs" in caplog.text
    torch.testing.assert_close(load(folder)(torch.from_numpy(noise(64, 64))), expected)


@pytest.mark.parametrize("changes", [{"hidden_act": "quick_gelu"}, {"reshape_last_stage": False}], ids=str)
def test_a_network_of_another_kind_is_run_by_transformers(
    folder: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    edit(folder, **changes)
    assert isinstance(load(folder).network, Stock)
    assert "noseam's own network cannot be made from it, so that of transformers runs" in caplog.text


def test_a_network_that_differs_is_run_by_transformers(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("segment.model.head._NORM_EPS", 0.1)
    assert isinstance(load(folder).network, Stock)
    assert "the logits of noseam's own network differ from those of transformers' by" in caplog.text
    assert not list(cache.rglob("agreed/*"))


def test_logits_that_are_no_numbers_are_no_agreement(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segment.model.head._NORM_EPS", torch.nan)
    assert isinstance(load(folder).network, Stock)


def test_weights_are_refused_as_transformers_network_refuses_them(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "decode_head.classifier.bias": weights["decode_head.classifier.bias"] * torch.nan},
              folder / "model.safetensors", {"format": "pt"})  # fmt: skip
    with pytest.raises(CheckpointError, match=r"decode_head\.classifier\.bias hold NaN"):
        load(folder)
    del weights["decode_head.classifier.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="1 weights are missing and would be random"):
        load(folder)
    checkpoint_folder(folder, classes=5)
    edit(folder, decoder_hidden_size=64)
    with pytest.raises(CheckpointError, match=r"weights do not fit the config: .* is \(32,\) in the file and \(64,\)"):
        load(folder)
