"""On a bare machine with a GPU, which has PyTorch and little else, the tests for it are collected, and noseam works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import ROOT
from tests.bare import NOT_ON_A_BARE_MACHINE, bare_python
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.runs import make_survey

pytestmark = NEEDS_TORCH


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    return bare_python(tmp_path_factory.mktemp("bare") / "packages")


def run(bare: tuple[list[str], dict[str, str]], *arguments: object) -> subprocess.CompletedProcess[str]:
    command, environment = bare
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_packages_are_missing_there(bare: tuple[list[str], dict[str, str]]) -> None:
    code = (
        "import importlib.util as u; print(*[n for n in ('torch', 'numba', 'openvino', 'pyogrio') if u.find_spec(n)])"
    )
    assert run(bare, "-c", code).stdout.split() == ["torch", "numba"]
    assert {"openvino", "pyogrio", "distributed"} < NOT_ON_A_BARE_MACHINE


def test_every_module_of_the_tests_is_collected_there(bare: tuple[list[str], dict[str, str]]) -> None:
    done = run(bare, "-m", "pytest", "--collect-only", "-q", "-m", "gpu", "-n", "0", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = re.findall(r"^tests/(\w+)/\w+\.py::", done.stdout, re.MULTILINE)
    assert len(found) > 5
    assert set(found) >= {"engine", "whole"}
    assert "needs the extra vector" in done.stdout


def test_segment_works_there(bare: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=1, rasters=1, height=90, width=120)
    model = checkpoint_folder(tmp_path / "model", classes=3)
    wanted = "segment", survey, "--out", tmp_path / "out", "--model", model, "--input", "64", "--window", "64"
    done = run(bare, "-W", "error", "-m", "cli", *wanted, "--engine", "torch", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out/photo_0_label.png") as mask:
        assert np.asarray(mask).max() < 3
    assert (tmp_path / "out/maps/map_1_label.tif").exists()
