"""A training of several processes, as torchrun starts them: it learns, and goes on where it was stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import ROOT
from tests.crop_folder import crop_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tried there alone")


def train(crops: Path, out: Path) -> subprocess.CompletedProcess[str]:
    options = ["--base", "nano", "--lr", "5e-3", "--epochs", "4", "--input", "64", "--validate-every", "3", "--loss",
               "ce+dice", "--patience", "9", "--workers", "1", "--threads", "1", "--device", "cpu"]  # fmt: skip
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [sys.executable, *launch, "-m", "cli", "train", str(crops), "--out", str(out), *options],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_two_processes_train_one_model_and_go_on_bit_for_bit(tmp_path: Path) -> None:
    crops = crop_folder(tmp_path / "crops", train=16, val=6)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    ended = train(crops, whole)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].endswith("on the validation crops, 8 steps")
    assert ended.stderr.count("8 steps in all, 2 per epoch") == 1
    rows = (whole / "learning_curve.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["step", "3", "6", "8"]
    assert float(rows[-1].split(",")[4]) > 0.6  # the majority class alone gives about 0.3

    shutil.copytree(whole, stopped)
    (stopped / "config.json").unlink()
    shutil.rmtree(stopped / "state/checkpoint-8")  # as it was when it was stopped after the second validation
    assert "going on after 6 steps" in train(crops, stopped).stderr
    for name in ("model.safetensors", "state/checkpoint-8/model.safetensors", "state/checkpoint-8/mean.safetensors"):
        first, again = load_file(whole / name), load_file(stopped / name)
        assert all(torch.equal(first[key], again[key]) for key in first), name
