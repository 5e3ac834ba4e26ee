"""Checkpoints made to harm are refused before the first image, with reason and remedy; none of their code runs."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import SegformerModel

from segment.errors import CheckpointError
from segment.model.checkpoint import describe_checkpoint, fit_classes, load_checkpoint
from segment.model.weights import weight_files
from tests import ROOT
from tests.models import checkpoint_folder
from tiler.errors import ClassTableError
from tiler.grid.tiling import Tiling

WEIGHTS, CONFIG, INDEX = "model.safetensors", "config.json", "model.safetensors.index.json"
SECONDS = 30
"""Seconds: far more than any refusal takes, far less than waiting for a network that is not there."""


def edit(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**content, **changes}))


class _Evil:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def flag_of(folder: Path) -> Path:
    """Return the file that exists once code of a checkpoint ran."""
    return folder.with_suffix(".flag")


def as_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"weight": _Evil(flag_of(folder))}, folder / "pytorch_model.bin")


def as_old_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": _Evil(flag_of(folder))}, protocol=2))


def as_pickle_in_disguise(folder: Path) -> None:
    torch.save({"weight": _Evil(flag_of(folder))}, folder / WEIGHTS)


def as_pickled_part(folder: Path) -> None:
    as_pickle(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"weight": "pytorch_model.bin"}}))


def with_code(folder: Path) -> None:
    """Add code that transformers would run if it were told to trust it."""
    flag = flag_of(folder)
    (folder / "evil.py").write_text(f"open({str(flag)!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    edit(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForSemanticSegmentation": "evil.Model"})


def as_foreign_code(folder: Path) -> None:
    with_code(folder)
    edit(folder, model_type="evil")


def as_encoder(folder: Path) -> None:
    network = load_checkpoint(describe_checkpoint(str(folder))).network
    config = (folder / CONFIG).read_text()
    SegformerModel(network.config).save_pretrained(folder)
    (folder / CONFIG).write_text(config)


def with_weight(value: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        weights["decode_head.classifier.bias"][1] = value
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    return change


def cut_to(size: int) -> Callable[[Path], object]:
    return lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])


def with_flipped_header(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    for at in range(8, 400):
        content[at] ^= 0xFF
    (folder / WEIGHTS).write_bytes(content)


def with_flipped_weights(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    for at in np.random.default_rng(0).integers(len(content) // 2, len(content), 400):
        content[at] ^= 0xFF
    (folder / WEIGHTS).write_bytes(content)


def with_header_of(size: int) -> Callable[[Path], object]:
    return lambda folder: (folder / WEIGHTS).write_bytes(struct.pack("<Q", size) + b"{" * 1000)


def with_part(name: str) -> Callable[[Path], None]:
    """Let an index name a part, a good file that lies outside the checkpoint."""

    def change(folder: Path) -> None:
        shutil.move(folder / WEIGHTS, folder.parent / "outside.safetensors")
        (folder / INDEX).write_text(json.dumps({"weight_map": {"weight": name.format(folder.parent)}}))

    return change


def with_index(folder: Path, parts: object) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": parts}))


def with_seven_classes(folder: Path) -> None:
    names = {str(index): f"class {index}" for index in range(7)}
    edit(folder, id2label=names, label2id={}, tiling={"window_px": 64, "input_px": 64})


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickle": (as_pickle, r"pytorch_model\.bin: .* a pickle of plain tensors expected.* get .* model\.safetensors"),
    "old pickle": (as_old_pickle, r"pytorch_model\.bin: .* get the checkpoint as model\.safetensors"),
    "pickle in disguise": (as_pickle_in_disguise, r"model\.safetensors: the weights cannot be loaded: .* copy or"),
    "pickled part": (as_pickled_part, r"index\.json: .* \.safetensors file .* expected, 'pytorch_model\.bin' found"),
    "foreign code": (as_foreign_code, "model_type 'segformer' expected, 'evil' found; noseam runs no other kind"),
    "bert": (lambda folder: edit(folder, model_type="bert"), "model_type 'segformer' expected, 'bert' found"),
    "encoder": (as_encoder, "weights are missing and would be random, such as .* needs fine-tuning first"),
    "NaN": (
        with_weight(np.nan),
        r"decode_head\.classifier\.bias hold NaN, infinity or numbers beyond .*; the file is damaged",
    ),
    "infinity": (with_weight(np.inf), r"decode_head\.classifier\.bias hold NaN, infinity or"),
    "minus infinity": (with_weight(-np.inf), r"decode_head\.classifier\.bias hold NaN, infinity or"),
    "no file": (lambda folder: (folder / WEIGHTS).unlink(), r"no weights there; expected model\.safetensors"),
    "empty": (
        cut_to(0),
        r"model\.safetensors: the weights cannot be loaded: .*; copy or download the checkpoint again",
    ),
    "cut in the header": (cut_to(99), "the weights cannot be loaded: .*; copy or download the checkpoint again"),
    "cut in the weights": (cut_to(50_000), "the weights cannot be loaded: .*; copy or download the checkpoint again"),
    "flipped header": (with_flipped_header, "the weights cannot be loaded: .*; copy or download the checkpoint again"),
    "flipped weights": (with_flipped_weights, "hold NaN, infinity or numbers beyond .*; the file is damaged"),
    "huge header": (with_header_of(2**62), "the weights cannot be loaded: .*header"),
    "large header": (with_header_of(99 * 2**20), "the weights cannot be loaded: .*"),
    "part above": (with_part("../outside.safetensors"), r"expected, '\.\./outside\.safetensors' found"),
    "part anywhere": (with_part("{}/outside.safetensors"), r"index\.json: the name of a .* expected, '/"),
    "missing part": (with_part("inside.safetensors"), "no file inside.safetensors beside it; copy or download"),
    "no parts": (lambda folder: with_index(folder, []), r"weight_map expected.*\[\] found"),
    "seven classes": (with_seven_classes, r"2 weights do not fit the config: .* of two models"),
    "config of nothing": (lambda folder: (folder / CONFIG).write_text("[" * 10**5), r"config\.json: cannot be read"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "model")


def small_checkpoint(folder: Path) -> Path:
    return checkpoint_folder(folder, classes=3, tiling=Tiling(window_px=64, input_px=64, overlap=0.25))


@pytest.mark.parametrize("name", REFUSED)
def test_an_evil_checkpoint_is_refused(folder: Path, name: str) -> None:
    spoil, message = REFUSED[name]
    spoil(folder)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(describe_checkpoint(str(folder)))
    assert not flag_of(folder).exists()


def test_the_evil_pickle_would_write_its_flag(folder: Path) -> None:
    as_pickle(folder)
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert flag_of(folder).exists()


def test_code_beside_a_good_model_does_not_run(folder: Path) -> None:
    with_code(folder)
    load_checkpoint(describe_checkpoint(str(folder)))
    assert not flag_of(folder).exists()


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "evil/kernel"},  # transformers would fetch and import it
        {"_attn_implementation": "evil/kernel"},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {"dtype": "float16"},
        {"_name_or_path": "evil/model", "transformers_version": "99"},
    ],
)
def test_entries_that_shape_no_network_do_nothing(folder: Path, entries: dict[str, Any]) -> None:
    plain = load_checkpoint(describe_checkpoint(str(folder))).network
    edit(folder, **entries)
    network = load_checkpoint(describe_checkpoint(str(folder))).network
    assert network.config.to_dict() == plain.config.to_dict()  # type: ignore[operator,union-attr]
    found, expected = network.state_dict(), plain.state_dict()
    assert all(found[key].dtype == expected[key].dtype and torch.equal(found[key], expected[key]) for key in expected)


def test_an_adapter_beside_the_weights_is_not_looked_at(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "evil/model"}))
    torch.save({"weight": _Evil(flag_of(folder))}, folder / "adapter_model.bin")
    load_checkpoint(describe_checkpoint(str(folder)))
    assert not flag_of(folder).exists()


def test_weights_in_parts_are_read_and_told_apart(folder: Path) -> None:
    whole = load_checkpoint(describe_checkpoint(str(folder))).network.state_dict()
    weights = load_file(folder / WEIGHTS)
    parts = {"a.safetensors": list(weights)[::2], "b.safetensors": list(weights)[1::2]}
    for name, keys in parts.items():
        save_file({key: weights[key] for key in keys}, folder / name, {"format": "pt"})
    with_index(folder, {key: name for name, keys in parts.items() for key in keys})
    assert [path.name for path in weight_files(folder)] == ["a.safetensors", "b.safetensors"]
    found = load_checkpoint(describe_checkpoint(str(folder))).network.state_dict()
    assert all(torch.equal(found[key], whole[key]) for key in whole)


def test_a_class_table_of_another_length_is_refused(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nroad,1,2,3\nroof,4,5,6\n")
    with pytest.raises(ClassTableError, match=r"classes\.csv has 2 classes \(road, roof\), .* has 3 \(class 0, "):
        fit_classes(describe_checkpoint(str(folder)), table)


def test_a_fifo_in_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    mkfifo = getattr(__import__("os"), "mkfifo", None)
    if mkfifo is None:
        pytest.skip("no FIFOs on this system")
    for name in (WEIGHTS, CONFIG):
        (folder / name).unlink()
        mkfifo(folder / name)
        with pytest.raises(CheckpointError, match=r"no (weights|config\.json) there"):
            load_checkpoint(describe_checkpoint(str(folder)))


_RUNS = """
import json, sys, time
from click.testing import CliRunner
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event in {"socket.connect", "socket.getaddrinfo"} else None)
from cli import main
for line in sys.stdin:
    calls.clear()
    started = time.monotonic()
    result = CliRunner().invoke(main, json.loads(line))
    problem = None if isinstance(result.exception, (SystemExit, type(None))) else repr(result.exception)
    print(json.dumps([result.exit_code, problem or result.output, time.monotonic() - started, calls]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run on the command line ended."""

    out: Path
    code: int
    text: str
    seconds: float
    calls: list[str]
    """Attempts to reach another machine."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Run the command line, without a network, on every evil checkpoint and name."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("NOT TESTED: the network cannot be shut off here (unshare -n)")
    home = tmp_path_factory.mktemp("evil")
    photo = home / "photo.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    models = {"typo": f"{home / 'nowhere'}", "typo below a folder": "tests/nowhere", "hub id": "owner/name"}
    models |= {"typo of a user": "~nobody-of-this-name/model", "path": "./owner/name"}
    for index, (name, (spoil, _)) in enumerate(REFUSED.items()):
        models[name] = str(small_checkpoint(home / f"{index}" / "model"))
        spoil(Path(models[name]))
    models["good"] = str(small_checkpoint(home / "good" / "model"))
    with_code(Path(models["good"]))
    table = home / "classes.csv"
    table.write_text("name,r,g,b\nroad,1,2,3\nroof,4,5,6\n")
    more = {"two classes": ["--classes", str(table)]}
    models["two classes"] = models["good"]
    commands = {
        name: ["segment", str(photo), "--out", str(home / "out" / name), "--model", model, *more.get(name, [])]
        for name, model in models.items()
    }
    lines = "".join(json.dumps(command) + "\n" for command in commands.values())
    environment = {"HF_HOME": str(home / "hub"), "NOSEAM_CACHE": str(home / "cache"), "PATH": "/usr/bin:/bin"}
    process = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", _RUNS],
        input=lines, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=280,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert not list(home.rglob("*.flag"))
    results = zip(commands, map(json.loads, process.stdout.splitlines()), strict=True)
    return {name: Ended(home / "out" / name, *result) for name, result in results}


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_with_an_evil_checkpoint_ends_at_once(runs: dict[str, Ended], name: str) -> None:
    ended = runs[name]
    assert ended.code == (2 if name in {"foreign code", "bert"} else 1)  # these two are other models, the rest damaged
    assert re.search(f"Error: .*{REFUSED[name][1]}", ended.text)
    assert ended.seconds < SECONDS
    assert ended.calls == []
    assert not ended.out.exists() or not list(ended.out.glob("[!.]*"))


def test_a_class_table_that_does_not_fit_ends_the_run_at_once(runs: dict[str, Ended]) -> None:
    ended = runs["two classes"]
    assert (ended.code, ended.calls) == (2, [])
    assert re.search(r"has 2 classes \(road, roof\), .* has 3 \(class 0", ended.text)
    assert not list(ended.out.glob("[!.]*"))


def test_a_good_checkpoint_with_code_beside_it_runs_without_a_network(runs: dict[str, Ended]) -> None:
    assert (runs["good"].code, runs["good"].calls) == (0, [])
    assert (runs["good"].out / "photo_label.png").exists()


@pytest.mark.parametrize("name", ["typo", "typo below a folder", "typo of a user", "path"])
def test_a_mistyped_folder_is_never_looked_up(runs: dict[str, Ended], name: str) -> None:
    assert (runs[name].code, runs[name].calls) == (2, [])
    assert re.search(r"Error: .*: no such folder \(a hub id has the form owner/name", runs[name].text)
    assert not runs[name].out.exists()


def test_a_hub_id_without_a_network_fails_in_seconds_and_says_what_to_do(runs: dict[str, Ended]) -> None:
    ended = runs["hub id"]
    assert ended.code == 1
    assert ended.calls
    assert ended.seconds < SECONDS
    assert re.search("owner/name: cannot be fetched.*check the network and the name, or give the folder", ended.text)
    assert not ended.out.exists()
