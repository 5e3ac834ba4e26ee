"""Crops that `noseam crop` cut are shown at any scale and angle by `noseam train`; two runs give the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segment.training.data import read_crop_set
from tests.make import noise
from tests.models import class_table
from tests.runs import noseam
from tiler.classes import write_class_table
from tiler.grid.window import Window

ALL = ("--zoom", 0.5, 2, "--tilt", "--colour", 0.4, "--shadow", 1, "--blur", 0.5, "--noise", 0.5, "--jpeg", 0.5)


def survey(folder: Path) -> Path:
    """Write three photos of 160 x 224 and their masks, and cut them into six crops each."""
    for index in range(3):
        labels = np.kron(noise(5, 7, high=2, seed=index), np.ones((32, 32), np.uint8)).astype(np.uint8)
        colours = np.where(labels[..., np.newaxis] == 1, (190, 80, 60), (60, 90, 180)).astype(np.uint8)
        for name, pixels in (("images", colours), ("masks", labels)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    write_class_table(folder / "classes.csv", class_table(2))
    done = noseam("crop", folder / "images", folder / "masks", "--out", folder / "crops", "--window", 96,
                  "--classes", folder / "classes.csv", "--split", 0.7)  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "crops"


def test_a_training_sees_crops_at_any_scale_and_angle(tmp_path: Path) -> None:
    crops = survey(tmp_path / "survey")
    assert read_crop_set(crops).train.crops[0].ground.bounds == Window(0, 0, 160, 224)
    weights = []
    for name in ("one", "two"):
        done = noseam("train", crops, "--out", tmp_path / name, "--base", "nano", "--input", 64, "--max-steps", 3,
                      "--device", "cpu", "--workers", 0, *ALL)  # fmt: skip
        assert done.exit_code == 0, done.output
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    card = (tmp_path / "one" / "README.md").read_text()
    assert "--zoom 0.5 2 --tilt --colour 0.4 --shadow 1 --blur 0.5 --noise 0.5 --jpeg 0.5" not in card  # defaults go
    assert "--tilt --colour 0.4 --shadow 1 --blur 0.5 --noise 0.5 --jpeg 0.5" in card
    assert "turned by any angle, mirrored, shown at 0.5 to 2 times their scale, recoloured by up to 40%" in card


def test_scales_in_the_wrong_order_are_refused_by_name(tmp_path: Path) -> None:
    done = noseam("train", tmp_path, "--out", tmp_path / "out", "--zoom", 2, 0.5)
    assert done.exit_code == 2
    assert "--zoom: the least scale, then the most expected, 2 0.5 found" in done.output
