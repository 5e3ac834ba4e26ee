"""Classes are balanced by every engine alike; masks say so, and are made again when it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import noseam

FREQUENCIES = (0.6, 0.3, 0.099, 0.001, 0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkpoint_folder(tmp_path_factory.mktemp("model"), classes=5, tiling=squares(128, 64))
    noted(folder, class_frequencies=FREQUENCIES, class_balance={"strength": 0.35})
    return folder


def noted(folder: Path, **entries: Any) -> None:
    """Write entries into the config of a checkpoint."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    Image.fromarray(noise(150, 260, 3)).save(folder / "photo.png")
    return folder


def pixels(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as file:
        found: NDArray[np.uint8] = file.read(1)
    return found


def logits_of(model: Path, image: Path) -> NDArray[np.float32]:
    """Return the logits of a photo in one tile, without a balance, at the resolution of the network."""
    import torch

    from segment.model.checkpoint import describe_checkpoint, weights_digest
    from segment.model.segmenter import load_segmenter

    description = describe_checkpoint(str(model))
    tile = np.moveaxis(np.asarray(Image.open(image)), -1, 0)[np.newaxis]
    with torch.no_grad():
        logits = load_segmenter(description, weights_digest(description))(torch.tensor(tile))
    found: NDArray[np.float32] = logits[0].numpy()
    return found


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_labels_are_those_of_logits_less_the_logarithm(tmp_path: Path, model: Path, engine: str) -> None:
    """By the formula itself, at the centres of cells, where nothing is interpolated."""
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(noise(64, 64, 3)).save(photo)
    logits = logits_of(model, photo)
    cut = "--window", 64, "--input", 64, "--engine", engine, "--device", "cpu", "--precision", "fp32"
    result = noseam("segment", photo, "--out", out, "--model", model, *cut, "--balance-classes", 0.7, "--confidence")
    assert result.exit_code == 0, result.output
    assert "5 classes balanced by 0.7" in result.stderr
    shares = np.array([*FREQUENCIES[:4], 0.6])  # what training never showed counts as the commonest
    moved = logits - 0.7 * np.log(shares)[:, np.newaxis, np.newaxis]
    fine = np.stack([np.asarray(Image.fromarray(plane).resize((64, 64), Image.Resampling.BILINEAR)) for plane in moved])
    labels = pixels(out / "photo_label.png")
    assert (labels == fine.argmax(axis=0)).mean() > 0.98
    assert (labels == 3).mean() > (logits.argmax(axis=0) == 3).mean() + 0.3
    first, second = np.sort(fine, axis=0)[[-1, -2]]
    sure = np.tanh((first - second) / 2)
    assert np.abs(pixels(out / "photo_confidence.png") / 254 - sure).mean() < 0.02


def test_auto_is_what_training_found_and_masks_tell_it(survey: Path, tmp_path: Path, model: Path) -> None:
    tags = {}
    for name, strength in (("auto", "auto"), ("number", 0.35), ("off", 0)):
        run = noseam("segment", survey, "--out", tmp_path / name, "--model", model, "--balance-classes", strength)
        assert run.exit_code == 0, run.output
        tags[name] = Image.open(tmp_path / name / "photo_label.png").text  # type: ignore[attr-defined]
    assert (pixels(tmp_path / "auto" / "photo_label.png") == pixels(tmp_path / "number" / "photo_label.png")).all()
    assert {name: found.get("NOSEAM_BALANCE") for name, found in tags.items()} == {
        "auto": "0.35", "number": "0.35", "off": None
    }  # fmt: skip
    assert json.loads(tags["auto"]["NOSEAM_RECIPE"])["balance_classes"] == 0.35
    assert "balance_classes" not in json.loads(tags["off"]["NOSEAM_RECIPE"])


def test_masks_are_made_again_when_the_balance_changes_and_the_reason_is_named(
    survey: Path, tmp_path: Path, model: Path
) -> None:
    command = "segment", survey, "--out", tmp_path / "out", "--model", model
    assert noseam(*command).exit_code == 0
    plain = pixels(tmp_path / "out" / "photo_label.png")
    result = noseam(*command, "--balance-classes", 0.25)
    assert "made again, 1 of 1 image: settings changed: balance classes none to 0.25\n" in result.stderr
    balanced = pixels(tmp_path / "out" / "photo_label.png")
    assert (balanced != plain).any()
    assert "0 done, 1 skipped" in noseam(*command, "--balance-classes", 0.25).stderr
    planned = noseam("plan", *command[1:], "--balance-classes", 1, "--no-calibrate")
    assert "balance classes 0.25 to 1" in planned.output
    result = noseam(*command)
    assert "settings changed: balance classes 0.25 to none\n" in result.stderr
    assert (pixels(tmp_path / "out" / "photo_label.png") == plain).all()


def test_masks_are_made_again_when_the_frequencies_change(survey: Path, tmp_path: Path) -> None:
    model = checkpoint_folder(tmp_path / "mine", classes=2, tiling=squares(128, 64))
    noted(model, class_frequencies=[0.9, 0.1])
    command = "segment", survey, "--out", tmp_path / "out", "--model", model, "--balance-classes", 0.5
    assert noseam(*command).exit_code == 0
    noted(model, class_frequencies=[0.1, 0.9])
    assert "1 of 1 image: the model's class frequencies changed\n" in noseam(*command).stderr


def test_workers_and_parts_balance_alike(tmp_path: Path, model: Path) -> None:
    pytest.importorskip("distributed")
    survey = tmp_path / "many"
    survey.mkdir()
    for index in range(2):
        Image.fromarray(noise(150, 260, 3, seed=index)).save(survey / f"{index}.png")
    command = "segment", survey, "--model", model, "--balance-classes", 0.5
    assert noseam(*command, "--out", tmp_path / "one", "--workers", 1).exit_code == 0
    assert noseam(*command, "--out", tmp_path / "two", "--workers", 2, "--part-size", 0.01).exit_code == 0
    for index in range(2):
        one, two = (pixels(tmp_path / name / f"{index}_label.png") for name in ("one", "two"))
        assert (one == two).all()


def test_a_checkpoint_without_frequencies_is_a_wrong_command(survey: Path, tmp_path: Path) -> None:
    model = checkpoint_folder(tmp_path / "mine", classes=2, tiling=squares(128, 64))
    for command in ("segment", "plan"):
        result = noseam(command, survey, "--out", tmp_path / "out", "--model", model, "--balance-classes", 0.5)
        assert result.exit_code == 2
        assert "mine does not say how often training showed each class" in result.stderr
    for text in ("-1", "5", "some"):
        result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, "--balance-classes", text)
        assert result.exit_code == 2
        assert "from 0" in result.stderr
    assert not (tmp_path / "out").exists()
