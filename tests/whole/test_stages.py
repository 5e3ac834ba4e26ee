"""`-v` and `--json` say what the stages of a run took, of one process and of workers; nobody else pays for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.grids import squares
from tests.models import checkpoint_folder
from tests.runs import make_survey, noseam
from tiler import stopwatch

OF_EVERY_RUN = {"plan", "open", "read", "network", "stitch", "count", "encode", "verify", "sync"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=squares(128, 64))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos and a map, each of which takes twelve tiles in three rows."""
    return make_survey(tmp_path_factory.mktemp("survey") / "all", photos=3, rasters=1, height=200, width=300)


def stages_of(survey: Path, out: Path, model: Path, *more: object) -> dict[str, Any]:
    result = noseam("-q", "segment", survey, "--out", out, "--model", model, "--json", "--tile", 64, *more)
    assert result.exit_code == 0, result.output
    stages: dict[str, Any] = json.loads(result.stdout)["stages"]
    return stages


def test_json_holds_the_stages(survey: Path, model: Path, tmp_path: Path) -> None:
    found = stages_of(survey, tmp_path, model)
    assert OF_EVERY_RUN | {"wait"} == set(found["seconds"])
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    assert found["seconds"]["network"] > 0
    times = found["times"]
    assert times["network"] == times["wait"] == 4 * 12
    assert times["verify"] == 3 * 2 + 1  # two PNGs of a photo, and a COG
    assert 0 < found["core_seconds"] <= found["offered"]["cores"] * 1.5
    assert found["limit"]
    assert not stopwatch.is_running()


def test_pytorch_tells_the_same(survey: Path, model: Path, tmp_path: Path) -> None:
    found = stages_of(survey, tmp_path, model, "--engine", "torch", "--device", "cpu", "--batch-size", 4)
    assert OF_EVERY_RUN | {"wait"} == set(found["seconds"])
    assert found["times"]["wait"] == 4 * 12
    assert found["times"]["network"] >= 4 * 12 / 4  # a batch each


@pytest.mark.gpu
def test_a_device_tells_the_same(survey: Path, model: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found = stages_of(survey, tmp_path, model, "--device", "cuda")
    assert OF_EVERY_RUN | {"wait", "upload", "download"} == set(found["seconds"])
    assert 0 < found["seconds"]["network"] <= found["offered"]["device"]
    assert "GPU" in found["limit"] or "start" in found["limit"]


def test_workers_add_theirs(survey: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra cluster")
    found = stages_of(survey, tmp_path, model, "--workers", 2)
    assert OF_EVERY_RUN | {"wait"} == set(found["seconds"])
    assert (found["times"]["network"], found["times"]["verify"]) == (48, 7)
    assert found["core_seconds"] > 0
    assert found["offered"]["cores"] > 0


def test_v_prints_a_table_that_fits_a_terminal(survey: Path, model: Path, tmp_path: Path) -> None:
    command = "segment", survey, "--out", tmp_path, "--model", model
    lines = noseam(*command, "-v").stdout.splitlines()
    head = lines.index("stage      seconds  share ms per MP")
    rows = [line for line in lines[head + 1 :] if re.match(r"\w+ +\d+\.\d\d ", line)]
    assert {row.split()[0] for row in rows} == OF_EVERY_RUN | {"wait"}
    assert max(map(len, rows)) <= 60
    shares = [int(found) for row in rows for found in re.findall(r" (\d+) %", row)]
    assert 95 <= sum(shares) <= 105
    assert lines[-1].startswith("What limits this run: ")


def test_without_v_nothing_is_timed(survey: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "start", lambda: pytest.fail("nobody asked for times"))
    result = noseam("segment", survey, "--out", tmp_path, "--model", model)
    assert result.exit_code == 0
    assert "stage" not in result.output
