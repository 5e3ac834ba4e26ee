"""Segment under two grids, and evaluate: a network that sees its tile is found out, one that does not is cleared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.make import noise
from tests.models import MeanEngine, TileEngine, model_of
from tests.runs import noseam

CUT = ("--model", "demo", "--window", 64, "--input", 64, "--tile", 96, "--confidence")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos whose red grows from left to right, with things on it, and one that a tile covers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, (height, width) in (("a", (288, 416)), ("b", (288, 416)), ("small", (50, 60))):
        things = Image.fromarray(noise(height // 24, width // 24, 3, high=120, seed=ord(name[0])))
        grey = np.asarray(things.resize((width, height), Image.Resampling.BICUBIC), np.int64)
        slope = np.linspace(0, 120, width, dtype=np.int64)[:, np.newaxis]
        Image.fromarray((grey + slope).astype(np.uint8)).save(tmp_path / f"photos/{name}.png")
    return tmp_path


def evaluated(
    network: MeanEngine, monkeypatch: pytest.MonkeyPatch, *more: object, cut: tuple[object, ...] = ()
) -> tuple[Any, str]:
    """Segment the photos with and without a shift; return what `evaluate` says, as JSON and as text."""
    monkeypatch.setattr("segment.run.local.open_model", lambda *_, **__: model_of(network))
    for out, shift in (("masks", 0), ("shifted", 32)):
        result = noseam("segment", "photos", "--out", out, *CUT, "--grid-shift", shift, *cut)
        assert result.exit_code == 0, result.stderr
    result = noseam("evaluate", "masks", *more, "--shifted", "shifted", "--out", "report")
    assert result.exit_code == 0, result.stdout
    return json.loads(Path("report/evaluation.json").read_text()), result.stdout


def test_a_network_that_sees_its_tile_is_found_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, text = evaluated(TileEngine(classes=4), monkeypatch, cut=("--overlap", 0))
    grid, one_tile = found["grid"], found["grid"]["one_tile"]
    assert (grid["images"], grid["pixels"], one_tile["images"], one_tile["differing"]) == (2, 2 * 288 * 416, 1, 0)
    assert grid["share"] > 0.02
    shares = [row["share"] for row in grid["confidence"] if row["share"] is not None]
    assert shares[0] > 0.3 > 0.05 > shares[-1]
    assert sum(row["pixels"] for row in grid["confidence"]) == grid["pixels"]
    assert found["blocks"]["blockiness"] > 1.2 > found["blocks_control"]["blockiness"]
    assert "labels that depend on the grid: " in text
    assert "1 image in one tile each: no grid to depend on; with it, " in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_network_that_sees_no_context_is_cleared(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = evaluated(MeanEngine(classes=4), monkeypatch)
    assert (found["grid"]["differing"], found["grid"]["pixels"]) == (0, 2 * 288 * 416)
    assert 0.9 < found["blocks"]["blockiness"] < 1.1
    assert found["blocks"] == found["blocks_control"]


def test_with_truth_the_seam_is_told_from_its_place(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is what a network without context sees; so whatever is wrong comes of tiles."""
    evaluated(MeanEngine(classes=4), monkeypatch)
    (here / "masks").rename(here / "truth")
    (here / "shifted").rename(here / "not needed")
    found, text = evaluated(TileEngine(classes=4), monkeypatch, "truth")
    assert found["seams"]["seam"]["pixels"] == found["seams"]["shifted"]["pixels"] > 0
    assert found["accuracy"] < 1
    assert "the seam alone" in text
    same, _ = evaluated(MeanEngine(classes=4), monkeypatch, "truth")
    assert same["seams"]["seam"] == same["seams"]["shifted"]


def test_masks_of_another_cut_are_refused_one_by_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(MeanEngine(classes=4), monkeypatch)
    noseam("segment", "photos", "--out", "shifted", *CUT, "--grid-shift", 32, "--tile", 128)
    result = noseam("evaluate", "masks", "--shifted", "shifted")
    assert result.exit_code == 3
    assert "differ in more than the grid: tile 96 x 96 and 128 x 128" in result.stdout
    noseam("segment", "photos", "--out", "shifted", *CUT)
    again = noseam("evaluate", "masks", "--shifted", "shifted")
    assert "were cut by the same tiles; make the second with another --grid-shift" in again.stdout
    assert "1 image in one tile each: no grid to depend on\n" in again.stdout


def test_a_mask_alone_cannot_be_evaluated(here: Path) -> None:
    result = noseam("evaluate", "photos")
    assert result.exit_code == 2
    assert "give TRUTH, or --shifted with masks made with --grid-shift, or both" in result.stderr
