"""A training learns, survives being killed, and refuses what would not be the training that was asked for."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    SegformerForImageClassification,
    SegformerForSemanticSegmentation,
    SegformerModel,
    TrainingArguments,
)

from commands.train import train as train_command
from segment.errors import CheckpointError, TrainError
from segment.evaluation.metrics import matrix_from_csv, measure
from segment.model.checkpoint import describe_checkpoint, load_checkpoint
from segment.model.config import Normalisation
from segment.model.presets import make_config
from segment.model.save import write_checkpoint
from segment.training.base import load_base, load_state
from segment.training.card import Facts, _command, model_card
from segment.training.class_bias import find_class_bias
from segment.training.data import read_crop_set
from segment.training.licence import Licence
from segment.training.loss import balance_classes, pixel_loss
from segment.training.plan import TrainPlan, _choose_precision, _for_cuda, _readers
from segment.training.recipe import complete
from segment.training.request import TrainRequest
from segment.training.sample import Sample, sample
from segment.training.state import is_whole
from segment.training.temperature import Temperature, find_temperature
from segment.training.train import train
from segment.training.tune import Tuned
from tests import ROOT
from tests.crop_folder import crop_folder
from tests.models import checkpoint_folder, class_table
from tiler.errors import RasterReadError
from tiler.grid.fit import TileSize, parse_tile
from tiler.grid.tiling import Tiling
from tiler.option import gather
from tiler.remap.options import RemapOptions

TILING = Tiling(64, 64, 0.25)
BIAS = "decode_head.classifier.bias"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crop_folder(tmp_path_factory.mktemp("train") / "crops")


@pytest.fixture(scope="module")
def request_(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    """The request of a training of three epochs, two steps each."""
    out = tmp_path_factory.mktemp("trained") / "model"
    return TrainRequest(crops=(crops,), out=out, base="nano", epochs=3, lr=5e-3, input_px=64, workers=0, device="cpu")


@pytest.fixture(scope="module")
def trained(request_: TrainRequest) -> TrainRequest:
    """The request of that training, which has run."""
    train(request_)
    return request_


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_training_learns(request_: TrainRequest, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    request = replace(request_, out=tmp_path / "out", epochs=6)
    result = train(request, lambda done, total: steps.append((done, total)))
    losses = [row["train_loss"] for row in result.rows]
    assert len(losses) == 6
    assert losses[-1] < 0.7 * losses[0]  # type: ignore[operator]
    assert result.best_miou > 0.8  # the majority class alone gives about 0.3
    assert steps == [(step, 12) for step in range(1, 13)]
    assert (tmp_path / "out" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "out" / "learning_curve.csv").read_text().splitlines()) == 7


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
def test_a_model_can_be_read_by_whom_the_umask_lets(trained: TrainRequest) -> None:
    modes = {path.stat().st_mode & 0o777 for path in trained.out.iterdir() if path.is_file()}
    assert modes == {(trained.out / "classes.csv").stat().st_mode & 0o777}


def test_a_trained_model_is_a_checkpoint_that_says_how_to_cut(trained: TrainRequest) -> None:
    description = describe_checkpoint(str(trained.out))
    assert description.tiling == TILING
    assert description.classes == class_table(2)
    assert not load_checkpoint(description).network.training
    assert (trained.out / "classes.csv").read_text() == (trained.crops[0] / "classes.csv").read_text()


def test_the_model_card_tells_recipe_data_and_figures(trained: TrainRequest) -> None:
    card = (trained.out / "README.md").read_text()
    assert f"noseam train {trained.crops[0]} --out {trained.out} --base nano --epochs 3 --lr 0.005 --input 64" in card
    assert "| training | 8 | 8 | 32256 |" in card
    assert re.search(r"\| class 1 \| \d+\.\d \|", card)
    assert "trained from random weights" in card
    assert torch.__version__ in card


def test_a_trained_model_says_how_true_its_confidence_is(trained: TrainRequest) -> None:
    entry = json.loads((trained.out / "config.json").read_text())["calibration"]
    assert set(entry) == {"temperature", "ece_before", "ece_after"}
    assert describe_checkpoint(str(trained.out)).temperature == entry["temperature"] != 1
    card = (trained.out / "README.md").read_text()
    assert f"divided by a temperature of {entry['temperature']:.4g}" in card
    assert f"is {100 * entry['ece_before']:.2f} % without it and {100 * entry['ece_after']:.2f} % with it." in card


@pytest.fixture(scope="module")
def of_pairs(tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    """The request of a training whose photos are two crops wide, each one tile where tiles suit the image."""
    folder = tmp_path_factory.mktemp("pairs")
    crops = crop_folder(folder / "crops", beside=2)
    request = TrainRequest(crops=(crops,), out=folder / "model", base="nano", max_steps=2, input_px=64, workers=0,
                           device="cpu", class_bias=False)  # fmt: skip
    train(request)
    return request


@pytest.mark.parametrize(("least", "tile"), [(-2.0, "64"), (2.0, "auto")])
def test_a_model_asks_for_squares_where_they_are_better(
    of_pairs: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    least: float, tile: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    shutil.copytree(of_pairs.out, out)
    (out / "config.json").unlink()
    monkeypatch.setattr("segment.training.tiles.LEAST_GAIN", least)
    seen: list[Sample] = []
    tuned_by: list[torch.Tensor] = []

    def noted(*given: Any, **known: Any) -> Sample:
        seen.append(sample(*given, **known))
        return seen[-1]

    def of(logits: torch.Tensor, labels: torch.Tensor) -> Temperature | None:
        tuned_by.append(logits)
        return find_temperature(logits, labels)

    monkeypatch.setattr("segment.training.tune.sample", noted)
    monkeypatch.setattr("segment.training.tune.find_temperature", of)
    caplog.set_level(logging.INFO)
    train(replace(of_pairs, out=out))
    asked = "tiles chosen for each image" if tile == "auto" else "the squares"
    said = rf"by squares of 64 px, not tiles chosen for each image, mIoU goes from .* %; the model asks for {asked}"
    assert re.search(said, caplog.text)
    tiling = describe_checkpoint(str(out)).tiling
    assert tiling == replace(TILING, tile=parse_tile(tile))
    card = (out / "README.md").read_text()
    assert re.search(said, card)
    assert f"Images are cut like this: {tiling}." in card
    assert [each.count for each in seen] == [2, 4]
    assert not torch.equal(seen[0].logits, seen[1].logits)
    assert torch.equal(tuned_by[0], seen[tile == "64"].logits)


def test_a_tile_that_was_asked_for_is_not_judged(of_pairs: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(of_pairs.out, out)
    request = replace(of_pairs, out=out, tile=TileSize((64, 96)))
    with pytest.raises(TrainError, match=r"tile was None, is '64x96'\. --extend goes on"):
        train(request)
    train(replace(request, extend=True))
    assert describe_checkpoint(str(out)).tiling.tile == TileSize((64, 96))
    assert "by squares" not in (out / "README.md").read_text()


def test_the_class_bias_is_kept_where_validation_tiles_are_better_and_the_card_says_it(
    trained: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = json.loads((trained.out / "config.json").read_text())["class_bias"]
    scores = {each: entry[f"miou_{each}"] + entry[f"accuracy_{each}"] for each in ("before", "after")}
    assert (scores["after"] > scores["before"]) == any(entry["values"])
    before, card = load_state(trained.out).state_dict(), (trained.out / "README.md").read_text()
    assert "Tiled as `segment` does it (4 tiles), the same crops have a mean IoU of" in card
    for values, kept in (((-9.0, 0.0), False), ((2.0, 2.0), False)):
        out = tmp_path / str(values)
        shutil.copytree(trained.out, out)
        (out / "config.json").unlink()
        monkeypatch.setattr("segment.training.tune.find_class_bias", lambda *_, values=values: values)
        train(replace(trained, out=out))
        after = load_state(out).state_dict()
        assert torch.equal(after[BIAS], before[BIAS] - torch.tensor(entry["values"])) != kept
        assert "No other bias of the classifier was found that is better." in (out / "README.md").read_text()


def test_a_class_bias_that_helps_is_added_to_the_classifier(
    trained: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A training that ended with a bad bias is helped by the one that takes it back."""
    out, plain = tmp_path / "out", tmp_path / "plain"
    for folder in (out, plain):
        shutil.copytree(trained.out, folder)
        (folder / "config.json").unlink()
        for path in folder.glob("state/checkpoint-*/mean.safetensors"):
            found = load_file(path)
            found[BIAS] += torch.tensor([6.0, 0.0])
            save_file(found, path)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("segment.training.tune.find_class_bias", lambda *_: (-6.0, 0.0))
    train(replace(trained, out=out))
    assert re.search(r"class bias, on 4 validation tiles: mIoU goes from \S+ to \S+ %, accuracy from", caplog.text)
    entry = json.loads((out / "config.json").read_text())["class_bias"]
    assert entry["values"] == [-6, 0]
    assert entry["miou_after"] > entry["miou_before"] + 0.2
    assert "was found anew by training crops, a constant for each class" in (out / "README.md").read_text()
    monkeypatch.setattr("segment.training.tune.find_class_bias", lambda *_: (0.0, 0.0))
    train(replace(trained, out=plain))
    biased, raw = (load_state(folder).state_dict()[BIAS] for folder in (out, plain))
    torch.testing.assert_close(biased, raw - torch.tensor([6.0, 0.0]))


def test_tiles_that_a_gpu_does_not_hold_are_looked_at_by_the_cpu(
    trained: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out, calls = tmp_path / "out", 0
    shutil.copytree(trained.out, out)
    (out / "config.json").unlink()

    def too_large(*given: Any, **known: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sample(*given, **known)

    monkeypatch.setattr("segment.training.tune.sample", too_large)
    train(replace(trained, out=out))
    assert calls == 4
    assert caplog.text.count("the CPU looks at them instead") == 2
    assert (out / "config.json").read_bytes() == (trained.out / "config.json").read_bytes()
    assert_same_weights(out, trained.out)


def test_a_training_that_ended_without_a_class_bias_gets_one_later(
    trained: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained.out, out)
    request = out / "state/request.json"
    request.write_text(json.dumps({**json.loads(request.read_text()), "class_bias": None}))  # as of an older version
    with pytest.raises(TrainError, match=r"class_bias was None, is True\. --extend goes on"):
        train(replace(trained, out=out))
    found: list[tuple[torch.Tensor, ...]] = []

    def noted(*given: torch.Tensor) -> tuple[float, ...]:
        found.append(given)
        return find_class_bias(*given)

    monkeypatch.setattr("segment.training.tune.find_class_bias", noted)
    steps: list[int] = []
    train(replace(trained, out=out, extend=True), lambda done, total: steps.append(done))
    assert (len(found), steps) == (1, [])
    assert json.loads(request.read_text())["class_bias"]
    assert_same_weights(out, trained.out)


def test_nobody_need_have_a_class_bias(trained: TrainRequest, tmp_path: Path) -> None:
    request = replace(trained, out=tmp_path / "out", max_steps=1, class_bias=False)
    train(request)
    assert json.loads((request.out / "config.json").read_text())["class_bias"] is None
    assert "bias" not in (request.out / "README.md").read_text().replace("--no-class-bias", "")


def test_a_trained_model_says_how_its_classes_are_best_balanced(trained: TrainRequest) -> None:
    entry = json.loads((trained.out / "config.json").read_text())["class_balance"]
    assert set(entry) == {"strength", "miou_before", "miou_after", "accuracy_before", "accuracy_after"}
    assert entry["miou_after"] + entry["accuracy_after"] >= entry["miou_before"] + entry["accuracy_before"] > 0
    found = describe_checkpoint(str(trained.out))
    assert found.balanced("auto").balance.strength == found.tuned_balance == entry["strength"]
    assert f"auto` balances classes by T {entry['strength']:g}, by which" in (trained.out / "README.md").read_text()


def test_a_trained_model_says_how_often_each_class_showed(trained: TrainRequest) -> None:
    stored = json.loads((trained.out / "config.json").read_text())["class_frequencies"]
    labels = [np.asarray(Image.open(path)) for path in (trained.crops[0] / "train/masks").glob("*.png")]
    counts = np.bincount(np.concatenate([each.ravel() for each in labels]), minlength=256)[:2]
    np.testing.assert_allclose(stored, counts / counts.sum(), atol=1e-6)
    assert describe_checkpoint(str(trained.out))


def test_a_base_does_not_hand_on_its_temperature(trained: TrainRequest) -> None:
    network, _ = load_base(str(trained.out), class_table(2), TILING, seed=0)
    assert network.config.calibration is None


def test_the_card_says_whole_numbers_as_people_write_them(trained: TrainRequest) -> None:
    assert " --epochs 20 --lr 7e-05 " in _command(replace(trained, epochs=20.0, lr=7e-5))


def test_the_command_of_the_model_card_is_one_that_train_takes(trained: TrainRequest) -> None:
    remap = RemapOptions(ignore=("class 0",), map=("class 1=a, b",))
    request = replace(
        trained,
        remap=remap,
        overlap=0.5,
        tile=TileSize((64, 96)),
        half=True,
        augment=False,
        class_weights="median",
        seed=3,
        precision="fp32",
    )
    crops = read_crop_set(*request.crops)
    scores = {"epoch": 1.0, "step": 1, "eval_miou": 0.5, "eval_accuracy": 0.5}
    card = model_card(Facts(request, complete(request), crops, "fp32", 1, scores, Licence("random"), Tuned(TILING, 0)))
    command = next(line for line in card.splitlines() if line.strip().startswith("noseam train"))
    arguments = shlex.split(command)[2:]
    parsed = train_command.make_context("train", arguments).params
    assert gather(TrainRequest, parsed) == request


def test_a_finished_training_is_not_repeated(trained: TrainRequest, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")}
    with caplog.at_level(logging.INFO, "segment"):
        result = train(trained)
    assert "is trained already" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")} == before
    assert (result.steps, len(result.rows)) == (6, 3)
    assert result.best_miou == max(row["miou"] for row in result.rows)  # type: ignore[type-var]


def test_the_best_epoch_is_kept(trained: TrainRequest) -> None:
    states = sorted((trained.out / "state").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    record = json.loads((states[-1] / "trainer_state.json").read_text())
    mean = load_file(trained.out / "state" / f"checkpoint-{record['best_global_step']}" / "mean.safetensors")
    model = load_state(trained.out).state_dict()
    assert mean.keys() == model.keys()
    mean[BIAS] += torch.tensor(json.loads((trained.out / "config.json").read_text())["class_bias"]["values"])
    assert all(torch.equal(mean[name], model[name]) for name in mean)
    (best,) = (entry for entry in record["log_history"]
               if "eval_miou" in entry and entry["step"] == record["best_global_step"])  # fmt: skip
    names, matrix = matrix_from_csv((trained.out / "confusion.csv").read_text())
    assert names == ("class 0", "class 1")
    judged = measure(matrix)
    assert (judged.miou, judged.accuracy) == (best["eval_miou"], best["eval_accuracy"])
    assert len(states) <= 2


SCRIPT = """
import sys, warnings
from pathlib import Path
from segment.training.train import TrainRequest, train
train(TrainRequest(crops=(Path(sys.argv[1]),), out=Path(sys.argv[2]), base="nano", epochs=3, lr=5e-3, input_px=64,
                   workers=0, device="cpu"))
"""


def test_a_killed_training_goes_on_as_if_it_had_not_been(trained: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = out / "state" / "checkpoint-2"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *map(str, trained.crops), str(out)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while not (first / "trainer_state.json").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert first.exists()
    assert not (out / "config.json").exists()
    half_written = out / "state" / "checkpoint-99"
    shutil.copytree(first, half_written)
    os.truncate(half_written / "optimizer.pt", 1000)
    result = train(replace(trained, out=out))
    assert not half_written.exists()
    assert result.steps == 6
    assert [row["step"] for row in result.rows] == [2, 4, 6]
    assert (out / "confusion.csv").read_bytes() == (trained.out / "confusion.csv").read_bytes()
    assert_same_weights(out, trained.out)
    assert_same_weights(out / "state" / "checkpoint-6", trained.out / "state" / "checkpoint-6")


def test_a_training_killed_before_its_model_was_written_only_writes_it(trained: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained.out, out)
    (out / "config.json").unlink()
    steps: list[int] = []
    (out / "confusion.csv").unlink()
    train(replace(trained, out=out), lambda done, total: steps.append(done))
    assert steps == []
    assert_same_weights(out, trained.out)
    assert (out / "confusion.csv").read_bytes() == (trained.out / "confusion.csv").read_bytes()
    assert (out / "config.json").read_bytes() == (trained.out / "config.json").read_bytes()


def test_a_state_of_an_earlier_version_makes_its_model_without_the_table(trained: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained.out, out)
    (out / "config.json").unlink()
    for path in [*out.rglob("confusion.csv")]:
        path.unlink()
    train(replace(trained, out=out))
    assert (out / "config.json").exists()
    assert not (out / "confusion.csv").exists()


def test_steps_that_end_within_an_epoch_are_all_that_is_trained(request_: TrainRequest, tmp_path: Path) -> None:
    request = replace(request_, out=tmp_path / "out", max_steps=3)
    result = train(request)
    assert [row["step"] for row in result.rows] == [2, 3]
    (tmp_path / "out" / "config.json").unlink()
    assert train(request).rows == result.rows


@pytest.mark.parametrize("broken", ["trainer_state.json", "model.safetensors", "optimizer.pt", "rng_state.pth"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_half_written_state_is_told(trained: TrainRequest, tmp_path: Path, broken: str, missing: bool) -> None:
    shutil.copytree(trained.out / "state" / "checkpoint-6", tmp_path / "checkpoint-6")
    assert is_whole(tmp_path / "checkpoint-6")
    path = tmp_path / "checkpoint-6" / broken
    if missing:
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    assert not is_whole(tmp_path / "checkpoint-6")


def test_changed_settings_are_refused_and_shown(trained: TrainRequest) -> None:
    with pytest.raises(TrainError, match=r"lr was 0\.005, is 0\.1; seed was 0, is 5.*--fresh starts over"):
        train(replace(trained, lr=0.1, seed=5))


def test_changed_crops_are_refused(trained: TrainRequest, tmp_path: Path) -> None:
    other = crop_folder(tmp_path / "crops", train=9)
    with pytest.raises(TrainError, match="crops was"):
        train(replace(trained, crops=(other,)))


def test_fresh_starts_over_and_leaves_foreign_files(trained: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained.out, out)
    (out / "notes.txt").write_text("mine")
    train(replace(trained, out=out, max_steps=1, fresh=True))
    assert [path.name for path in (out / "state").glob("checkpoint-*")] == ["checkpoint-1"]
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_foreign_files_is_refused(request_: TrainRequest, tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainError, match="is not empty and holds no training"):
        train(replace(request_, out=tmp_path, fresh=fresh))
    assert (tmp_path / "config.json").read_text() == "{}"


def test_a_misspelt_base_leaves_nothing_behind(request_: TrainRequest, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        train(replace(request_, out=tmp_path / "out", base="./mit-b0"))
    assert not (tmp_path / "out").exists()


def test_a_training_is_not_put_over_its_base(request_: TrainRequest, trained: TrainRequest) -> None:
    with pytest.raises(TrainError, match="lies in the output folder"):
        replace(request_, out=trained.out, base=str(trained.out), fresh=True)


def test_a_folder_named_like_a_preset_is_not_passed_over(
    request_: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano").mkdir()
    with pytest.raises(CheckpointError, match=r"say \./nano for the folder"):
        train(replace(request_, out=tmp_path / "out", base="nano"))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_crop_is_named_in_one_line(request_: TrainRequest, tmp_path: Path, workers: int) -> None:
    folder = crop_folder(tmp_path / "crops")
    bad = folder / "train/masks/3.png"
    bad.write_bytes(b"nothing")
    with pytest.raises(RasterReadError) as caught:
        train(replace(request_, crops=(folder,), out=tmp_path / "out", workers=workers))
    assert str(caught.value).startswith(f"{bad}: not an accepted image")
    assert "\n" not in str(caught.value)


def test_a_training_goes_on_without_its_base(request_: TrainRequest, tmp_path: Path) -> None:
    base = checkpoint_folder(tmp_path / "base", classes=2)
    request = replace(request_, out=tmp_path / "out", base=str(base))
    train(request)
    (request.out / "config.json").unlink()  # as if it had been stopped before the model was written
    shutil.rmtree(base)
    train(request)
    assert (request.out / "config.json").exists()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epochs": 0}, "epochs: a finite number above 0 expected, 0 found"),
        ({"lr": float("nan")}, "lr: a finite number above 0 expected, nan found"),
        ({"warmup": 1.5}, "warmup: a finite number from 0 to 1 expected, 1.5 found"),
        ({"workers": -1}, "workers: a whole number from 0, or auto expected, -1 found"),
        ({"device": "cuda:1"}, "device: one of auto, cpu, cuda expected, 'cuda:1' found"),
        ({"seed": 2**32}, "seed: a whole number from 0 to 4294967295 expected, 4294967296 found"),
        ({"schedule": "step"}, "schedule: one of linear, poly, cosine, constant expected, 'step' found"),
    ],
)
def test_impossible_settings_are_refused(crops: Path, tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(TrainError, match=match):
        TrainRequest(crops=(crops,), out=tmp_path, **changes)


def test_tensorboard_must_be_installed(request_: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrainError, match="pip install tensorboard"):
        train(replace(request_, out=tmp_path, tensorboard=True))


def test_a_diverging_training_stops(request_: TrainRequest, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="diverged"):
        train(replace(request_, out=tmp_path / "out", lr=1e30))
    assert not (tmp_path / "out" / "config.json").exists()


def test_every_option_at_once(request_: TrainRequest, tmp_path: Path) -> None:
    request = replace(
        request_, out=tmp_path / "out", accumulate=3, batch_size=2, warmup=0.5, schedule="poly", class_weights="median",
        augment=False, precision="bf16", half=True, workers=2, max_steps=3, loss="ce+lovasz", ohem=0.7, threads=1,
        head_lr_factor=3, patience=9, validate_every=2, ema=0.9, weight_decay=0.1, recipe="finetune",
    )  # fmt: skip
    assert [row["step"] for row in train(request).rows] == [2, 3]
    assert load_checkpoint(describe_checkpoint(str(request.out)))
    assert "--loss ce+lovasz --ohem 0.7 --class-weights median" in (request.out / "README.md").read_text()


@pytest.mark.parametrize(
    ("asked", "device", "cores", "processes", "expected"),
    [
        ("auto", "cpu", 64, 1, 2),
        ("auto", "cuda", 64, 1, 16),
        ("auto", "cuda", 12, 1, 12),
        ("auto", "cuda", 16, 4, 4),
        ("auto", "cuda", 2, 8, 1),
        (0, "cuda", 64, 1, 0),
        (7, "cpu", 2, 1, 7),
    ],
)
def test_crops_are_read_by_as_many_processes_as_there_are_cores_to_spare(
    monkeypatch: pytest.MonkeyPatch, asked: Any, device: str, cores: int, processes: int, expected: int
) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert _readers(asked, torch.device(device)) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_precision_on_cuda_has_the_widest_range(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert _choose_precision(torch.device("cuda"), "auto") == expected


@pytest.mark.parametrize("native", ["avx512_bf16", "amx_tile", ""])
def test_auto_precision_on_the_cpu_is_what_its_instructions_multiply(
    monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(f"torch.cpu._is_{name}_supported", lambda name=name: name == native, raising=False)
    assert _choose_precision(torch.device("cpu"), "auto") == ("bf16" if native else "fp32")
    assert _choose_precision(torch.device("cpu"), "fp32") == "fp32"
    assert _choose_precision(torch.device("cpu"), "bf16") == "bf16"
    assert _choose_precision(torch.device("cuda"), "tf32") == "tf32"


def test_what_is_set_for_cuda_trains_as_well(
    trained: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers that stay, and channels that lie together; what only a device can do is left out here."""
    of_cuda = _for_cuda(2)
    assert of_cuda.pop("dataloader_pin_memory") is True
    monkeypatch.setattr(TrainPlan, "channels_last", property(lambda plan: True))
    monkeypatch.setattr(
        "segment.training.plan.TrainingArguments", lambda **known: TrainingArguments(**{**known, **of_cuda})
    )
    request = replace(trained, out=tmp_path / "out", workers=2)
    found, expected = train(request), train(trained)
    # Kernels sum in another order, and later epochs draw other numbers for dropout; the first is the same training.
    assert found.rows[0]["train_loss"] == pytest.approx(expected.rows[0]["train_loss"], rel=0.02)
    (request.out / "config.json").unlink()
    shutil.rmtree(max((request.out / "state").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])))
    assert len(train(request).rows) == 3  # it goes on from a state whose channels lay together
    assert load_checkpoint(describe_checkpoint(str(request.out)))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "fp16", "tf32", "fp32"])
def test_a_training_on_cuda_learns_and_goes_on(request_: TrainRequest, tmp_path: Path, precision: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    request = replace(request_, out=tmp_path / "out", epochs=6, device="cuda", precision=precision, workers="auto")
    found = train(request)
    losses = [row["train_loss"] for row in found.rows]
    assert losses[-1] < 0.8 * losses[0]  # type: ignore[operator]
    assert found.best_miou > 0.6  # the majority class alone gives about 0.3
    (request.out / "config.json").unlink()
    shutil.rmtree(max((request.out / "state").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])))
    assert len(train(request).rows) == 6
    card = (request.out / "README.md").read_text()
    assert {"auto": "bf16"}.get(precision, precision) in card


def test_accumulated_batches_make_the_step_of_one_batch(request_: TrainRequest, tmp_path: Path) -> None:
    base = tmp_path / "base"
    config = make_config(
        "nano", class_table(2), TILING, drop_path_rate=0.0, classifier_dropout_prob=0.0, initializer_range=0.1
    )
    write_checkpoint(SegformerForSemanticSegmentation(config), base, Normalisation(), 64)
    plain = replace(request_, base=str(base), augment=False, max_steps=1, schedule="constant", weight_decay=0.0)
    losses = [
        train(replace(plain, out=tmp_path / str(accumulate), batch_size=8 // accumulate, accumulate=accumulate)).rows
        for accumulate in (1, 2)
    ]
    # Not equal: batch norm sees half the crops at a time.
    assert losses[0][0]["train_loss"] == pytest.approx(losses[1][0]["train_loss"], rel=0.2)


def test_pixels_without_a_label_do_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator)
    labels[:, :4] = 255
    wild = logits.clone()
    wild[:, :, :4] = 1000
    assert torch.equal(pixel_loss(logits, labels), pixel_loss(wild, labels))
    torch.testing.assert_close(
        pixel_loss(logits, labels, share=0.5), torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    )


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_a_batch_without_a_label_has_loss_0_and_no_gradient(weights: torch.Tensor | None) -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    loss = pixel_loss(logits, torch.full((1, 8, 8), 255), weights)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_losses_of_unequal_batches_add_up_to_that_of_one(weights: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (4, 8, 8), generator=generator)
    labels[:2] = 255
    labels[0, 0, 0] = 1  # a batch with one label beside one that is full of them
    parts = [pixel_loss(logits[half], labels[half], weights, share=0.3) for half in (slice(2), slice(2, 4))]
    torch.testing.assert_close((parts[0] + parts[1]) / 2, pixel_loss(logits, labels, weights, share=0.3))


def test_the_share_makes_the_loss_a_weighted_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, weights = torch.randn(2, 3, 8, 8, generator=generator), torch.tensor([1.0, 2.0, 0.5])
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator)
    labels[0, :3] = 255
    share = float(weights[labels[labels != 255]].sum() / labels.numel())
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=weights, ignore_index=255)
    torch.testing.assert_close(pixel_loss(logits, labels, weights, share=share), expected)


def test_a_few_stray_pixels_do_not_rule_the_loss() -> None:
    assert balance_classes(np.array([[10**6, 10**5, 3]], np.int64)).max() == 10


def test_classes_are_balanced_by_median_frequency() -> None:
    pixels = np.array([[80, 20, 0, 0], [50, 0, 50, 0]], np.int64)
    frequency = np.array([130 / 200, 20 / 100, 50 / 100])
    np.testing.assert_allclose(balance_classes(pixels), [*(0.5 / frequency), 1], rtol=1e-6)


@pytest.mark.parametrize("kind", [SegformerModel, SegformerForImageClassification])
def test_an_encoder_is_a_base_and_keeps_its_weights_and_normalisation(tmp_path: Path, kind: Any) -> None:
    config = make_config("nano", class_table(1000 % 255), TILING)
    encoder = kind(config)
    encoder.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    network, normalisation = load_base(str(tmp_path), class_table(3), TILING, seed=0)
    assert normalisation == Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3)
    assert network.config.num_labels == 3
    ours = network.segformer.state_dict()
    theirs = encoder.state_dict() if kind is SegformerModel else encoder.segformer.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_encoder_with_more_classes_than_a_mask_can_hold_is_a_base(tmp_path: Path) -> None:
    config = make_config("nano", class_table(2), TILING)
    config.num_labels = 1000
    SegformerForImageClassification(config).save_pretrained(tmp_path)
    network, _ = load_base(str(tmp_path), class_table(2), TILING, seed=0)
    assert network.config.id2label == {0: "class 0", 1: "class 1"}


def test_a_whole_model_of_other_classes_is_a_base(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path, classes=7, tiling=Tiling(2000, 512, gsd_m=0.1))
    network, _ = load_base(str(folder), class_table(2), TILING, seed=0)
    assert network.config.tiling["window_px"] == 64
    assert "gsd_m" not in network.config.tiling
    assert network.decode_head.classifier.out_channels == 2


@pytest.mark.parametrize(("window", "side", "warned"), [(64, 128, True), (64, 64, False), (99, 128, False)])
def test_a_base_that_saw_such_windows_at_another_scale_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, window: int, side: int, warned: bool
) -> None:
    folder = checkpoint_folder(tmp_path, classes=2, tiling=Tiling(window, side))
    with caplog.at_level(logging.WARNING, "segment"):
        load_base(str(folder), class_table(2), TILING, seed=0)
    assert ("goes on at 64 px, another scale; --input 128 keeps its own" in caplog.text) == warned


def test_a_base_without_some_encoder_weights_is_refused(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path, classes=2)
    stored = load_file(folder / "model.safetensors")
    lacking = next(name for name in stored if "encoder" in name or "stages" in name)
    save_file(
        {name: stored[name] for name in stored if name != lacking}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(CheckpointError, match="1 weights of the encoder are missing"):
        load_base(str(folder), class_table(2), TILING, seed=0)


def test_another_architecture_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "beit"}))
    with pytest.raises(CheckpointError, match="'segformer' expected, 'beit' found"):
        load_base(str(tmp_path), class_table(2), TILING, seed=0)


def test_one_seed_gives_one_start() -> None:
    first, again, other = (load_base("nano", class_table(2), TILING, seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
