"""Only a whole, finite SegFormer loads; its text files say how to cut and normalise."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SegformerModel

from segment.errors import CheckpointError
from segment.model.checkpoint import (
    DRONE_MODEL,
    Checkpoint,
    describe_checkpoint,
    fit_classes,
    load_checkpoint,
    weights_digest,
)
from segment.model.config import Normalisation
from tests.models import checkpoint_folder, class_table
from tiler.errors import ClassTableError
from tiler.grid.tiling import Tiling


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoint_folder(tmp_path / "model", classes=5, tiling=Tiling(2000, 512, 0.3, gsd_m=0.02))


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def load(folder: Path) -> Checkpoint:
    return load_checkpoint(describe_checkpoint(str(folder)))


def digest_of(folder: Path) -> str:
    return weights_digest(describe_checkpoint(str(folder)))


def test_a_folder_that_is_no_checkpoint_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json there; expected a SegFormer folder"):
        describe_checkpoint(str(tmp_path))


def test_a_checkpoint_carries_its_tiling_classes_and_normalisation(folder: Path) -> None:
    description = describe_checkpoint(str(folder))
    assert description.tiling == Tiling(2000, 512, 0.3, gsd_m=0.02)
    assert description.classes == class_table(5)
    assert description.normalisation == Normalisation()


def test_the_digest_tells_weights_apart_and_is_stable(tmp_path: Path) -> None:
    first, again = (digest_of(checkpoint_folder(tmp_path / name, classes=3)) for name in "ab")
    other = digest_of(checkpoint_folder(tmp_path / "c", classes=4))
    assert first == again != other
    assert len(first) == 32


@pytest.mark.parametrize(
    ("name", "change"),
    [("config", {"num_attention_heads": [2, 4, 6, 8]}), ("preprocessor_config", {"image_mean": [0.5, 0.5, 0.5]})],
)
def test_the_digest_knows_what_shapes_no_weight(folder: Path, name: str, change: dict[str, Any]) -> None:
    before = digest_of(folder)
    edit(folder / f"{name}.json", **change)
    assert digest_of(folder) != before


def test_the_digest_does_not_care_for_names_and_tiling(folder: Path) -> None:
    before = digest_of(folder)
    edit(folder / "config.json", tiling=None, id2label={str(index): f"other {index}" for index in range(5)})
    assert digest_of(folder) == before


def test_without_weights_there_is_no_digest(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights there"):
        digest_of(folder)


def test_without_a_tiling_the_input_size_is_taken_at_full_resolution(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["tiling"]
    (folder / "config.json").write_text(json.dumps(config))
    edit(folder / "preprocessor_config.json", size={"height": 640, "width": 640})
    description = describe_checkpoint(str(folder))
    assert description.tiling == Tiling(window_px=640, input_px=640)
    assert "no tiling in the checkpoint" in description.tiling_source
    assert len(set(description.classes.colours)) == 5


def test_the_published_drone_model_is_cut_as_it_was_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(folder / "config.json", tiling=None)
    monkeypatch.setattr("segment.model.checkpoint._locate", lambda model: folder)
    tiling = describe_checkpoint(DRONE_MODEL).tiling
    assert tiling == Tiling(window_px=2000, input_px=512, overlap=0.25, trained_gsd_m=(0.00390625, 0.03125))
    assert tiling.off_scale(0.08).startswith(
        "its pixels are 8 cm, 10 times as large as those that the model was trained on"
    )


def test_a_checkpoint_carries_the_resolutions_that_it_was_trained_at(tmp_path: Path) -> None:
    tiling = Tiling(1024, 512, 0.25, trained_gsd_m=(0.01, 0.5))
    folder = checkpoint_folder(tmp_path / "model", classes=2, tiling=tiling)
    assert describe_checkpoint(str(folder)).tiling == tiling


@pytest.mark.parametrize("found", [0.5, [0.5], [0.5, "x"], [-1, 1], [2, 1], [0.1, 0.2, 0.3]])
def test_impossible_trained_resolutions_are_refused(folder: Path, found: Any) -> None:
    edit(folder / "config.json", tiling={"window_px": 512, "trained_gsd_m": found})
    with pytest.raises(CheckpointError, match=f"^{folder}: "):
        describe_checkpoint(str(folder))


@pytest.mark.parametrize("name", ["no/such/folder", "./model", "model", "/model", "../x/y", "a b/c"])
def test_a_name_like_a_path_is_never_looked_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "segment.model.checkpoint.fetch_checkpoint", lambda model: pytest.fail(f"{model} was looked up")
    )
    with pytest.raises(CheckpointError, match="no such folder"):
        describe_checkpoint(name)


def test_a_mistyped_folder_in_a_folder_that_exists_is_never_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "segment.model.checkpoint.fetch_checkpoint", lambda model: pytest.fail(f"{model} was looked up")
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(CheckpointError, match="models/drnoe: no such folder"):
        describe_checkpoint("models/drnoe")


class Hub:
    """Stand in for the hub; an `error` is raised instead of an answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error = folder, error
        self.cached = True
        self.fetched: list[dict[str, Any]] = []
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", self.model_info)
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.snapshot_download)

    def model_info(self, model: str, timeout: float) -> Any:
        assert timeout <= 10
        if self.error:
            raise self.error
        return SimpleNamespace(sha="5" * 40)

    def snapshot_download(self, model: str, allow_patterns: list[str], **found: Any) -> str:
        if self.error and not (self.cached and found.get("local_files_only")):
            raise LookupError("not cached")
        self.fetched.append({"allow": allow_patterns, **found})
        return str(self.folder)


def test_a_hub_id_is_fetched_in_the_state_that_the_hub_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, folder)
    assert describe_checkpoint("owner/name").folder == folder
    assert [fetched["revision"] for fetched in hub.fetched] == ["5" * 40]
    assert "pytorch_model*.bin" not in hub.fetched[0]["allow"]


def test_pickles_are_fetched_only_where_there_are_no_safetensors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.safetensors").unlink()
    hub = Hub(monkeypatch, folder)
    describe_checkpoint("owner/name")
    assert ["pytorch_model*.bin" in fetched["allow"] for fetched in hub.fetched] == [False, True]


def test_without_the_hub_a_cached_model_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, folder, ConnectionError("no route"))
    assert describe_checkpoint("owner/name").folder == folder
    assert all(fetched["local_files_only"] for fetched in hub.fetched)


def test_a_hub_that_does_not_answer_is_said_with_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(monkeypatch, folder, ConnectionError("no route")).cached = False
    with pytest.raises(CheckpointError, match=r"owner/name: .*no route.*give the folder of a checkpoint"):
        describe_checkpoint("owner/name")


def test_a_hub_that_never_answers_is_given_up(tmp_path: Path) -> None:
    script = (
        "import segment.model.hub\nsegment.model.hub._HUB_ANSWERS_S = 0.5\n"
        "segment.model.checkpoint.describe_checkpoint('owner/name')"
    )
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        there = {"HF_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}", "HF_HOME": str(tmp_path)}
        found = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **there}, capture_output=True, text=True, timeout=60
        )
    assert "owner/name: cannot be fetched from the Hugging Face hub, http://127.0.0.1" in found.stderr
    assert "timed out" in found.stderr


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"model_type": "bert"}, "'segformer' expected, 'bert' found"),
        ("config.json", {"id2label": {"0": "a", "2": "b"}}, "without gaps"),
        ("config.json", {"tiling": {"window": 2000}}, r"unknown keys in its tiling: \['window'\]"),
        ("config.json", {"tiling": {"window_px": 2000, "input_px": 500}}, "multiple of 32"),
        ("config.json", {"tiling": {"window_px": 512, "colors": [[1, 2, 3]]}}, "5 class names but 1 colours"),
        ("config.json", {"tiling": {"window_px": 512, "colors": [[300, 0, 0]] * 5}}, "whole numbers 0 to 255"),
        ("config.json", {"tiling": {"window_px": 512, "colors": [[1, 2, 3]] * 5}}, "two classes have one colour"),
        ("config.json", {"tiling": {"window_px": "big"}}, "invalid literal"),
        ("config.json", {"tiling": {"window_px": math.inf}}, "infinity"),
        ("config.json", {"tiling": {"window_px": 512, "colors": [1] * 5}}, "unpack"),
        ("config.json", {"tiling": "2000"}, "tiling: an object expected, '2000' found"),
        ("config.json", {"id2label": ["a", "b"]}, r"id2label expected, a name for each class, \['a', 'b'\] found"),
        ("config.json", {"id2label": None}, "id2label expected, a name for each class, None found"),
        ("config.json", {"id2label": dict.fromkeys("01234", "a\x1b[31m")}, "control"),
        ("config.json", {"id2label": dict.fromkeys("01234", "\ud800")}, "control"),
        ("config.json", {"num_channels": 4}, r"num_channels 3 expected \(red, green, blue\), 4 found"),
        ("preprocessor_config.json", {"image_std": [0, 0, 0]}, "impossible normalisation"),
        ("preprocessor_config.json", {"image_mean": [0.5]}, "impossible normalisation"),
        ("preprocessor_config.json", {"rescale_factor": -1}, "impossible normalisation"),
        ("preprocessor_config.json", {"rescale_factor": math.nan}, "impossible normalisation"),
        ("preprocessor_config.json", {"image_mean": [math.nan, 0, 0]}, "impossible normalisation"),
        ("preprocessor_config.json", {"image_std": [1, math.inf, 1]}, "impossible normalisation"),
        ("preprocessor_config.json", {"image_std": 1}, "has no len"),
    ],
)
def test_nonsense_in_the_text_files_is_refused(folder: Path, file: str, changes: dict[str, Any], message: str) -> None:
    edit(folder / file, **changes)
    with pytest.raises(CheckpointError, match=message):
        describe_checkpoint(str(folder))


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_config_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        describe_checkpoint(str(folder))


def test_steps_that_the_preprocessor_switches_off_are_left_out(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", do_rescale=False, do_normalize=False)
    assert describe_checkpoint(str(folder)).normalisation == Normalisation(1.0, (0.0,) * 3, (1.0,) * 3)


def test_an_encoder_alone_is_refused(folder: Path) -> None:
    config = describe_checkpoint(str(folder))
    network = load_checkpoint(config).network
    SegformerModel(network.config).save_pretrained(folder)
    edit(folder / "config.json", id2label={str(i): str(i) for i in range(5)})
    with pytest.raises(CheckpointError, match=r"weights are missing and would be random.*fine-tuning"):
        load(folder)


def test_another_number_of_classes_than_the_weights_have_is_refused(folder: Path) -> None:
    edit(
        folder / "config.json",
        id2label={str(i): str(i) for i in range(7)},
        label2id={str(i): i for i in range(7)},
        tiling={"window_px": 512},
    )
    with pytest.raises(CheckpointError, match=r"2 weights do not fit the config: decode_head\.classifier\.bias"):
        load(folder)


def test_weights_with_nan_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["decode_head.classifier.bias"][2] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"decode_head\.classifier\.bias hold NaN"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_cut_weights_are_refused(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="weights cannot be loaded"):
        load(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no weights there; expected model\.safetensors"):
        load(folder)


class _Evil:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def test_a_pickle_never_runs_code(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": _Evil(tmp_path / "flag")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="weights cannot be loaded"):
        load(folder)
    assert not (tmp_path / "flag").exists()


def test_a_plain_pickle_loads_the_same_weights(folder: Path) -> None:
    safe = load(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert all(map(torch.equal, load(folder).network.state_dict().values(), safe.network.state_dict().values()))


def test_safetensors_go_before_a_pickle(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": _Evil(tmp_path / "flag")}, folder / "pytorch_model.bin")
    load(folder)
    assert not (tmp_path / "flag").exists()


def test_a_class_table_must_fit_the_model(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nroad,1,2,3\nroof,4,5,6\n")
    with pytest.raises(ClassTableError, match=r"has 2 classes \(road, roof\), .* has 5 \(class 0, class 1"):
        fit_classes(describe_checkpoint(str(folder)), table)


def test_a_class_table_that_fits_renames_the_classes(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\n" + "".join(f"n{i},{i},0,0\n" for i in range(5)))
    description = describe_checkpoint(str(folder))
    assert fit_classes(description, table).names == ("n0", "n1", "n2", "n3", "n4")
    assert fit_classes(description, None) == description.classes


def test_the_folder_may_be_moved(folder: Path, tmp_path: Path) -> None:
    digest = digest_of(folder)
    shutil.move(folder, tmp_path / "moved")
    assert digest_of(tmp_path / "moved") == digest
