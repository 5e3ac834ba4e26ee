"""Masks and truth that are swapped are noticed by the tags of masks; two runs that are compared are called so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.errors import RequestError
from segment.evaluation.sides import match
from tests.evaluation.making import labels, write_gray, write_mask
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import noseam


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name, seed in (("masks", 1), ("truth", 2)):
        (tmp_path / name).mkdir()
        for index in range(2):
            ids = labels(seed=seed + index)
            if name == "masks":
                write_mask(tmp_path / name / f"{index}_label.png", ids, MODEL="owner/name")
            else:
                write_gray(tmp_path / name / f"{index}.png", ids)
    return tmp_path / "masks", tmp_path / "truth"


def test_swapped_sides_are_refused_with_the_command_that_is_meant(folders: tuple[Path, Path]) -> None:
    masks, truth = folders
    assert noseam("evaluate", masks, truth).exit_code == 0
    result = noseam("evaluate", truth, masks)
    assert result.exit_code == 2
    assert f"{masks}/0_label.png: noseam made this mask with the model owner/name" in result.stderr
    assert f"noseam evaluate {masks} {truth}" in result.stderr


def test_truth_of_made_up_scenes_is_truth_though_noseam_wrote_it(folders: tuple[Path, Path]) -> None:
    masks, truth = folders
    write_mask(truth / "0.png", labels(seed=7))  # with the mark of noseam, and without a model
    assert match(masks, truth, None).truth_model == ""
    with pytest.raises(RequestError, match="predicted masks come first"):
        match(truth, masks, None)


def test_shifted_masks_are_no_truth(folders: tuple[Path, Path]) -> None:
    masks, _ = folders
    assert match(masks, None, masks).truth_model == ""


def test_two_runs_are_compared_and_it_is_said(tmp_path: Path) -> None:
    model = checkpoint_folder(tmp_path / "model", classes=3, tiling=squares(128, 64))
    (tmp_path / "photos").mkdir()
    Image.fromarray(noise(150, 260, 3)).save(tmp_path / "photos" / "a.jpg")
    for name, more in (("one", ()), ("two", ("--window", 64))):
        assert noseam("segment", tmp_path / "photos", "--out", tmp_path / name, "--model", model, *more).exit_code == 0
    result = noseam("evaluate", tmp_path / "one", tmp_path / "two")
    assert result.exit_code == 0
    assert result.stdout.startswith("two runs are compared: noseam made what was given as truth too, with")
    assert str(model) in result.stdout
    found = json.loads(noseam("evaluate", tmp_path / "one", tmp_path / "two", "--json").stdout)
    assert found["truth_model"] == str(model)
    Image.fromarray(np.zeros((150, 260), np.uint8)).save(tmp_path / "two" / "a_label.png")  # as another program would
    result = noseam("evaluate", tmp_path / "one", tmp_path / "two")
    assert "two runs" not in result.stdout
